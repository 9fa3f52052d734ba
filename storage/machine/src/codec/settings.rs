//! Commands on settings: updates, removals, rotations.

use pushrail_model::destination::PreviousCredential;
use pushrail_model::ids::{DestinationNo, TenantNo};
use pushrail_model::settings::{
    CancelDeliveries, RemoveDestination, RemoveRoute, RemoveTenant, Rewrap, RewrapCredentials,
    RotateCredential, UpdateDestination, UpdateRoute, UpdateTenant,
};
use pushrail_model::time::{Span, Timestamp};

use crate::codec::change::{actor, actor_to_wire};
use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::tenant::{heard, said};
use crate::codec::wire::{Wire, all_from_wire, all_to_wire, halves, parsed, partition, required, whole};

impl Wire for UpdateTenant {
    type Message = proto::UpdateTenant;

    fn to_wire(&self) -> proto::UpdateTenant {
        let (content_hash_high, content_hash_low) = halves(self.content_hash);
        proto::UpdateTenant {
            id: self.id.to_string(),
            description: self.description.clone(),
            retention: said(&self.retention),
            version: self.version,
            request_id: self.request_id.clone(),
            content_hash_high,
            content_hash_low,
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::UpdateTenant) -> Result<Self, DecodeError> {
        Ok(Self {
            id: parsed(&message.id, "tenant id")?,
            description: message.description,
            retention: heard(message.retention),
            version: message.version,
            request_id: message.request_id,
            content_hash: whole(message.content_hash_high, message.content_hash_low),
            actor: actor(message.actor),
        })
    }
}

impl Wire for UpdateDestination {
    type Message = proto::UpdateDestination;

    fn to_wire(&self) -> proto::UpdateDestination {
        let (content_hash_high, content_hash_low) = halves(self.content_hash);
        proto::UpdateDestination {
            tenant: self.tenant.to_string(),
            id: self.id.to_string(),
            spec: Some(self.spec.to_wire()),
            version: self.version,
            request_id: self.request_id.clone(),
            content_hash_high,
            content_hash_low,
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::UpdateDestination) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            id: parsed(&message.id, "destination id")?,
            spec: required(message.spec, "destination spec")?,
            version: message.version,
            request_id: message.request_id,
            content_hash: whole(message.content_hash_high, message.content_hash_low),
            actor: actor(message.actor),
        })
    }
}

impl Wire for UpdateRoute {
    type Message = proto::UpdateRoute;

    fn to_wire(&self) -> proto::UpdateRoute {
        let (content_hash_high, content_hash_low) = halves(self.content_hash);
        proto::UpdateRoute {
            tenant: self.tenant.to_string(),
            id: self.id.to_string(),
            pattern: self.pattern.to_string(),
            destination: self.destination.to_string(),
            version: self.version,
            request_id: self.request_id.clone(),
            content_hash_high,
            content_hash_low,
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::UpdateRoute) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            id: parsed(&message.id, "route id")?,
            pattern: parsed(&message.pattern, "pattern")?,
            destination: parsed(&message.destination, "destination id")?,
            version: message.version,
            request_id: message.request_id,
            content_hash: whole(message.content_hash_high, message.content_hash_low),
            actor: actor(message.actor),
        })
    }
}

impl Wire for RemoveTenant {
    type Message = proto::RemoveTenant;

    fn to_wire(&self) -> proto::RemoveTenant {
        proto::RemoveTenant {
            id: self.id.to_string(),
            version: self.version,
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::RemoveTenant) -> Result<Self, DecodeError> {
        Ok(Self {
            id: parsed(&message.id, "tenant id")?,
            version: message.version,
            request_id: message.request_id,
            actor: actor(message.actor),
        })
    }
}

impl Wire for RemoveDestination {
    type Message = proto::RemoveDestination;

    fn to_wire(&self) -> proto::RemoveDestination {
        proto::RemoveDestination {
            tenant: self.tenant.to_string(),
            id: self.id.to_string(),
            version: self.version,
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::RemoveDestination) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            id: parsed(&message.id, "destination id")?,
            version: message.version,
            request_id: message.request_id,
            actor: actor(message.actor),
        })
    }
}

impl Wire for RemoveRoute {
    type Message = proto::RemoveRoute;

    fn to_wire(&self) -> proto::RemoveRoute {
        proto::RemoveRoute {
            tenant: self.tenant.to_string(),
            id: self.id.to_string(),
            version: self.version,
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::RemoveRoute) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            id: parsed(&message.id, "route id")?,
            version: message.version,
            request_id: message.request_id,
            actor: actor(message.actor),
        })
    }
}

impl Wire for RotateCredential {
    type Message = proto::RotateCredential;

    fn to_wire(&self) -> proto::RotateCredential {
        proto::RotateCredential {
            tenant: self.tenant.to_string(),
            id: self.id.to_string(),
            credential: self.credential.clone(),
            overlap: self.overlap.0,
            version: self.version,
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::RotateCredential) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            id: parsed(&message.id, "destination id")?,
            credential: message.credential,
            overlap: Span(message.overlap),
            version: message.version,
            request_id: message.request_id,
            actor: actor(message.actor),
        })
    }
}

impl Wire for RewrapCredentials {
    type Message = proto::RewrapCredentials;

    fn to_wire(&self) -> proto::RewrapCredentials {
        proto::RewrapCredentials {
            credentials: all_to_wire(&self.credentials),
        }
    }

    fn from_wire(message: proto::RewrapCredentials) -> Result<Self, DecodeError> {
        Ok(Self {
            credentials: all_from_wire(message.credentials)?,
        })
    }
}

impl Wire for Rewrap {
    type Message = proto::Rewrap;

    fn to_wire(&self) -> proto::Rewrap {
        proto::Rewrap {
            partition: self.partition.number().into(),
            tenant: self.tenant.0,
            destination: self.destination.0,
            revision: self.revision,
            credential: self.credential.clone(),
            previous: all_to_wire(&self.previous),
        }
    }

    fn from_wire(message: proto::Rewrap) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            tenant: TenantNo(message.tenant),
            destination: DestinationNo(message.destination),
            revision: message.revision,
            credential: message.credential,
            previous: all_from_wire(message.previous)?,
        })
    }
}

impl Wire for PreviousCredential {
    type Message = proto::PreviousCredential;

    fn to_wire(&self) -> proto::PreviousCredential {
        proto::PreviousCredential {
            credential: self.credential.clone(),
            until: self.until.0,
        }
    }

    fn from_wire(message: proto::PreviousCredential) -> Result<Self, DecodeError> {
        Ok(Self {
            credential: message.credential,
            until: Timestamp(message.until),
        })
    }
}

impl Wire for CancelDeliveries {
    type Message = proto::CancelDeliveries;

    fn to_wire(&self) -> proto::CancelDeliveries {
        proto::CancelDeliveries {
            partition: self.partition.number().into(),
            tenant: self.tenant.0,
            destination: self.destination.0,
        }
    }

    fn from_wire(message: proto::CancelDeliveries) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            tenant: TenantNo(message.tenant),
            destination: DestinationNo(message.destination),
        })
    }
}
