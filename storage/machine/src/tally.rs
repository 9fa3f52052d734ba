//! What one entry adds to the counters: gathered while its commands are applied, written once at its end.

use std::collections::BTreeMap;

use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::outcome::Cause;
use pushrail_model::shard::ShardId;

use crate::keys::{CauseCountKey, DestinationCountsKey, Key, ShardCountKey};
use crate::store::{Read, StoreError};
use crate::tables::counts::{CauseCount, DestinationCounts, ShardCount};
use crate::tables::{self, damaged};
use crate::txn::Txn;

/// What is added to the counters, or taken off them.
#[derive(Default)]
pub(crate) struct Tally {
    destinations: BTreeMap<DestinationCountsKey, Deltas>,
    shards: BTreeMap<ShardId, i64>,
    causes: BTreeMap<CauseCountKey, i64>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Deltas {
    scheduled: i64,
    dead: i64,
    delivered: i64,
    expired: i64,
    delivered_dropped: i64,
    expired_dropped: i64,
    discarded: i64,
    discarded_dropped: i64,
}

impl Tally {
    /// A delivery has come into `state`.
    pub(crate) fn enters(&mut self, shard: ShardId, delivery: &DeliveryKey, state: DeliveryState) {
        self.count(shard, delivery, state, 1);
    }

    /// A delivery has left `state`.
    pub(crate) fn leaves(&mut self, shard: ShardId, delivery: &DeliveryKey, state: DeliveryState) {
        self.count(shard, delivery, state, -1);
    }

    /// A dead letter of this cause has come, or has been found.
    pub(crate) fn letter_enters(&mut self, key: CauseCountKey) {
        *self.causes.entry(key).or_default() += 1;
    }

    /// A dead letter of this cause has gone.
    pub(crate) fn letter_leaves(&mut self, key: CauseCountKey) {
        *self.causes.entry(key).or_default() -= 1;
    }

    /// The dead letters of a destination, this entry's own among them; of one cause, if one is given.
    pub(crate) fn dead(
        &self,
        read: &dyn Read,
        key: &DestinationCountsKey,
        cause: Option<Cause>,
    ) -> Result<u64, StoreError> {
        let Some(cause) = cause else {
            let counts = tables::get(read, key)?.unwrap_or_default();
            let delta = self.destinations.get(key).map_or(0, |deltas| deltas.dead);
            return moved(key, counts.dead, delta);
        };
        let of_cause = CauseCountKey {
            partition: key.partition,
            tenant: key.tenant,
            destination: key.destination,
            cause,
        };
        let CauseCount(dead) = tables::get(read, &of_cause)?.unwrap_or_default();
        moved(&of_cause, dead, self.causes.get(&of_cause).copied().unwrap_or(0))
    }

    fn count(&mut self, shard: ShardId, delivery: &DeliveryKey, state: DeliveryState, by: i64) {
        if let DeliveryState::Scheduled { .. } = state {
            *self.shards.entry(shard).or_default() += by;
        }
        let deltas = self.deltas(delivery);
        match state {
            DeliveryState::Scheduled { .. } => deltas.scheduled += by,
            DeliveryState::Delivered { .. } => deltas.delivered += by,
            DeliveryState::Dead { .. } => deltas.dead += by,
            DeliveryState::Expired { .. } => deltas.expired += by,
            DeliveryState::Discarded { .. } => deltas.discarded += by,
            DeliveryState::Cancelled { .. } => {}
        }
    }

    /// The row of a delivery that has ended goes: what it counts for stays counted, as one whose row is gone.
    pub(crate) fn drops(&mut self, delivery: &DeliveryKey, state: DeliveryState) {
        let deltas = self.deltas(delivery);
        match state {
            DeliveryState::Delivered { .. } => deltas.delivered_dropped += 1,
            DeliveryState::Expired { .. } => deltas.expired_dropped += 1,
            DeliveryState::Discarded { .. } => deltas.discarded_dropped += 1,
            DeliveryState::Cancelled { .. } => {}
            DeliveryState::Scheduled { .. } | DeliveryState::Dead { .. } => {
                unreachable!("a delivery that is owed keeps its event, and goes with it")
            }
        }
    }

    fn deltas(&mut self, delivery: &DeliveryKey) -> &mut Deltas {
        let key = DestinationCountsKey {
            partition: delivery.partition,
            tenant: delivery.tenant,
            destination: delivery.destination,
        };
        self.destinations.entry(key).or_default()
    }

    /// Adds all of it to the stored counters.
    pub(crate) fn write(self, txn: &mut Txn<'_>) -> Result<(), StoreError> {
        for (key, deltas) in self.destinations {
            if deltas == Deltas::default() {
                continue;
            }
            let counts = tables::get(txn, &key)?.unwrap_or_default();
            let counts = DestinationCounts {
                scheduled: moved(&key, counts.scheduled, deltas.scheduled)?,
                dead: moved(&key, counts.dead, deltas.dead)?,
                delivered: moved(&key, counts.delivered, deltas.delivered)?,
                expired: moved(&key, counts.expired, deltas.expired)?,
                delivered_dropped: moved(&key, counts.delivered_dropped, deltas.delivered_dropped)?,
                expired_dropped: moved(&key, counts.expired_dropped, deltas.expired_dropped)?,
                discarded: moved(&key, counts.discarded, deltas.discarded)?,
                discarded_dropped: moved(&key, counts.discarded_dropped, deltas.discarded_dropped)?,
            };
            tables::put(txn, &key, &counts);
        }
        for (shard, delta) in self.shards {
            if delta == 0 {
                continue;
            }
            let key = ShardCountKey { shard };
            let ShardCount(scheduled) = tables::get(txn, &key)?.unwrap_or_default();
            tables::put(txn, &key, &ShardCount(moved(&key, scheduled, delta)?));
        }
        for (key, delta) in self.causes {
            if delta == 0 {
                continue;
            }
            let CauseCount(dead) = tables::get(txn, &key)?.unwrap_or_default();
            match moved(&key, dead, delta)? {
                // Gone, so that a list of causes never walks over nothings.
                0 => tables::delete(txn, &key),
                dead => tables::put(txn, &key, &CauseCount(dead)),
            }
        }
        Ok(())
    }
}

fn moved<K: Key>(key: &K, count: u64, delta: i64) -> Result<u64, StoreError> {
    count
        .checked_add_signed(delta)
        .ok_or_else(|| damaged(K::TABLE, &key.encode(), "a counter would fall below zero"))
}
