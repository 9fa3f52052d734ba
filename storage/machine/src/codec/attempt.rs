//! Attempts: as owners report them and as the log keeps them.

use bytes::Bytes;
use prost::Message;

use pushrail_model::attempt::{Attempt, AttemptRecord};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::{AttemptNumber, DestinationNo, Epoch, EventSeq, NodeId, Run, TenantNo};
use pushrail_model::outcome::{Cause, Failure, FailureClass, Observed, Outcome};
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::wire::{Wire, chosen, narrowed, partition, required, wire_enum};

wire_enum!(FailureClass, FailureClass, "failure class", { Transient, Permanent });
wire_enum!(Cause, Cause, "cause", {
    Duplicate, Network, Timeout, Throttle, Server, Auth, Missing, Rejected, TooLarge, Bystander, Unknown,
});
wire_enum!(DeathReason, DeathReason, "death reason", { Permanent, AttemptsExhausted, WindowExhausted });

/// An attempt's row, from its parts: the owner's report need not be copied.
pub(crate) fn encode_attempt_record(
    attempt: &Attempt,
    recorded: Timestamp,
    effective: bool,
    next_due: Option<Timestamp>,
) -> Bytes {
    let row = proto::AttemptRecord {
        attempt: Some(attempt.to_wire()),
        recorded: recorded.0,
        effective,
        next_due: next_due.map(|due| due.0),
    };
    row.encode_to_vec().into()
}

impl Wire for DeliveryKey {
    type Message = proto::DeliveryKey;

    fn to_wire(&self) -> proto::DeliveryKey {
        proto::DeliveryKey {
            partition: self.partition.number().into(),
            tenant: self.tenant.0,
            destination: self.destination.0,
            index: self.seq.index,
            position: self.seq.position,
        }
    }

    fn from_wire(message: proto::DeliveryKey) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            tenant: TenantNo(message.tenant),
            destination: DestinationNo(message.destination),
            seq: EventSeq {
                index: message.index,
                position: message.position,
            },
        })
    }
}

impl Wire for Attempt {
    type Message = proto::Attempt;

    fn to_wire(&self) -> proto::Attempt {
        proto::Attempt {
            delivery: Some(self.delivery.to_wire()),
            run: self.run.0,
            number: self.number.0,
            epoch: self.epoch.0,
            node: self.node.0,
            start: self.start.0,
            took: self.took.0,
            failure: match &self.outcome {
                Outcome::Delivered => None,
                Outcome::Failed(failure) => Some(failure.to_wire()),
            },
            observed: Some(self.observed.to_wire()),
            verdict: Some(self.verdict.to_wire()),
            place: self.place.map(u32::from),
        }
    }

    fn from_wire(message: proto::Attempt) -> Result<Self, DecodeError> {
        Ok(Self {
            delivery: required(message.delivery, "delivery")?,
            run: Run(message.run),
            number: AttemptNumber(message.number),
            epoch: Epoch(message.epoch),
            node: NodeId(message.node),
            start: Timestamp(message.start),
            took: Span(message.took),
            outcome: match message.failure {
                None => Outcome::Delivered,
                Some(failure) => Outcome::Failed(Failure::from_wire(failure)?),
            },
            observed: required(message.observed, "observed")?,
            verdict: required(message.verdict, "verdict")?,
            place: message.place.map(|place| narrowed(place, "place")).transpose()?,
        })
    }
}

impl Wire for Failure {
    type Message = proto::Failure;

    fn to_wire(&self) -> proto::Failure {
        proto::Failure {
            class: self.class.to_wire(),
            cause: self.cause.to_wire(),
            disables: self.disables,
            floors: self.floors,
            why: self.why.clone(),
        }
    }

    fn from_wire(message: proto::Failure) -> Result<Self, DecodeError> {
        Ok(Self {
            class: FailureClass::from_wire(message.class)?,
            cause: Cause::from_wire(message.cause)?,
            disables: message.disables,
            floors: message.floors,
            why: message.why,
        })
    }
}

impl Wire for Observed {
    type Message = proto::Observed;

    fn to_wire(&self) -> proto::Observed {
        proto::Observed {
            status: self.status.map(u32::from),
            detail: self.detail.clone(),
            excerpt: self.excerpt.clone(),
            excerpt_cut: self.excerpt_cut,
            retry_after: self.retry_after.map(|span| span.0),
            remote: self.remote.clone(),
        }
    }

    fn from_wire(message: proto::Observed) -> Result<Self, DecodeError> {
        Ok(Self {
            status: message
                .status
                .map(|status| narrowed(status, "status"))
                .transpose()?,
            detail: message.detail,
            excerpt: message.excerpt,
            excerpt_cut: message.excerpt_cut,
            retry_after: message.retry_after.map(Span),
            remote: message.remote,
        })
    }
}

impl Wire for Verdict {
    type Message = proto::Verdict;

    fn to_wire(&self) -> proto::Verdict {
        use proto::verdict::Verdict as Kind;
        proto::Verdict {
            verdict: Some(match *self {
                Self::Settle => Kind::Settle(proto::Settle {}),
                Self::Retry {
                    after,
                    window,
                    retries_max,
                } => Kind::Retry(proto::Retry {
                    after: after.0,
                    window: window.0,
                    retries_max,
                }),
                Self::Bury(reason) => Kind::Bury(reason.to_wire()),
            }),
        }
    }

    fn from_wire(message: proto::Verdict) -> Result<Self, DecodeError> {
        use proto::verdict::Verdict as Kind;
        Ok(match chosen(message.verdict, "verdict")? {
            Kind::Settle(proto::Settle {}) => Self::Settle,
            Kind::Retry(retry) => Self::Retry {
                after: Span(retry.after),
                window: Span(retry.window),
                retries_max: retry.retries_max,
            },
            Kind::Bury(reason) => Self::Bury(DeathReason::from_wire(reason)?),
        })
    }
}

impl Wire for AttemptRecord {
    type Message = proto::AttemptRecord;

    fn to_wire(&self) -> proto::AttemptRecord {
        proto::AttemptRecord {
            attempt: Some(self.attempt.to_wire()),
            recorded: self.recorded.0,
            effective: self.effective,
            next_due: self.next_due.map(|due| due.0),
        }
    }

    fn from_wire(message: proto::AttemptRecord) -> Result<Self, DecodeError> {
        Ok(Self {
            attempt: required(message.attempt, "attempt")?,
            recorded: Timestamp(message.recorded),
            effective: message.effective,
            next_due: message.next_due.map(Timestamp),
        })
    }
}
