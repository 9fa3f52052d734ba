//! `RecordAttempts`: puts attempts on record and follows their verdicts as far as they are still allowed. Attempts
//! may come late, from an owner that was cut off or from the run before a replay: each is on record all the same.

use pushrail_model::attempt::Attempt;
use pushrail_model::change::{Actor, Deed, Fact};
use pushrail_model::command::RecordAttempts;
use pushrail_model::delivery::{Delivery, DeliveryState};
use pushrail_model::destination::DestinationState;
use pushrail_model::ids::Epoch;
use pushrail_model::limits;
use pushrail_model::outcome::Outcome;
use pushrail_model::response::{AttemptAnswer, Response};
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;
use pushrail_model::verdict::{DeathReason, Verdict};

use crate::attempts;
use crate::changes;
use crate::context::{Context, Lane};
use crate::keys::{DestinationKey, Key};
use crate::lifecycle;
use crate::reject;
use crate::store::StoreError;
use crate::tables::{self, damaged, names};

/// Who disables a destination, on record.
const RECEIVER: &str = "receiver";

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &RecordAttempts,
) -> Result<Response, StoreError> {
    if command.attempts.len() > limits::COMMAND_ATTEMPTS_MAX {
        let limit = u64::try_from(limits::COMMAND_ATTEMPTS_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("attempts in a command", limit));
    }
    let answers = command
        .attempts
        .iter()
        .map(|attempt| record(context, command.partition, attempt))
        .collect::<Result<_, _>>()?;
    Ok(Response::Attempts(answers))
}

fn record(
    context: &mut Context<'_, '_>,
    partition: Partition,
    attempt: &Attempt,
) -> Result<AttemptAnswer, StoreError> {
    let key = &attempt.delivery;
    if key.partition != partition {
        return Ok(AttemptAnswer::Unknown);
    }
    let Some(mut delivery) = tables::get(context.txn, key)? else {
        return Ok(AttemptAnswer::Unknown);
    };
    if attempts::on_record(context.txn, &delivery, attempt)? {
        return Ok(AttemptAnswer::Repeated);
    }
    if !could_have_been_made(attempt, &delivery) {
        return Ok(AttemptAnswer::Unknown);
    }
    let lane = lane_of(context, attempt)?;
    let epoch = context.epoch(lane.queue.shard)?;

    let step = next_step(attempt, &delivery, epoch, lane, context.now);
    let next_due = match step {
        Step::Retry { due, .. } => Some(due),
        Step::Settle | Step::Bury(_) | Step::Nothing => None,
    };
    attempts::record(context, &mut delivery, attempt, step != Step::Nothing, next_due);
    match step {
        Step::Settle => {
            delivery.attempts_made = delivery.attempts_made.max(attempt.number.0);
            lifecycle::settle(context, lane, key, delivery)?;
        }
        Step::Retry { due, retries_max } => {
            delivery.attempts_made = attempt.number.0;
            delivery.retries_max = retries_max;
            lifecycle::schedule(context, lane, key, delivery, due)?;
            disable_if_told(context, attempt)?;
        }
        Step::Bury(reason) => {
            delivery.attempts_made = attempt.number.0;
            lifecycle::bury(context, lane, key, delivery, reason, attempt)?;
            disable_if_told(context, attempt)?;
        }
        Step::Nothing => {
            lifecycle::remember(context, key, &delivery);
            return Ok(AttemptAnswer::Late);
        }
    }
    Ok(AttemptAnswer::Effective)
}

/// What an attempt moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Settle,
    Retry { due: Timestamp, retries_max: u32 },
    Bury(DeathReason),
    Nothing,
}

