//! The change log, and who stands in it.

use pushrail_model::change::{Actor, Change, Deed, Fact, Image};
use pushrail_model::destination::DestinationState;
use pushrail_model::ids::{DeliveryId, JobNo, NodeId};
use pushrail_model::job::{JobKind, JobState};
use pushrail_model::time::Timestamp;

use crate::codec::error::DecodeError;
use crate::codec::job::{cause_from_wire, cause_to_wire};
use crate::codec::proto;
use crate::codec::tenant::{heard, said};
use crate::codec::wire::{
    Wire, all_from_wire, all_to_wire, chosen, narrowed, parsed, present, required, wire_enum,
};

wire_enum!(Fact, ChangeFact, "fact", {
    TenantCreated,
    TenantUpdated,
    TenantRemoved,
    DestinationCreated,
    DestinationUpdated,
    DestinationPaused,
    DestinationResumed,
    DestinationRemoved,
    DeliveriesCancelled,
    CredentialRotated,
    RouteCreated,
    RouteUpdated,
    RouteRemoved,
    DeadLettersReplayed,
    DeadLettersDiscarded,
    DeadLettersExpired,
    JobStarted,
    JobDone,
    JobCancelled,
    DestinationDisabled,
});

/// Who asked, where a command says so.
pub(super) fn actor(message: Option<proto::Actor>) -> Option<Actor> {
    message.map(|message| Actor {
        name: message.name,
        address: message.address,
        door: NodeId(message.door),
    })
}

/// The other way.
pub(super) fn actor_to_wire(actor: Option<&Actor>) -> Option<proto::Actor> {
    actor.map(|actor| proto::Actor {
        name: actor.name.clone(),
        address: actor.address.clone(),
        door: actor.door.0,
    })
}

impl Wire for Image {
    type Message = proto::Image;

    fn to_wire(&self) -> proto::Image {
        use proto::destination_image::State;
        use proto::image::Image as Kind;
        proto::Image {
            image: Some(match self {
                Self::Tenant {
                    description,
                    retention,
                } => Kind::Tenant(proto::TenantImage {
                    description: description.clone(),
                    retention: said(retention),
                }),
                Self::Destination { spec, state } => Kind::Destination(proto::DestinationImage {
                    spec: Some(spec.to_wire()),
                    state: Some(match state {
                        DestinationState::Active => State::Active(proto::DestinationActive {}),
                        DestinationState::Paused => State::Paused(proto::DestinationPaused {}),
                        DestinationState::Disabled { why } => {
                            State::Disabled(proto::DestinationDisabled { why: why.clone() })
                        }
                        DestinationState::Removed { at, by } => State::Removed(proto::DestinationRemoved {
                            at: at.0,
                            by: by.clone(),
                        }),
                    }),
                }),
                Self::Route { pattern, destination } => Kind::Route(proto::RouteImage {
                    pattern: pattern.to_string(),
                    destination: destination.to_string(),
                }),
                Self::Job {
                    kind,
                    cause,
                    state,
                    total,
                    taken,
                    passed,
                } => Kind::Job(proto::JobImage {
                    kind: kind.to_wire(),
                    cause: cause_to_wire(*cause),
                    state: state.to_wire(),
                    total: *total,
                    taken: *taken,
                    passed: *passed,
                }),
            }),
        }
    }

    fn from_wire(message: proto::Image) -> Result<Self, DecodeError> {
        use proto::destination_image::State;
        use proto::image::Image as Kind;
        Ok(match chosen(message.image, "image")? {
            Kind::Tenant(tenant) => Self::Tenant {
                description: tenant.description,
                retention: heard(tenant.retention),
            },
            Kind::Destination(destination) => Self::Destination {
                spec: Box::new(required(destination.spec, "destination spec")?),
                state: match chosen(destination.state, "destination state")? {
                    State::Active(proto::DestinationActive {}) => DestinationState::Active,
                    State::Paused(proto::DestinationPaused {}) => DestinationState::Paused,
                    State::Disabled(proto::DestinationDisabled { why }) => DestinationState::Disabled { why },
                    State::Removed(proto::DestinationRemoved { at, by }) => DestinationState::Removed {
                        at: Timestamp(at),
                        by,
                    },
                },
            },
            Kind::Route(route) => Self::Route {
                pattern: parsed(&route.pattern, "pattern")?,
                destination: parsed(&route.destination, "destination id")?,
            },
            Kind::Job(job) => Self::Job {
                kind: JobKind::from_wire(job.kind)?,
                cause: cause_from_wire(job.cause)?,
                state: JobState::from_wire(job.state)?,
                total: job.total,
                taken: job.taken,
                passed: job.passed,
            },
        })
    }
}

impl Wire for DeliveryId {
    type Message = proto::DeliveryId;

    fn to_wire(&self) -> proto::DeliveryId {
        proto::DeliveryId {
            event: Some(self.event.to_wire()),
            place: self.place.into(),
        }
    }

    fn from_wire(message: proto::DeliveryId) -> Result<Self, DecodeError> {
        Ok(Self {
            event: required(message.event, "event")?,
            place: narrowed(message.place, "place")?,
        })
    }
}

impl Wire for Deed {
    type Message = proto::Deed;

    fn to_wire(&self) -> proto::Deed {
        proto::Deed {
            tenant: self.tenant.to_string(),
            object: self.object.clone(),
            fact: self.fact.to_wire(),
            version: self.version,
            before: self.before.as_ref().map(Image::to_wire),
            after: self.after.as_ref().map(Image::to_wire),
            count: self.count,
            deliveries: all_to_wire(&self.deliveries),
            overlap_until: self.overlap_until.map(|until| until.0),
            job: self.job.map(|job| job.0),
        }
    }

    fn from_wire(message: proto::Deed) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            object: message.object,
            fact: Fact::from_wire(message.fact)?,
            version: message.version,
            before: message.before.map(Image::from_wire).transpose()?,
            after: message.after.map(Image::from_wire).transpose()?,
            count: message.count,
            deliveries: all_from_wire(message.deliveries)?,
            overlap_until: message.overlap_until.map(Timestamp),
            job: message.job.map(JobNo),
        })
    }
}

impl Wire for Change {
    type Message = proto::Change;

    fn to_wire(&self) -> proto::Change {
        proto::Change {
            at: self.at.0,
            actor: actor_to_wire(Some(&self.actor)),
            request_id: self.request_id.clone(),
            deed: Some(self.deed.to_wire()),
        }
    }

    fn from_wire(message: proto::Change) -> Result<Self, DecodeError> {
        Ok(Self {
            at: Timestamp(message.at),
            actor: present(actor(message.actor), "actor")?,
            request_id: message.request_id,
            deed: required(message.deed, "deed")?,
        })
    }
}
