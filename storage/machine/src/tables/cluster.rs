//! The cluster's own rows: the state's clock, its identity, the numbers that tenants get.

use pushrail_model::ids::TenantNo;
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::keys::{ClockKey, ClusterKey, NextTenantKey};
use crate::store::{Read, StoreError};
use crate::tables::{Row, get};

/// The cluster's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterRow {
    /// Random: nodes of different clusters never mix.
    pub cluster: u128,
    /// Seed of the hashes that doors make of idempotency keys and contents.
    pub hash_key: u64,
    /// When it was initialised, in the state's time.
    pub created: Timestamp,
}

/// The state's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock(pub(crate) Timestamp);

/// What a partition's next tenant gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NextTenant {
    /// Its number.
    pub(crate) number: TenantNo,
    /// The highest version that a removed tenant of the partition has had, or anything that was removed from one: the
    /// next one begins above.
    pub(crate) spent_version: u64,
}

impl Row for ClockKey {
    type Value = Clock;
}

impl Row for ClusterKey {
    type Value = ClusterRow;
}

impl Row for NextTenantKey {
    type Value = NextTenant;
}

/// What the next tenant of `partition` gets.
pub(crate) fn next_tenant(read: &dyn Read, partition: Partition) -> Result<NextTenant, StoreError> {
    let next = get(read, &NextTenantKey { partition })?;
    Ok(next.unwrap_or(NextTenant {
        number: TenantNo(1),
        spent_version: 0,
    }))
}

/// The state's time; zero before the first entry.
pub(crate) fn clock(read: &dyn Read) -> Result<Timestamp, StoreError> {
    Ok(get(read, &ClockKey {})?.map_or(Timestamp::ZERO, |Clock(now)| now))
}
