//! Counters: of what lies in a destination's queue, dead letters and past; of what is scheduled in a shard.

use bytes::Bytes;

use crate::keys::{CauseCountKey, CauseCountingKey, DestinationCountsKey, ShardCountKey};
use crate::tables::Row;

/// How many deliveries of a destination are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DestinationCounts {
    /// Scheduled.
    pub scheduled: u64,
    /// Dead.
    pub dead: u64,
    /// Delivered, since the destination was made.
    pub delivered: u64,
    /// Expired as dead letters, since the destination was made.
    pub expired: u64,
    /// Those of the delivered whose row is gone.
    pub delivered_dropped: u64,
    /// Those of the expired whose row is gone.
    pub expired_dropped: u64,
    /// Discarded.
    pub discarded: u64,
    /// Those of the discarded whose row is gone.
    pub discarded_dropped: u64,
}

/// How many dead letters of a destination failed of one cause; never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CauseCount(pub(crate) u64);

/// How far the dead letters have been counted by their causes: the counters hold exactly those up to here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CauseCounting {
    /// The last key counted; empty: none yet.
    pub(crate) counted_to: Bytes,
    /// All of them.
    pub(crate) done: bool,
}

impl CauseCounting {
    /// Whether the counters hold the dead letter of this key.
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        self.done || key <= self.counted_to.as_ref()
    }
}

/// How many deliveries of a shard are scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardCount(pub(crate) u64);

impl Row for DestinationCountsKey {
    type Value = DestinationCounts;
}

impl Row for CauseCountKey {
    type Value = CauseCount;
}

impl Row for CauseCountingKey {
    type Value = CauseCounting;
}

impl Row for ShardCountKey {
    type Value = ShardCount;
}
