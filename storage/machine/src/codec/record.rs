//! The tables' own rows: what the model has no word for.

use bytes::Bytes;
use prost::Message;

use pushrail_model::event::{Event, NewEvent};
use pushrail_model::ids::{BatchNumber, BootId, DestinationNo, EventId, EventSeq, TenantNo};
use pushrail_model::time::Timestamp;

use crate::codec::change::{actor, actor_to_wire};
use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::wire::{Wire, halves, parsed, partition, required, whole};
use crate::tables::carried::{Carried, EventCursor};
use crate::tables::cluster::{Clock, ClusterRow, NextTenant};
use crate::tables::counts::{CauseCount, CauseCounting, DestinationCounts, ShardCount};
use crate::tables::doors::DoorHead;
use crate::tables::idempotency::KeptKey;
use crate::tables::names::{DestinationPlace, TenantPlace};
use crate::tables::removed::Removal;
use crate::tables::requests::{KnownRequest, Led};

/// An event's row; its place stands in the key.
pub(crate) fn encode_event(new: &NewEvent, accepted: Timestamp, stripped: Option<Timestamp>) -> Bytes {
    let row = proto::Event {
        new: Some(new.to_wire()),
        accepted: accepted.0,
        stripped: stripped.map(|at| at.0),
    };
    row.encode_to_vec().into()
}

/// Reads what [`encode_event`] wrote.
pub(crate) fn decode_event(id: EventId, bytes: Bytes) -> Result<Event, DecodeError> {
    let row = proto::Event::decode(bytes)?;
    Ok(Event {
        id,
        new: required(row.new, "event")?,
        accepted: Timestamp(row.accepted),
        stripped: row.stripped.map(Timestamp),
    })
}

impl Wire for Clock {
    type Message = proto::Clock;

    fn to_wire(&self) -> proto::Clock {
        proto::Clock { now: self.0.0 }
    }

    fn from_wire(message: proto::Clock) -> Result<Self, DecodeError> {
        Ok(Self(Timestamp(message.now)))
    }
}

impl Wire for ClusterRow {
    type Message = proto::Cluster;

    fn to_wire(&self) -> proto::Cluster {
        let (cluster_high, cluster_low) = halves(self.cluster);
        proto::Cluster {
            cluster_high,
            cluster_low,
            hash_key: self.hash_key,
            created: self.created.0,
        }
    }

    fn from_wire(message: proto::Cluster) -> Result<Self, DecodeError> {
        Ok(Self {
            cluster: whole(message.cluster_high, message.cluster_low),
            hash_key: message.hash_key,
            created: Timestamp(message.created),
        })
    }
}

impl Wire for NextTenant {
    type Message = proto::NextTenant;

    fn to_wire(&self) -> proto::NextTenant {
        proto::NextTenant {
            number: self.number.0,
            spent_version: self.spent_version,
        }
    }

    fn from_wire(message: proto::NextTenant) -> Result<Self, DecodeError> {
        Ok(Self {
            number: TenantNo(message.number),
            spent_version: message.spent_version,
        })
    }
}

impl Wire for TenantPlace {
    type Message = proto::TenantPlace;

    fn to_wire(&self) -> proto::TenantPlace {
        proto::TenantPlace {
            partition: self.partition.number().into(),
            number: self.number.0,
        }
    }

    fn from_wire(message: proto::TenantPlace) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            number: TenantNo(message.number),
        })
    }
}

impl Wire for KnownRequest {
    type Message = proto::KnownRequest;

    fn to_wire(&self) -> proto::KnownRequest {
        let (content_hash_high, content_hash_low) = halves(self.content_hash);
        proto::KnownRequest {
            content_hash_high,
            content_hash_low,
            tenant: self.led.tenant.0,
            object: self.led.object,
            version: self.led.version,
            at: self.at.0,
        }
    }

    fn from_wire(message: proto::KnownRequest) -> Result<Self, DecodeError> {
        Ok(Self {
            content_hash: whole(message.content_hash_high, message.content_hash_low),
            led: Led {
                tenant: TenantNo(message.tenant),
                object: message.object,
                version: message.version,
            },
            at: Timestamp(message.at),
        })
    }
}

impl Wire for Removal {
    type Message = proto::Removal;

    fn to_wire(&self) -> proto::Removal {
        proto::Removal {
            tenant: self.tenant.to_string(),
            destination: self.destination.to_string(),
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
            cancelled: self.cancelled,
        }
    }

    fn from_wire(message: proto::Removal) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            destination: parsed(&message.destination, "destination id")?,
            request_id: message.request_id,
            actor: actor(message.actor),
            cancelled: message.cancelled,
        })
    }
}

