//! What must hold of tenants, destinations and routes, of what is left of removed ones, and of the change log.

use std::collections::{BTreeMap, BTreeSet};

use pushrail_model::limits;
use pushrail_model::shard::Partition;

use crate::invariants::{Check, Lanes, all, keys_of, marks};
use crate::keys::{
    ChangeByTimeKey, ChangeKey, DestinationCountsKey, DestinationKey, DestinationNameKey, FormerRouteKey,
    RemovalKey, RequestExpiryKey, RequestKey, RouteKey, TenantKey, TenantNameKey,
};
use crate::store::{Read, StoreError};
use crate::tables::cluster::{clock, next_tenant};
use crate::tables::names::DestinationPlace;

/// Names lead to what bears them; tenants count what they have. Gives each destination's shard.
pub(super) fn lanes(check: &mut Check, read: &dyn Read) -> Result<Lanes, StoreError> {
    tenants(check, read)?;
    let mut lanes = Lanes::new();
    let mut wanted = BTreeMap::new();
    for (key, destination) in all::<DestinationKey>(read)? {
        check.expect(
            destination.state.holds() == destination.held_since.is_some(),
            || {
                format!(
                    "destination {} is held without since, or the other way",
                    destination.id
                )
            },
        );
        check.expect(
            destination.previous.len() <= limits::PREVIOUS_CREDENTIALS_MAX,
            || format!("destination {} keeps too many credentials", destination.id),
        );
        lanes.insert((key.partition, key.tenant, key.destination), destination.shard);
        if destination.is_removed() {
            let bare = destination.spec.credential.is_empty() && destination.previous.is_empty();
            check.expect(bare, || {
                format!("removed destination {} keeps a credential", destination.id)
            });
            continue;
        }
        let name = DestinationNameKey {
            partition: key.partition,
            tenant: key.tenant,
            id: destination.id,
        };
        wanted.insert(name, key.destination);
    }
    let found = all::<DestinationNameKey>(read)?;
    let found: BTreeMap<_, _> = found
        .into_iter()
        .map(|(name, DestinationPlace(number))| (name, number))
        .collect();
    check.expect(found == wanted, || "destination names lead elsewhere".to_owned());
    Ok(lanes)
}

fn tenants(check: &mut Check, read: &dyn Read) -> Result<(), StoreError> {
    let destinations = all::<DestinationKey>(read)?;
    let routes = all::<RouteKey>(read)?;
    let mut names = BTreeSet::new();
    for (key, tenant) in &all::<TenantKey>(read)? {
        let counted = (
            destinations
                .iter()
                .filter(|(other, row)| {
                    (other.partition, other.tenant) == (key.partition, key.tenant) && !row.is_removed()
                })
                .count(),
            routes
                .iter()
                .filter(|(other, _)| (other.partition, other.tenant) == (key.partition, key.tenant))
                .count(),
        );
        check.expect(
            counted == (tenant.destinations as usize, tenant.routes as usize),
            || {
                format!(
                    "tenant {}: counts {counted:?} destinations and routes differ",
                    tenant.id
                )
            },
        );
        check.expect(Partition::of(&tenant.id) == key.partition, || {
            format!("tenant {} stands in a foreign partition", tenant.id)
        });
        match tenant.removed {
            None => {
                names.insert(TenantNameKey {
                    id: tenant.id.clone(),
                });
            }
            Some(_) => check.expect(counted == (0, 0), || {
                format!("tenant {} was removed and has something still", tenant.id)
            }),
        }
    }
    check.same("tenant names", &names, &keys_of(&all::<TenantNameKey>(read)?));
    Ok(())
}

/// Removals are of removed destinations, and all others are through; numbers are given once; the two orders of the
/// change log hold the same.
pub(super) fn rest(check: &mut Check, read: &dyn Read) -> Result<(), StoreError> {
    let removals: BTreeSet<_> = keys_of(&all::<RemovalKey>(read)?);
    let mut removed = BTreeSet::new();
    for (key, _) in all::<DestinationKey>(read)?
        .into_iter()
        .filter(|(_, row)| row.is_removed())
    {
        let removal = RemovalKey {
            partition: key.partition,
            tenant: key.tenant,
            destination: key.destination,
        };
        let counts = DestinationCountsKey {
            partition: key.partition,
            tenant: key.tenant,
            destination: key.destination,
        };
        let counts = crate::tables::get(read, &counts)?.unwrap_or_default();
        let through = (counts.scheduled, counts.dead) == (0, 0);
        check.expect(through || removals.contains(&removal), || {
            format!("{key:?} was removed, something is open, and nobody ends it")
        });
        removed.insert(removal);
    }
    for removal in removals.difference(&removed) {
        check
            .wrong
            .push(format!("{removal:?} is of no removed destination"));
    }

    let present: BTreeSet<_> = all::<RouteKey>(read)?
        .into_iter()
        .map(|(key, route)| (key.partition, key.tenant, route.number))
        .collect();
    for key in keys_of(&all::<FormerRouteKey>(read)?) {
        check.expect(!present.contains(&(key.partition, key.tenant, key.route)), || {
            format!("{key:?} is a present route too")
        });
    }
    versions(check, read)?;
    requests(check, read)?;

    let changes = keys_of(&all::<ChangeKey>(read)?);
    let wanted = changes.iter().map(ChangeKey::by_time).collect();
    check.same("changes by time", &wanted, &marks::<ChangeByTimeKey>(read)?);
    Ok(())
}

