//! Counters: of what lies in a destination's queue, dead letters and past; of what is scheduled in a shard.

use crate::keys::{DestinationCountsKey, ShardCountKey};
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
}

/// How many deliveries of a shard are scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardCount(pub(crate) u64);

impl Row for DestinationCountsKey {
    type Value = DestinationCounts;
}

impl Row for ShardCountKey {
    type Value = ShardCount;
}
