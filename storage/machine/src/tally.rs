//! What one entry adds to the counters: gathered while its commands are applied, written once at its end.

use std::collections::BTreeMap;

use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::shard::ShardId;

use crate::keys::{DestinationCountsKey, Key, ShardCountKey};
use crate::store::StoreError;
use crate::tables::counts::{DestinationCounts, ShardCount};
use crate::tables::{self, damaged};
use crate::txn::Txn;

/// What is added to the counters, or taken off them.
#[derive(Default)]
pub(crate) struct Tally {
    destinations: BTreeMap<DestinationCountsKey, Deltas>,
    shards: BTreeMap<ShardId, i64>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Deltas {
    scheduled: i64,
    dead: i64,
    delivered: i64,
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

    fn count(&mut self, shard: ShardId, delivery: &DeliveryKey, state: DeliveryState, by: i64) {
        let deltas = self.destinations.entry(DestinationCountsKey {
            partition: delivery.partition,
            tenant: delivery.tenant,
            destination: delivery.destination,
        });
        let deltas = deltas.or_default();
        match state {
            DeliveryState::Scheduled { .. } => {
                deltas.scheduled += by;
                *self.shards.entry(shard).or_default() += by;
            }
            DeliveryState::Delivered { .. } => deltas.delivered += by,
            DeliveryState::Dead { .. } => deltas.dead += by,
        }
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
        Ok(())
    }
}

fn moved<K: Key>(key: &K, count: u64, delta: i64) -> Result<u64, StoreError> {
    count
        .checked_add_signed(delta)
        .ok_or_else(|| damaged(K::TABLE, &key.encode(), "a counter would fall below zero"))
}
