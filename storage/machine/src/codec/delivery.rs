//! Deliveries and dead letters, as they are kept.

use pushrail_model::dead_letter::DeadLetter;
use pushrail_model::delivery::{AttemptMark, Delivery, DeliveryState};
use pushrail_model::ids::{AttemptNumber, Epoch, Run};
use pushrail_model::outcome::Cause;
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::DeathReason;

use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::wire::{Wire, all_from_wire, all_to_wire, chosen, narrowed, required};

impl Wire for Delivery {
    type Message = proto::Delivery;

    fn to_wire(&self) -> proto::Delivery {
        use proto::delivery::State;
        proto::Delivery {
            place: self.place.into(),
            state: Some(match self.state {
                DeliveryState::Scheduled { due } => State::Scheduled(proto::Scheduled { due: due.0 }),
                DeliveryState::Delivered { at } => State::Delivered(proto::Delivered { at: at.0 }),
                DeliveryState::Dead { at, reason } => State::Dead(proto::Dead {
                    at: at.0,
                    reason: reason.to_wire(),
                }),
                DeliveryState::Expired { at, died, reason } => State::Expired(proto::Expired {
                    at: at.0,
                    died: died.0,
                    reason: reason.to_wire(),
                }),
                DeliveryState::Discarded { at } => State::Discarded(proto::Discarded { at: at.0 }),
                DeliveryState::Cancelled { at } => State::Cancelled(proto::Cancelled { at: at.0 }),
            }),
            run: self.run.0,
            attempts_made: self.attempts_made,
            first_due: self.first_due.0,
            held_before: self.held_before.0,
            retries_max: self.retries_max,
            marks: all_to_wire(&self.marks),
            discarded_by: self.discarded_by.clone(),
        }
    }

    fn from_wire(message: proto::Delivery) -> Result<Self, DecodeError> {
        use proto::delivery::State;
        Ok(Self {
            place: narrowed(message.place, "place")?,
            state: match chosen(message.state, "delivery state")? {
                State::Scheduled(scheduled) => DeliveryState::Scheduled {
                    due: Timestamp(scheduled.due),
                },
                State::Delivered(delivered) => DeliveryState::Delivered {
                    at: Timestamp(delivered.at),
                },
                State::Dead(dead) => DeliveryState::Dead {
                    at: Timestamp(dead.at),
                    reason: DeathReason::from_wire(dead.reason)?,
                },
                State::Expired(expired) => DeliveryState::Expired {
                    at: Timestamp(expired.at),
                    died: Timestamp(expired.died),
                    reason: DeathReason::from_wire(expired.reason)?,
                },
                State::Discarded(discarded) => DeliveryState::Discarded {
                    at: Timestamp(discarded.at),
                },
                State::Cancelled(cancelled) => DeliveryState::Cancelled {
                    at: Timestamp(cancelled.at),
                },
            },
            run: Run(message.run),
            attempts_made: message.attempts_made,
            first_due: Timestamp(message.first_due),
            held_before: Span(message.held_before),
            retries_max: message.retries_max,
            marks: all_from_wire(message.marks)?,
            discarded_by: message.discarded_by,
        })
    }
}

impl Wire for AttemptMark {
    type Message = proto::AttemptMark;

    fn to_wire(&self) -> proto::AttemptMark {
        proto::AttemptMark {
            start: self.start.0,
            run: self.run.0,
            number: self.number.0,
            epoch: self.epoch.0,
        }
    }

    fn from_wire(message: proto::AttemptMark) -> Result<Self, DecodeError> {
        Ok(Self {
            start: Timestamp(message.start),
            run: Run(message.run),
            number: AttemptNumber(message.number),
            epoch: Epoch(message.epoch),
        })
    }
}

impl Wire for DeadLetter {
    type Message = proto::DeadLetter;

    fn to_wire(&self) -> proto::DeadLetter {
        proto::DeadLetter {
            delivery: Some(self.delivery.to_wire()),
            place: self.place.into(),
            died: self.died.0,
            run: self.run.0,
            reason: self.reason.to_wire(),
            cause: self.cause.to_wire(),
            status: self.status.map(u32::from),
            detail: self.detail.clone(),
            attempts_made: self.attempts_made,
        }
    }

    fn from_wire(message: proto::DeadLetter) -> Result<Self, DecodeError> {
        Ok(Self {
            delivery: required(message.delivery, "delivery")?,
            place: narrowed(message.place, "place")?,
            died: Timestamp(message.died),
            run: Run(message.run),
            reason: DeathReason::from_wire(message.reason)?,
            cause: Cause::from_wire(message.cause)?,
            status: message
                .status
                .map(|status| narrowed(status, "status"))
                .transpose()?,
            detail: message.detail,
            attempts_made: message.attempts_made,
        })
    }
}
