//! What is due: read by the owner of a shard from its own copy. A scan starts where the owner knows that nothing is
//! left below, so that it costs the same with a million rows just deleted as with none.

use std::ops::ControlFlow;

use pushrail_model::command::QueueKey;
use pushrail_model::delivery::{Delivery, DeliveryKey, DeliveryState};
use pushrail_model::destination::Destination;
use pushrail_model::event::Event;
use pushrail_model::ids::{EventId, EventSeq};
use pushrail_model::shard::ShardId;
use pushrail_model::time::Timestamp;

use crate::keys::{DestinationKey, DueKey, Key, prefix};
use crate::store::{Direction, KeyRange, Read, StoreError, prefix_end};
use crate::tables::{self, damaged, events};

/// All that one attempt needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDelivery {
    /// What is owed.
    pub delivery: Delivery,
    /// The event.
    pub event: Event,
    /// Where it goes.
    pub destination: Destination,
}

/// The first due row of each destination of a shard: one seek for each.
pub fn heads(read: &dyn Read, shard: ShardId) -> Result<Vec<(QueueKey, Timestamp, EventSeq)>, StoreError> {
    let of_shard = prefix(&[&shard]);
    let end = prefix_end(&of_shard);
    let mut heads = Vec::new();
    let mut start = Some(of_shard);
    while let Some(from) = start.take() {
        let range = KeyRange {
            start: from,
            end: end.clone(),
            direction: Direction::Ascending,
        };
        tables::scan_keys(read, range, |key: DueKey| {
            heads.push((key.queue(), key.due, key.seq));
            start = prefix_end(&prefix(&[&key.shard, &key.tenant, &key.destination]));
            Ok(ControlFlow::Break(()))
        })?;
    }
    Ok(heads)
}

/// The due rows of a destination from `from` (included) to all due at `until` (included), earliest first.
pub fn after(
    read: &dyn Read,
    queue: QueueKey,
    from: (Timestamp, EventSeq),
    until: Timestamp,
    limit: usize,
) -> Result<Vec<(Timestamp, EventSeq)>, StoreError> {
    let of_queue = prefix(&[&queue.shard, &queue.tenant, &queue.destination]);
    let range = KeyRange {
        start: DueKey::of(queue, from.0, from.1).encode(),
        end: match until {
            Timestamp::MAX => prefix_end(&of_queue),
            Timestamp(until) => Some([of_queue.as_slice(), &(until + 1).to_be_bytes()].concat()),
        },
        direction: Direction::Ascending,
    };
    let mut due = Vec::new();
    if limit > 0 {
        tables::scan_keys(read, range, |key: DueKey| {
            due.push((key.due, key.seq));
            Ok(tables::more(due.len() < limit))
        })?;
    }
    Ok(due)
}

/// All that an attempt of a scheduled delivery needs; `None` where it is scheduled no more.
pub fn dispatch(read: &dyn Read, queue: QueueKey, seq: EventSeq) -> Result<Option<DueDelivery>, StoreError> {
    let key = DeliveryKey {
        partition: queue.shard.partition(),
        tenant: queue.tenant,
        destination: queue.destination,
        seq,
    };
    let Some(delivery) = tables::get(read, &key)? else {
        return Ok(None);
    };
    if !matches!(delivery.state, DeliveryState::Scheduled { .. }) {
        return Ok(None);
    }
    let id = EventId {
        partition: key.partition,
        seq,
    };
    let place = DestinationKey {
        partition: key.partition,
        tenant: key.tenant,
        destination: key.destination,
    };
    let (Some(event), Some(destination)) = (events::get(read, key.tenant, id)?, tables::get(read, &place)?)
    else {
        let what = "it is scheduled without its event or its destination";
        return Err(damaged(DeliveryKey::TABLE, &key.encode(), what));
    };
    Ok(Some(DueDelivery {
        delivery,
        event,
        destination,
    }))
}
