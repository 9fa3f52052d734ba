//! Where public names lead.

use pushrail_model::ids::{DestinationId, DestinationNo, TenantId, TenantNo};
use pushrail_model::shard::Partition;

use pushrail_model::destination::Destination;
use pushrail_model::tenant::Tenant;

use crate::keys::{DestinationKey, DestinationNameKey, Key, TenantKey, TenantNameKey};
use crate::store::{Read, StoreError};
use crate::tables::{Row, damaged, get};

/// Where a tenant's name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TenantPlace {
    /// Its partition.
    pub(crate) partition: Partition,
    /// Its number there.
    pub(crate) number: TenantNo,
}

/// Where a destination's name leads, within its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DestinationPlace(pub(crate) DestinationNo);

impl Row for TenantNameKey {
    type Value = TenantPlace;
}

impl Row for DestinationNameKey {
    type Value = DestinationPlace;
}

/// The tenant of this name.
pub(crate) fn tenant(read: &dyn Read, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
    let Some(place) = get(read, &TenantNameKey { id: id.clone() })? else {
        return Ok(None);
    };
    let key = TenantKey {
        partition: place.partition,
        tenant: place.number,
    };
    let tenant = get(read, &key)?;
    tenant.map(Some).ok_or_else(|| {
        damaged(
            TenantKey::TABLE,
            &key.encode(),
            "a name leads here, and nothing stands here",
        )
    })
}

/// The name that the tenant of this number bears, or bore.
pub(crate) fn of_tenant(
    read: &dyn Read,
    partition: Partition,
    tenant: TenantNo,
) -> Result<TenantId, StoreError> {
    let key = TenantKey { partition, tenant };
    let row = get(read, &key)?;
    row.map(|tenant| tenant.id)
        .ok_or_else(|| damaged(TenantKey::TABLE, &key.encode(), "a row stands without its tenant"))
}

/// The name that the destination of this number bears, or bore.
pub(crate) fn of_destination(
    read: &dyn Read,
    partition: Partition,
    tenant: TenantNo,
    destination: DestinationNo,
) -> Result<DestinationId, StoreError> {
    let key = DestinationKey {
        partition,
        tenant,
        destination,
    };
    let row = get(read, &key)?;
    row.map(|destination| destination.id).ok_or_else(|| {
        damaged(
            DestinationKey::TABLE,
            &key.encode(),
            "a row stands without its destination",
        )
    })
}

/// The tenant's destination of this name.
pub(crate) fn destination(
    read: &dyn Read,
    partition: Partition,
    tenant: TenantNo,
    id: &DestinationId,
) -> Result<Option<Destination>, StoreError> {
    let name = DestinationNameKey {
        partition,
        tenant,
        id: id.clone(),
    };
    let Some(DestinationPlace(destination)) = get(read, &name)? else {
        return Ok(None);
    };
    let key = DestinationKey {
        partition,
        tenant,
        destination,
    };
    let destination = get(read, &key)?;
    destination.map(Some).ok_or_else(|| {
        damaged(
            DestinationKey::TABLE,
            &key.encode(),
            "a name leads here, and nothing stands here",
        )
    })
}
