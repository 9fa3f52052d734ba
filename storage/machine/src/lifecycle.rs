//! The life of a delivery: the only writer of deliveries and of what hangs on them (due rows, dead letters and
//! their expiry, counters), but for `forget`, which ends them. Called by the handlers that accept, record,
//! replay, discard and expire.
//! Invariant: a scheduled delivery has exactly one due row, a dead one exactly one dead letter, any other neither.

use pushrail_model::attempt::Attempt;
use pushrail_model::dead_letter::DeadLetter;
use pushrail_model::delivery::{Delivery, DeliveryKey, DeliveryState};
use pushrail_model::ids::Run;
use pushrail_model::outcome::{Cause, Outcome};
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::DeathReason;

use crate::context::{Context, Lane};
use crate::keys::{CauseCountKey, DeadLetterKey, DueKey, Key};
use crate::store::StoreError;
use crate::tables::{self, damaged};

/// A delivery begins: due at once, in its first run.
pub(crate) fn begin(context: &mut Context<'_, '_>, lane: Lane, key: &DeliveryKey, place: u16) {
    let delivery = Delivery {
        place,
        state: DeliveryState::Scheduled { due: context.now },
        run: Run(1),
        attempts_made: 0,
        first_due: context.now,
        held_before: lane.held,
        retries_max: 0,
        marks: Vec::new(),
        discarded_by: String::new(),
    };
    enter(context, lane, key, &delivery);
    tables::put(context.txn, key, &delivery);
}

/// The receiver took it.
pub(crate) fn settle(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    delivery: Delivery,
) -> Result<(), StoreError> {
    let state = DeliveryState::Delivered { at: context.now };
    stand(context, lane, key, delivery, state)
}

/// It will be tried again at `due`.
pub(crate) fn schedule(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    delivery: Delivery,
    due: Timestamp,
) -> Result<(), StoreError> {
    stand(context, lane, key, delivery, DeliveryState::Scheduled { due })
}

/// It is given up after `last`, and lies in the dead-letter queue from now on.
pub(crate) fn bury(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    mut delivery: Delivery,
    reason: DeathReason,
    last: &Attempt,
) -> Result<(), StoreError> {
    let died = context.now;
    leave(context, lane, key, &delivery)?;
    delivery.state = DeliveryState::Dead { at: died, reason };
    enter(context, lane, key, &delivery);
    tables::put(context.txn, key, &delivery);
    let letter = DeadLetter {
        delivery: *key,
        place: delivery.place,
        died,
        run: delivery.run,
        reason,
        cause: match &last.outcome {
            Outcome::Failed(failure) => failure.cause,
            Outcome::Delivered => Cause::Unknown,
        },
        status: last.observed.status,
        detail: last.observed.detail.clone(),
        attempts_made: delivery.attempts_made,
    };
    let letter_key = DeadLetterKey::of(key, died);
    tables::put(context.txn, &letter_key, &letter);
    tables::mark(context.txn, &letter_key.expiry());
    if context.counting()?.holds(&letter_key.encode()) {
        let counter = CauseCountKey::of(&letter_key, letter.cause);
        context.tally.letter_enters(counter);
    }
    Ok(())
}

/// Somebody gives it up: it is never tried again, and its attempts stay on record.
pub(crate) fn discard(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    mut delivery: Delivery,
    actor: &str,
) -> Result<(), StoreError> {
    actor.clone_into(&mut delivery.discarded_by);
    let state = DeliveryState::Discarded { at: context.now };
    stand(context, lane, key, delivery, state)
}

/// Nobody has dealt with it in time: it leaves the dead-letter queue for good.
pub(crate) fn expire(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    delivery: Delivery,
    died: Timestamp,
    reason: DeathReason,
) -> Result<(), StoreError> {
    let state = DeliveryState::Expired {
        at: context.now,
        died,
        reason,
    };
    stand(context, lane, key, delivery, state)
}

/// Its destination was removed: it ends as it is.
pub(crate) fn cancel(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    delivery: Delivery,
) -> Result<(), StoreError> {
    let state = DeliveryState::Cancelled { at: context.now };
    stand(context, lane, key, delivery, state)
}

/// It goes from the state it is in to `state`, with all that hangs on both.
fn stand(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    mut delivery: Delivery,
    state: DeliveryState,
) -> Result<(), StoreError> {
    leave(context, lane, key, &delivery)?;
    delivery.state = state;
    enter(context, lane, key, &delivery);
    tables::put(context.txn, key, &delivery);
    Ok(())
}

/// It runs again from the start: due at once, with attempts and window of its own.
pub(crate) fn run_again(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    mut delivery: Delivery,
) -> Result<(), StoreError> {
    leave(context, lane, key, &delivery)?;
    delivery.state = DeliveryState::Scheduled { due: context.now };
    delivery.run = Run(delivery.run.0 + 1);
    delivery.attempts_made = 0;
    delivery.first_due = context.now;
    delivery.held_before = lane.held;
    delivery.retries_max = 0;
    enter(context, lane, key, &delivery);
    tables::put(context.txn, key, &delivery);
    Ok(())
}

/// Nothing moves, but it remembers an attempt that came late.
pub(crate) fn remember(context: &mut Context<'_, '_>, key: &DeliveryKey, delivery: &Delivery) {
    tables::put(context.txn, key, delivery);
}

/// The latest time at which a retry may be scheduled: the window stands still while the destination is held.
pub(crate) fn last_retry(lane: Lane, delivery: &Delivery, window: Span) -> Timestamp {
    let held = Span(lane.held.0.saturating_sub(delivery.held_before.0));
    delivery.first_due.plus(window).plus(held)
}

fn enter(context: &mut Context<'_, '_>, lane: Lane, key: &DeliveryKey, delivery: &Delivery) {
    context.tally.enters(lane.queue.shard, key, delivery.state);
    if let DeliveryState::Scheduled { due } = delivery.state {
        tables::mark(context.txn, &DueKey::of(lane.queue, due, key.seq));
        context.hint_due(lane.queue, due);
    }
}

fn leave(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    context.tally.leaves(lane.queue.shard, key, delivery.state);
    match delivery.state {
        DeliveryState::Scheduled { due } => {
            tables::delete(context.txn, &DueKey::of(lane.queue, due, key.seq));
        }
        DeliveryState::Dead { at, .. } => {
            let letter = DeadLetterKey::of(key, at);
            uncount(context, &letter)?;
            tables::delete(context.txn, &letter.expiry());
            tables::delete(context.txn, &letter);
        }
        DeliveryState::Delivered { .. }
        | DeliveryState::Expired { .. }
        | DeliveryState::Discarded { .. }
        | DeliveryState::Cancelled { .. } => {}
    }
    Ok(())
}

/// Takes a dead letter off the counter of its cause, if it was ever counted there.
fn uncount(context: &mut Context<'_, '_>, key: &DeadLetterKey) -> Result<(), StoreError> {
    let bytes = key.encode();
    if !context.counting()?.holds(&bytes) {
        return Ok(());
    }
    let Some(letter) = tables::get(context.txn, key)? else {
        return Err(damaged(
            DeadLetterKey::TABLE,
            &bytes,
            "a delivery is dead without it",
        ));
    };
    context.tally.letter_leaves(CauseCountKey::of(key, letter.cause));
    Ok(())
}
