//! What a due row turns out to be in a fresh view. Every start goes through here: what the queue remembers may be
//! old, and only what the state shows now may be acted upon.

use pushrail_machine::query;
use pushrail_machine::query::due::DueDelivery;
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::command::QueueKey;
use pushrail_model::delivery::DeliveryState;
use pushrail_model::ids::{Epoch, NodeId};
use pushrail_model::time::Timestamp;

use crate::delivery::line::Row;

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// To be started, under this epoch.
    Due(Box<DueDelivery>, Epoch),
    /// Nothing: the delivery has moved on.
    Gone,
    /// Its destination is held.
    Held,
    /// Another node's.
    NotOurs,
}

/// Looks a row up.
pub(crate) fn look(
    view: &dyn Read,
    node: NodeId,
    queue: QueueKey,
    row: Row,
    now: Timestamp,
) -> Result<Found, StoreError> {
    // One that is asked for is ours until it is released; what of it is still started, `owned` decides.
    let ownership = query::assignment::of(view, queue.shard)?.filter(|ownership| ownership.owner == node);
    let Some(ownership) = ownership else {
        return Ok(Found::NotOurs);
    };
    let Some(due) = query::due::dispatch(view, queue, row.1)? else {
        return Ok(Found::Gone);
    };
    if due.destination.state.holds() {
        return Ok(Found::Held);
    }
    // Rescheduled since: its new row comes in its own time.
    match due.delivery.state {
        DeliveryState::Scheduled { due: at } if at <= now => Ok(Found::Due(Box::new(due), ownership.epoch)),
        DeliveryState::Scheduled { .. }
        | DeliveryState::Delivered { .. }
        | DeliveryState::Dead { .. }
        | DeliveryState::Expired { .. }
        | DeliveryState::Discarded { .. }
        | DeliveryState::Cancelled { .. } => Ok(Found::Gone),
    }
}

#[cfg(test)]
mod tests;
