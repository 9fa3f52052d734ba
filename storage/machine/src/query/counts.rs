//! Counters: never a scan of what they count.

use pushrail_model::ids::{DestinationNo, TenantNo};
use pushrail_model::shard::{Partition, ShardId};

use crate::keys::{DestinationCountsKey, ShardCountKey};
use crate::store::{KeyRange, Read, StoreError};
use crate::tables;
use crate::tables::counts::ShardCount;

pub use crate::tables::counts::DestinationCounts;

/// How many deliveries of a destination are in which state.
pub fn destination(
    read: &dyn Read,
    partition: Partition,
    tenant: TenantNo,
    destination: DestinationNo,
) -> Result<DestinationCounts, StoreError> {
    let key = DestinationCountsKey {
        partition,
        tenant,
        destination,
    };
    Ok(tables::get(read, &key)?.unwrap_or_default())
}

/// How many deliveries of a shard are scheduled.
pub fn shard(read: &dyn Read, shard: ShardId) -> Result<u64, StoreError> {
    let ShardCount(scheduled) = tables::get(read, &ShardCountKey { shard })?.unwrap_or_default();
    Ok(scheduled)
}

/// How many deliveries are scheduled in each shard that ever had one.
pub fn shards(read: &dyn Read) -> Result<Vec<(ShardId, u64)>, StoreError> {
    let rows = tables::rows::<ShardCountKey>(read, KeyRange::prefix(&[]), usize::MAX)?;
    let counts = rows
        .into_iter()
        .map(|(key, ShardCount(scheduled))| (key.shard, scheduled));
    Ok(counts.collect())
}

/// All destinations together: reads one row for each.
pub fn totals(read: &dyn Read) -> Result<DestinationCounts, StoreError> {
    let rows = tables::rows::<DestinationCountsKey>(read, KeyRange::prefix(&[]), usize::MAX)?;
    Ok(rows
        .into_iter()
        .fold(DestinationCounts::default(), |sum, (_, counts)| {
            DestinationCounts {
                scheduled: sum.scheduled + counts.scheduled,
                dead: sum.dead + counts.dead,
                delivered: sum.delivered + counts.delivered,
                expired: sum.expired + counts.expired,
                delivered_dropped: sum.delivered_dropped + counts.delivered_dropped,
                expired_dropped: sum.expired_dropped + counts.expired_dropped,
                discarded: sum.discarded + counts.discarded,
                discarded_dropped: sum.discarded_dropped + counts.discarded_dropped,
            }
        }))
}
