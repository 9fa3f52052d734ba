//! Jobs over dead letters: their commands, and as they are kept.

use pushrail_model::command::{AdvanceJob, CancelJob, CountCauses, DiscardDeadLetters, StartJob};
use pushrail_model::ids::{DestinationNo, EventSeq, JobNo, TenantNo};
use pushrail_model::job::{Job, JobCursor, JobKind, JobState};
use pushrail_model::outcome::Cause;
use pushrail_model::time::Timestamp;

use crate::codec::change::{actor, actor_to_wire};
use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::wire::{Wire, all_from_wire, all_to_wire, parsed, partition, required, wire_enum};

wire_enum!(JobKind, JobKind, "kind of job", { Replay, Discard });
wire_enum!(JobState, JobState, "job state", { Running, Done, Cancelled });

/// Of any cause: unspecified.
pub(super) fn cause_to_wire(cause: Option<Cause>) -> i32 {
    cause.map_or(proto::Cause::Unspecified.into(), |cause| cause.to_wire())
}

/// The other way.
pub(super) fn cause_from_wire(message: i32) -> Result<Option<Cause>, DecodeError> {
    if message == i32::from(proto::Cause::Unspecified) {
        return Ok(None);
    }
    Cause::from_wire(message).map(Some)
}

impl Wire for JobCursor {
    type Message = proto::JobCursor;

    fn to_wire(&self) -> proto::JobCursor {
        proto::JobCursor {
            died: self.died.0,
            index: self.seq.index,
            position: self.seq.position,
        }
    }

    fn from_wire(message: proto::JobCursor) -> Result<Self, DecodeError> {
        Ok(Self {
            died: Timestamp(message.died),
            seq: EventSeq {
                index: message.index,
                position: message.position,
            },
        })
    }
}

impl Wire for Job {
    type Message = proto::Job;

    fn to_wire(&self) -> proto::Job {
        proto::Job {
            number: self.number.0,
            kind: self.kind.to_wire(),
            destination: self.destination.0,
            cause: cause_to_wire(self.cause),
            actor: self.actor.clone(),
            request_id: self.request_id.clone(),
            started: self.started.0,
            cursor: Some(self.cursor.to_wire()),
            total: self.total,
            taken: self.taken,
            passed: self.passed,
            state: self.state.to_wire(),
            ended: self.ended.map(|at| at.0),
            ended_by: self.ended_by.clone(),
            on_record: actor_to_wire(self.on_record.as_ref()),
        }
    }

    fn from_wire(message: proto::Job) -> Result<Self, DecodeError> {
        Ok(Self {
            number: JobNo(message.number),
            kind: JobKind::from_wire(message.kind)?,
            destination: DestinationNo(message.destination),
            cause: cause_from_wire(message.cause)?,
            actor: message.actor,
            request_id: message.request_id,
            started: Timestamp(message.started),
            cursor: required(message.cursor, "cursor")?,
            total: message.total,
            taken: message.taken,
            passed: message.passed,
            state: JobState::from_wire(message.state)?,
            ended: message.ended.map(Timestamp),
            ended_by: message.ended_by,
            on_record: actor(message.on_record),
        })
    }
}

impl Wire for DiscardDeadLetters {
    type Message = proto::DiscardDeadLetters;

    fn to_wire(&self) -> proto::DiscardDeadLetters {
        proto::DiscardDeadLetters {
            tenant: self.tenant.to_string(),
            former_actor: self.former_actor.clone(),
            deliveries: all_to_wire(&self.deliveries),
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::DiscardDeadLetters) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            former_actor: message.former_actor,
            deliveries: all_from_wire(message.deliveries)?,
            request_id: message.request_id,
            actor: actor(message.actor),
        })
    }
}

impl Wire for StartJob {
    type Message = proto::StartJob;

    fn to_wire(&self) -> proto::StartJob {
        proto::StartJob {
            tenant: self.tenant.to_string(),
            kind: self.kind.to_wire(),
            destination: self.destination.to_string(),
            cause: cause_to_wire(self.cause),
            former_actor: self.former_actor.clone(),
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::StartJob) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            kind: JobKind::from_wire(message.kind)?,
            destination: parsed(&message.destination, "destination id")?,
            cause: cause_from_wire(message.cause)?,
            former_actor: message.former_actor,
            request_id: message.request_id,
            actor: actor(message.actor),
        })
    }
}

impl Wire for AdvanceJob {
    type Message = proto::AdvanceJob;

    fn to_wire(&self) -> proto::AdvanceJob {
        proto::AdvanceJob {
            partition: self.partition.number().into(),
            tenant: self.tenant.0,
            job: self.job.0,
            from: Some(self.from.to_wire()),
            taken_max: self.taken_max,
            read_max: self.read_max,
        }
    }

    fn from_wire(message: proto::AdvanceJob) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            tenant: TenantNo(message.tenant),
            job: JobNo(message.job),
            from: required(message.from, "cursor")?,
            taken_max: message.taken_max,
            read_max: message.read_max,
        })
    }
}

impl Wire for CancelJob {
    type Message = proto::CancelJob;

    fn to_wire(&self) -> proto::CancelJob {
        proto::CancelJob {
            tenant: self.tenant.to_string(),
            job: self.job.0,
            former_actor: self.former_actor.clone(),
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::CancelJob) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            job: JobNo(message.job),
            former_actor: message.former_actor,
            request_id: message.request_id,
            actor: actor(message.actor),
        })
    }
}

impl Wire for CountCauses {
    type Message = proto::CountCauses;

    fn to_wire(&self) -> proto::CountCauses {
        proto::CountCauses {
            from: self.from.clone(),
            read_max: self.read_max,
        }
    }

    fn from_wire(message: proto::CountCauses) -> Result<Self, DecodeError> {
        Ok(Self {
            from: message.from,
            read_max: message.read_max,
        })
    }
}
