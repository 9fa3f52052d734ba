//! The life of a delivery: the only writer of deliveries and of what hangs on them (due rows, dead letters and
//! their expiry, counters), but for `forget`, which ends them. Called by the handlers that accept, record, replay
//! and expire.
//! Invariant: a scheduled delivery has exactly one due row, a dead one exactly one dead letter, any other neither.

use pushrail_model::attempt::Attempt;
use pushrail_model::dead_letter::DeadLetter;
use pushrail_model::delivery::{Delivery, DeliveryKey, DeliveryState};
use pushrail_model::ids::Run;
use pushrail_model::outcome::{Cause, Outcome};
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::DeathReason;

use crate::context::{Context, Lane};
use crate::keys::{DeadLetterKey, DueKey};
use crate::tables;

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
    };
    enter(context, lane, key, &delivery);
    tables::put(context.txn, key, &delivery);
}

/// The receiver took it.
pub(crate) fn settle(context: &mut Context<'_, '_>, lane: Lane, key: &DeliveryKey, mut delivery: Delivery) {
    leave(context, lane, key, &delivery);
    delivery.state = DeliveryState::Delivered { at: context.now };
    enter(context, lane, key, &delivery);
    tables::put(context.txn, key, &delivery);
}

/// It will be tried again at `due`.
pub(crate) fn schedule(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    mut delivery: Delivery,
    due: Timestamp,
) {
    leave(context, lane, key, &delivery);
    delivery.state = DeliveryState::Scheduled { due };
    enter(context, lane, key, &delivery);
    tables::put(context.txn, key, &delivery);
}

/// It is given up after `last`, and lies in the dead-letter queue from now on.
pub(crate) fn bury(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    mut delivery: Delivery,
    reason: DeathReason,
    last: &Attempt,
) {
    let died = context.now;
    leave(context, lane, key, &delivery);
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
}

/// Nobody has dealt with it in time: it leaves the dead-letter queue for good.
pub(crate) fn expire(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    mut delivery: Delivery,
    died: Timestamp,
    reason: DeathReason,
) {
    leave(context, lane, key, &delivery);
    delivery.state = DeliveryState::Expired {
        at: context.now,
        died,
        reason,
    };
    enter(context, lane, key, &delivery);
    tables::put(context.txn, key, &delivery);
}

/// It runs again from the start: due at once, with attempts and window of its own.
pub(crate) fn run_again(
    context: &mut Context<'_, '_>,
    lane: Lane,
    key: &DeliveryKey,
    mut delivery: Delivery,
) {
    leave(context, lane, key, &delivery);
    delivery.state = DeliveryState::Scheduled { due: context.now };
    delivery.run = Run(delivery.run.0 + 1);
    delivery.attempts_made = 0;
    delivery.first_due = context.now;
    delivery.held_before = lane.held;
    delivery.retries_max = 0;
    enter(context, lane, key, &delivery);
    tables::put(context.txn, key, &delivery);
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

fn leave(context: &mut Context<'_, '_>, lane: Lane, key: &DeliveryKey, delivery: &Delivery) {
    context.tally.leaves(lane.queue.shard, key, delivery.state);
    match delivery.state {
        DeliveryState::Scheduled { due } => {
            tables::delete(context.txn, &DueKey::of(lane.queue, due, key.seq));
        }
        DeliveryState::Dead { at, .. } => {
            let letter = DeadLetterKey::of(key, at);
            tables::delete(context.txn, &letter.expiry());
            tables::delete(context.txn, &letter);
        }
        DeliveryState::Delivered { .. } | DeliveryState::Expired { .. } => {}
    }
}
