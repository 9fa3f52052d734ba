//! Tenants, their destinations and their routes.

use std::ops::ControlFlow;

use pushrail_model::destination::Destination;
use pushrail_model::ids::{DestinationId, DestinationNo, RouteId, RouteNo, TenantId, TenantNo};
use pushrail_model::limits;
use pushrail_model::route::Route;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;

use crate::keys::{
    DestinationKey, DestinationNameKey, FormerRouteKey, Key, RouteKey, TenantKey, TenantNameKey, prefix,
};
use crate::query::page::{behind, just_after};
use crate::store::{KeyRange, Read, StoreError};
use crate::tables::{self, more, names};

/// The tenant of this name.
pub fn tenant(read: &dyn Read, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
    names::tenant(read, id)
}

/// The tenants behind `after`, by their ids.
pub fn tenants(read: &dyn Read, after: Option<&TenantId>, limit: usize) -> Result<Vec<Tenant>, StoreError> {
    let after = after.map(|id| TenantNameKey { id: id.clone() }.encode());
    let range = KeyRange {
        start: after.map(|key| just_after(&key)).unwrap_or_default(),
        ..KeyRange::prefix(&[])
    };
    let mut found = Vec::new();
    for TenantNameKey { id } in first_keys(read, range, limit)? {
        found.extend(names::tenant(read, &id)?);
    }
    Ok(found)
}

/// The tenant's destination of this name.
pub fn destination(
    read: &dyn Read,
    tenant: &Tenant,
    id: &DestinationId,
) -> Result<Option<Destination>, StoreError> {
    names::destination(read, Partition::of(&tenant.id), tenant.number, id)
}

/// A destination by its number inside keys.
pub fn destination_by_number(
    read: &dyn Read,
    partition: Partition,
    tenant: TenantNo,
    destination: DestinationNo,
) -> Result<Option<Destination>, StoreError> {
    let key = DestinationKey {
        partition,
        tenant,
        destination,
    };
    tables::get(read, &key)
}

/// The tenant's destinations behind `after`, by their ids.
pub fn destinations(
    read: &dyn Read,
    tenant: &Tenant,
    after: Option<&DestinationId>,
    limit: usize,
) -> Result<Vec<Destination>, StoreError> {
    let partition = Partition::of(&tenant.id);
    let name = |id: &DestinationId| {
        let key = DestinationNameKey {
            partition,
            tenant: tenant.number,
            id: id.clone(),
        };
        key.encode()
    };
    let range = KeyRange::prefix(&prefix(&[&partition, &tenant.number]));
    let range = behind(range, after.map(name).as_deref());
    let mut found = Vec::new();
    for DestinationNameKey { id, .. } in first_keys(read, range, limit)? {
        found.extend(names::destination(read, partition, tenant.number, &id)?);
    }
    Ok(found)
}

/// The tenant's route of this name.
pub fn route(read: &dyn Read, tenant: &Tenant, id: &RouteId) -> Result<Option<Route>, StoreError> {
    let key = RouteKey {
        partition: Partition::of(&tenant.id),
        tenant: tenant.number,
        id: id.clone(),
    };
    tables::get(read, &key)
}

/// A route of the tenant's as it was before it was changed or removed, by the number that it had.
pub fn former_route(read: &dyn Read, tenant: &Tenant, number: RouteNo) -> Result<Option<Route>, StoreError> {
    let key = FormerRouteKey {
        partition: Partition::of(&tenant.id),
        tenant: tenant.number,
        route: number,
    };
    tables::get(read, &key)
}

/// A destination and where it stands: the whole state's, in the order of their keys.
pub type Placed = (Partition, TenantNo, Destination);

/// The destinations of all tenants behind the key `after`, those that were removed left out; looks at no more than
/// `limit` rows. Also the key of the last row looked at, where there may be more.
pub fn all_destinations(
    read: &dyn Read,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<(Vec<Placed>, Option<Vec<u8>>), StoreError> {
    let range = behind(KeyRange::prefix(&[]), after);
    let rows = tables::rows::<DestinationKey>(read, range, limit)?;
    let next = rows
        .last()
        .filter(|_| rows.len() >= limit)
        .map(|(key, _)| key.encode());
    let found = rows
        .into_iter()
        .filter(|(_, destination)| !destination.is_removed())
        .map(|(key, destination)| (key.partition, key.tenant, destination));
    Ok((found.collect(), next))
}

/// A tenant by its number inside keys, removed or not.
pub fn tenant_by_number(
    read: &dyn Read,
    partition: Partition,
    tenant: TenantNo,
) -> Result<Option<Tenant>, StoreError> {
    tables::get(read, &TenantKey { partition, tenant })
}

/// All the tenant's routes, by their ids; at most [`limits::ROUTES_PER_TENANT_MAX`].
pub fn routes(read: &dyn Read, tenant: &Tenant) -> Result<Vec<Route>, StoreError> {
    let range = KeyRange::prefix(&prefix(&[&Partition::of(&tenant.id), &tenant.number]));
    let rows = tables::rows::<RouteKey>(read, range, limits::ROUTES_PER_TENANT_MAX)?;
    Ok(rows.into_iter().map(|(_, route)| route).collect())
}

fn first_keys<K: Key>(read: &dyn Read, range: KeyRange, limit: usize) -> Result<Vec<K>, StoreError> {
    let mut keys = Vec::new();
    tables::scan_keys(read, range, |key| {
        if keys.len() == limit {
            return Ok(ControlFlow::Break(()));
        }
        keys.push(key);
        Ok(more(keys.len() < limit))
    })?;
    Ok(keys)
}
