//! Who delivers for which shard.

use pushrail_model::shard::{Ownership, ShardId};

use crate::keys::AssignmentKey;
use crate::store::{KeyRange, Read, StoreError};
use crate::tables;

/// Every shard that has an owner, in order.
pub fn all(read: &dyn Read) -> Result<Vec<(ShardId, Ownership)>, StoreError> {
    let rows = tables::rows::<AssignmentKey>(read, KeyRange::prefix(&[]), usize::MAX)?;
    Ok(rows
        .into_iter()
        .map(|(key, ownership)| (key.shard, ownership))
        .collect())
}

/// Who owns a shard.
pub fn of(read: &dyn Read, shard: ShardId) -> Result<Option<Ownership>, StoreError> {
    tables::get(read, &AssignmentKey { shard })
}