/// What has gone was spent: nothing that is made from now on begins at a version that its name has had.
fn versions(check: &mut Check, read: &dyn Read) -> Result<(), StoreError> {
    let mut spent = BTreeMap::new();
    for (key, tenant) in all::<TenantKey>(read)? {
        let next = next_tenant(read, key.partition)?;
        check.expect(key.tenant < next.number, || {
            format!("{key:?} has a number that is given again")
        });
        let highest = tenant.version.max(tenant.spent_version);
        check.expect(tenant.removed.is_none() || highest <= next.spent_version, || {
            format!("{key:?} went with versions up to {highest}, and {next:?}")
        });
        spent.insert((key.partition, key.tenant), tenant.spent_version);
    }
    let spent_of = |of| spent.get(&of).copied().unwrap_or_default();
    for (key, destination) in all::<DestinationKey>(read)? {
        let fits = destination.credential_version <= destination.version
            && (!destination.is_removed() || destination.version <= spent_of((key.partition, key.tenant)));
        check.expect(fits, || {
            format!(
                "{key:?} is at version {}, its credential at {}",
                destination.version, destination.credential_version
            )
        });
    }
    for (key, route) in all::<RouteKey>(read)? {
        check.expect(route.first <= route.number, || {
            format!(
                "{key:?} was {} before it was made as {}",
                route.number, route.first
            )
        });
    }
    Ok(())
}

/// Each request that is known has its expiry.
fn requests(check: &mut Check, read: &dyn Read) -> Result<(), StoreError> {
    let now = clock(read)?;
    let known = all::<RequestKey>(read)?;
    for (key, request) in &known {
        let fits = !key.id.is_empty() && request.at <= now && request.led.version > 0;
        check.expect(fits, || format!("{key:?} cannot have led to {request:?}"));
    }
    let wanted = known.iter().map(|(key, row)| key.expiry(row.at)).collect();
    check.same("requests' expiry", &wanted, &marks::<RequestExpiryKey>(read)?);
    Ok(())
}

/// Under a name versions only rise, whoever bears it.
pub(super) fn step(check: &mut Check, before: &dyn Read, after: &dyn Read) -> Result<(), StoreError> {
    let (then, now) = (named(before)?, named(after)?);
    for (name, (was, old)) in then {
        let Some((is, new)) = now.get(&name) else {
            continue;
        };
        let rises = if was == *is { *new >= old } else { *new > old };
        check.expect(rises, || {
            format!("{name:?} went from {was:?} at version {old} to {is:?} at version {new}")
        });
    }
    Ok(())
}

/// Tenant, sort and name.
type Name = (String, &'static str, String);
/// The numbers of tenant and object, and its version.
type Life = ((u32, u32), u64);

/// What bears each name, and at which version.
fn named(read: &dyn Read) -> Result<BTreeMap<Name, Life>, StoreError> {
    let mut found = BTreeMap::new();
    let mut tenants = BTreeMap::new();
    for (key, tenant) in all::<TenantKey>(read)? {
        tenants.insert((key.partition, key.tenant), tenant.id.to_string());
        if tenant.removed.is_none() {
            let name = (tenant.id.to_string(), "tenant", String::new());
            found.insert(name, ((key.tenant.0, 0), tenant.version));
        }
    }
    let name_of = |of| tenants.get(&of).cloned().unwrap_or_default();
    for (key, destination) in all::<DestinationKey>(read)? {
        if !destination.is_removed() {
            let tenant = name_of((key.partition, key.tenant));
            let name = (tenant, "destination", destination.id.to_string());
            found.insert(name, ((key.tenant.0, key.destination.0), destination.version));
        }
    }
    for (key, route) in all::<RouteKey>(read)? {
        let name = (name_of((key.partition, key.tenant)), "route", key.id.to_string());
        found.insert(name, ((key.tenant.0, route.first.0), route.version));
    }
    Ok(found)
}
