//! What is left of removed objects: the request ids by which a late repeat is known, and which destinations still
//! have deliveries to end.

use pushrail_model::change::Actor;
use pushrail_model::ids::{DestinationId, TenantId, TenantNo};
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::keys::{RemovalKey, TombstoneKey};
use crate::tables::Row;

/// What sort of object a tombstone is of; the numbers stand in keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Tenant = 1,
    Destination = 2,
    Route = 3,
}

/// An object that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tombstone {
    /// Its number, which is never given again.
    pub(crate) number: u32,
    /// Its version, the removal counted.
    pub(crate) version: u64,
    /// When it was removed.
    pub(crate) at: Timestamp,
    /// The request that had made it.
    pub(crate) made_by: String,
    /// The request that removed it.
    pub(crate) removed_by: String,
}

/// A removed destination that still has open deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// Whose it was.
    pub(crate) tenant: TenantId,
    /// Its name.
    pub(crate) destination: DestinationId,
    /// The request that removed it.
    pub(crate) request_id: String,
    /// Who did.
    pub(crate) actor: Option<Actor>,
    /// How many deliveries have been ended so far.
    pub(crate) cancelled: u64,
}

impl Row for TombstoneKey {
    type Value = Tombstone;
}

impl Row for RemovalKey {
    type Value = Removal;
}

impl TombstoneKey {
    /// A tenant's; its number is not part of it, since its name led there.
    pub(crate) fn of_tenant(id: &TenantId) -> Self {
        Self {
            partition: Partition::of(id),
            tenant: TenantNo(0),
            sort: Of::Tenant as u8,
            id: id.to_string(),
        }
    }

    /// A destination's or a route's.
    pub(crate) fn within(partition: Partition, tenant: TenantNo, of: Of, id: &str) -> Self {
        Self {
            partition,
            tenant,
            sort: of as u8,
            id: id.to_owned(),
        }
    }
}
