//! The leader's upkeep: commands that drop what is over.

use pushrail_model::command::{Bucketed, DropBuckets, DropCarried, DropEvents, ExpireDeadLetters, LetterRef};
use pushrail_model::ids::{DestinationNo, EventSeq, JobNo, TenantNo};
use pushrail_model::requests::{DropRequests, Left, RequestRow};
use pushrail_model::time::Timestamp;

use crate::codec::change::{actor, actor_to_wire};
use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::wire::{
    Wire, all_from_wire, all_to_wire, chosen, invalid, partition, present, required, wire_enum,
};

wire_enum!(Bucketed, Bucketed, "bucketed rows", { Attempts, IdempotencyKeys, Requests });

impl Wire for DropBuckets {
    type Message = proto::DropBuckets;

    fn to_wire(&self) -> proto::DropBuckets {
        proto::DropBuckets {
            partition: self.partition.number().into(),
            rows: self.rows.to_wire(),
            bucket: self.bucket,
            tenants: self.tenants.iter().map(|tenant| tenant.0).collect(),
        }
    }

    fn from_wire(message: proto::DropBuckets) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            rows: Bucketed::from_wire(message.rows)?,
            bucket: message.bucket,
            tenants: message.tenants.into_iter().map(TenantNo).collect(),
        })
    }
}

impl Wire for LetterRef {
    type Message = proto::LetterRef;

    fn to_wire(&self) -> proto::LetterRef {
        proto::LetterRef {
            delivery: Some(self.delivery.to_wire()),
            died: self.died.0,
        }
    }

    fn from_wire(message: proto::LetterRef) -> Result<Self, DecodeError> {
        Ok(Self {
            delivery: required(message.delivery, "delivery")?,
            died: Timestamp(message.died),
        })
    }
}

impl Wire for ExpireDeadLetters {
    type Message = proto::ExpireDeadLetters;

    fn to_wire(&self) -> proto::ExpireDeadLetters {
        proto::ExpireDeadLetters {
            partition: self.partition.number().into(),
            letters: all_to_wire(&self.letters),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::ExpireDeadLetters) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            letters: all_from_wire(message.letters)?,
            actor: actor(message.actor),
        })
    }
}

impl Wire for DropEvents {
    type Message = proto::DropEvents;

    fn to_wire(&self) -> proto::DropEvents {
        proto::DropEvents {
            partition: self.partition.number().into(),
            tenant: self.tenant.0,
            from_index: self.from.index,
            from_position: self.from.position,
            events: Some(seqs_to_wire(&self.events)),
            destinations: self
                .destinations
                .iter()
                .map(|destination| destination.0)
                .collect(),
        }
    }

    fn from_wire(message: proto::DropEvents) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            tenant: TenantNo(message.tenant),
            from: EventSeq {
                index: message.from_index,
                position: message.from_position,
            },
            events: seqs_from_wire(message.events)?,
            destinations: message.destinations.into_iter().map(DestinationNo).collect(),
        })
    }
}

impl Wire for DropCarried {
    type Message = proto::DropCarried;

    fn to_wire(&self) -> proto::DropCarried {
        proto::DropCarried {
            partition: self.partition.number().into(),
            tenant: self.tenant.0,
            events: Some(seqs_to_wire(&self.events)),
        }
    }

    fn from_wire(message: proto::DropCarried) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            tenant: TenantNo(message.tenant),
            events: seqs_from_wire(message.events)?,
        })
    }
}

impl Wire for RequestRow {
    type Message = proto::RequestRow;

    fn to_wire(&self) -> proto::RequestRow {
        use proto::request_row::Left as Kind;
        proto::RequestRow {
            tenant: self.tenant.0,
            left: Some(match &self.left {
                Left::Replay(request_id) => Kind::Replay(request_id.clone()),
                Left::Job(job) => Kind::Job(job.0),
            }),
        }
    }

    fn from_wire(message: proto::RequestRow) -> Result<Self, DecodeError> {
        use proto::request_row::Left as Kind;
        Ok(Self {
            tenant: TenantNo(message.tenant),
            left: match chosen(message.left, "what is left")? {
                Kind::Replay(request_id) => Left::Replay(request_id),
                Kind::Job(job) => Left::Job(JobNo(job)),
            },
        })
    }
}

impl Wire for DropRequests {
    type Message = proto::DropRequests;

    fn to_wire(&self) -> proto::DropRequests {
        proto::DropRequests {
            partition: self.partition.number().into(),
            rows: all_to_wire(&self.rows),
        }
    }

    fn from_wire(message: proto::DropRequests) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            rows: all_from_wire(message.rows)?,
        })
    }
}

fn seqs_to_wire(seqs: &[EventSeq]) -> proto::EventSeqs {
    proto::EventSeqs {
        indexes: seqs.iter().map(|seq| seq.index).collect(),
        positions: seqs.iter().map(|seq| seq.position).collect(),
    }
}

fn seqs_from_wire(message: Option<proto::EventSeqs>) -> Result<Vec<EventSeq>, DecodeError> {
    let message = present(message, "events")?;
    if message.indexes.len() != message.positions.len() {
        return Err(invalid("events", "lists of two lengths"));
    }
    let pairs = message.indexes.into_iter().zip(message.positions);
    Ok(pairs
        .map(|(index, position)| EventSeq { index, position })
        .collect())
}