/// What the verdict moves. A success settles its own run, whoever made it, for it is true, but for what somebody has
/// discarded; a failure counts only from the present epoch and run, as the next attempt.
fn next_step(attempt: &Attempt, delivery: &Delivery, epoch: Epoch, lane: Lane, now: Timestamp) -> Step {
    let this_run = attempt.run == delivery.run;
    let next = this_run
        && attempt.epoch == epoch
        && attempt.number.0 == delivery.attempts_made + 1
        && matches!(delivery.state, DeliveryState::Scheduled { .. });
    match attempt.verdict {
        Verdict::Settle if this_run && may_settle(delivery.state) => Step::Settle,
        Verdict::Retry {
            after,
            window,
            retries_max,
        } if next => {
            let due = now.plus(after);
            if due > lifecycle::last_retry(lane, delivery, window) {
                Step::Bury(DeathReason::WindowExhausted)
            } else {
                Step::Retry { due, retries_max }
            }
        }
        Verdict::Bury(reason) if next => Step::Bury(reason),
        Verdict::Settle | Verdict::Retry { .. } | Verdict::Bury(_) => Step::Nothing,
    }
}

/// A success is true of what waits and of what was given up; what was cancelled stays so.
fn may_settle(state: DeliveryState) -> bool {
    match state {
        DeliveryState::Scheduled { .. } | DeliveryState::Dead { .. } | DeliveryState::Expired { .. } => true,
        DeliveryState::Delivered { .. }
        | DeliveryState::Discarded { .. }
        | DeliveryState::Cancelled { .. } => false,
    }
}

/// Whether any state can have led an owner to this attempt: within a run, attempts are numbered without a gap.
fn could_have_been_made(attempt: &Attempt, delivery: &Delivery) -> bool {
    let number = attempt.number.0;
    if attempt.run == delivery.run {
        return (1..=delivery.attempts_made + 1).contains(&number);
    }
    let of_that_run = delivery.marks.iter().filter(|mark| mark.run == attempt.run);
    match of_that_run.map(|mark| mark.number.0).max() {
        Some(last) => attempt.run < delivery.run && (1..=last).contains(&number),
        // Forgotten by its delivery: older than all that it remembers.
        None => {
            attempt.run < delivery.run
                && attempt.run.0 >= 1
                && number >= 1
                && delivery.marks.len() >= limits::ATTEMPT_MARKS_MAX
        }
    }
}

fn lane_of(context: &mut Context<'_, '_>, attempt: &Attempt) -> Result<Lane, StoreError> {
    let key = destination_key(attempt);
    context
        .lane(key.partition, key.tenant, key.destination)?
        .ok_or_else(|| missing(&key))
}

/// What a receiver said may disable its destination: its queue rests until somebody resumes it.
fn disable_if_told(context: &mut Context<'_, '_>, attempt: &Attempt) -> Result<(), StoreError> {
    let why = match &attempt.outcome {
        Outcome::Failed(failure) if failure.disables => failure.why.clone(),
        Outcome::Failed(_) | Outcome::Delivered => return Ok(()),
    };
    let key = destination_key(attempt);
    let mut destination = tables::get(context.txn, &key)?.ok_or_else(|| missing(&key))?;
    match destination.state {
        DestinationState::Active | DestinationState::Paused => {
            let before = changes::destination(&destination);
            destination.state = DestinationState::Disabled { why };
            destination.held_since = destination.held_since.or(Some(context.now));
            destination.version += 1;
            context.put_destination(key.partition, key.tenant, &destination);
            let tenant = names::of_tenant(context.txn, key.partition, key.tenant)?;
            let deed = Deed {
                version: destination.version,
                before,
                after: changes::destination(&destination),
                ..Deed::new(&tenant, destination.id.as_str(), Fact::DestinationDisabled)
            };
            let actor = Actor {
                name: RECEIVER.to_owned(),
                address: String::new(),
                door: attempt.node,
            };
            changes::record(context, Some(&actor), "", deed);
        }
        DestinationState::Disabled { .. } | DestinationState::Removed { .. } => {}
    }
    Ok(())
}

fn destination_key(attempt: &Attempt) -> DestinationKey {
    DestinationKey {
        partition: attempt.delivery.partition,
        tenant: attempt.delivery.tenant,
        destination: attempt.delivery.destination,
    }
}

fn missing(key: &DestinationKey) -> StoreError {
    damaged(
        DestinationKey::TABLE,
        &key.encode(),
        "a delivery stands without its destination",
    )
}