impl Wire for DestinationPlace {
    type Message = proto::DestinationPlace;

    fn to_wire(&self) -> proto::DestinationPlace {
        proto::DestinationPlace { number: self.0.0 }
    }

    fn from_wire(message: proto::DestinationPlace) -> Result<Self, DecodeError> {
        Ok(Self(DestinationNo(message.number)))
    }
}

impl Wire for DoorHead {
    type Message = proto::DoorHead;

    fn to_wire(&self) -> proto::DoorHead {
        proto::DoorHead {
            boot: self.boot.0,
            lowest_open: self.lowest_open.0,
        }
    }

    fn from_wire(message: proto::DoorHead) -> Result<Self, DecodeError> {
        Ok(Self {
            boot: BootId(message.boot),
            lowest_open: BatchNumber(message.lowest_open),
        })
    }
}

impl Wire for KeptKey {
    type Message = proto::KeptKey;

    fn to_wire(&self) -> proto::KeptKey {
        let (content_hash_high, content_hash_low) = halves(self.content_hash);
        proto::KeptKey {
            key: self.key.clone(),
            content_hash_high,
            content_hash_low,
            event: Some(self.event.to_wire()),
            deliveries: self.deliveries,
            accepted: self.accepted.0,
        }
    }

    fn from_wire(message: proto::KeptKey) -> Result<Self, DecodeError> {
        Ok(Self {
            key: message.key,
            content_hash: whole(message.content_hash_high, message.content_hash_low),
            event: required(message.event, "event")?,
            deliveries: message.deliveries,
            accepted: Timestamp(message.accepted),
        })
    }
}

impl Wire for DestinationCounts {
    type Message = proto::DestinationCounts;

    fn to_wire(&self) -> proto::DestinationCounts {
        proto::DestinationCounts {
            scheduled: self.scheduled,
            dead: self.dead,
            delivered: self.delivered,
            expired: self.expired,
            delivered_dropped: self.delivered_dropped,
            expired_dropped: self.expired_dropped,
            discarded: self.discarded,
            discarded_dropped: self.discarded_dropped,
        }
    }

    fn from_wire(message: proto::DestinationCounts) -> Result<Self, DecodeError> {
        Ok(Self {
            scheduled: message.scheduled,
            dead: message.dead,
            delivered: message.delivered,
            expired: message.expired,
            delivered_dropped: message.delivered_dropped,
            expired_dropped: message.expired_dropped,
            discarded: message.discarded,
            discarded_dropped: message.discarded_dropped,
        })
    }
}

impl Wire for CauseCount {
    type Message = proto::CauseCount;

    fn to_wire(&self) -> proto::CauseCount {
        proto::CauseCount { dead: self.0 }
    }

    fn from_wire(message: proto::CauseCount) -> Result<Self, DecodeError> {
        Ok(Self(message.dead))
    }
}

impl Wire for CauseCounting {
    type Message = proto::CauseCounting;

    fn to_wire(&self) -> proto::CauseCounting {
        proto::CauseCounting {
            counted_to: self.counted_to.clone(),
            done: self.done,
        }
    }

    fn from_wire(message: proto::CauseCounting) -> Result<Self, DecodeError> {
        Ok(Self {
            counted_to: message.counted_to,
            done: message.done,
        })
    }
}

impl Wire for ShardCount {
    type Message = proto::ShardCount;

    fn to_wire(&self) -> proto::ShardCount {
        proto::ShardCount { scheduled: self.0 }
    }

    fn from_wire(message: proto::ShardCount) -> Result<Self, DecodeError> {
        Ok(Self(message.scheduled))
    }
}

impl Wire for EventCursor {
    type Message = proto::EventCursor;

    fn to_wire(&self) -> proto::EventCursor {
        proto::EventCursor {
            index: self.0.index,
            position: self.0.position,
        }
    }

    fn from_wire(message: proto::EventCursor) -> Result<Self, DecodeError> {
        Ok(Self(EventSeq {
            index: message.index,
            position: message.position,
        }))
    }
}

impl Wire for Carried {
    type Message = proto::Carried;

    fn to_wire(&self) -> proto::Carried {
        proto::Carried {
            destinations: self
                .destinations
                .iter()
                .map(|destination| destination.0)
                .collect(),
            stripped: self.stripped,
        }
    }

    fn from_wire(message: proto::Carried) -> Result<Self, DecodeError> {
        Ok(Self {
            destinations: message.destinations.into_iter().map(DestinationNo).collect(),
            stripped: message.stripped,
        })
    }
}
