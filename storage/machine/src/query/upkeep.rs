//! What is over: the leader asks, and proposes what it finds in commands of bounded work. Nothing here decides; `apply`
//! looks again at each, where the state stands still.

pub mod buckets;
pub mod carried;
pub mod events;
pub mod letters;
pub mod requests;

use pushrail_model::ids::TenantNo;
use pushrail_model::retention::Retention;
use pushrail_model::shard::Partition;

use crate::keys::TenantKey;
use crate::store::{KeyRange, Read, StoreError};
use crate::tables;

/// How long the rows of a tenant are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeper {
    /// Its partition.
    pub partition: Partition,
    /// Its number there.
    pub tenant: TenantNo,
    /// What it says.
    pub retention: Retention,
}

/// All tenants, in the order of their keys.
pub fn keepers(read: &dyn Read) -> Result<Vec<Keeper>, StoreError> {
    let rows = tables::rows::<TenantKey>(read, KeyRange::prefix(&[]), usize::MAX)?;
    let keepers = rows.into_iter().map(|(key, tenant)| Keeper {
        partition: key.partition,
        tenant: key.tenant,
        retention: tenant.retention,
    });
    Ok(keepers.collect())
}
