//! The change log: its only writer. A command without an actor leaves nothing in it, as the commands of old did.

use std::collections::BTreeMap;

use pushrail_model::change::{Actor, Change, Deed, Fact, Image};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::{Destination, DestinationSpec};
use pushrail_model::ids::{DeliveryId, DestinationNo, EventId, TenantId, TenantNo};
use pushrail_model::route::Route;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;

use crate::context::Context;
use crate::keys::{ChangeKey, Ended};
use crate::store::StoreError;
use crate::tables::{self, names};

/// Puts what was done on record.
pub(crate) fn record(context: &mut Context<'_, '_>, actor: Option<&Actor>, request_id: &str, deed: Deed) {
    let Some(actor) = actor else {
        return;
    };
    let key = ChangeKey {
        partition: Partition::of(&deed.tenant),
        tenant: Ended(deed.tenant.clone()),
        at: context.now,
        seq: context.next_change(),
    };
    let change = Change {
        at: context.now,
        actor: actor.clone(),
        request_id: request_id.to_owned(),
        deed,
    };
    tables::mark(context.txn, &key.by_time());
    tables::put(context.txn, &key, &change);
}

/// A delivery that somebody chose, by both its names.
pub(crate) struct Chosen {
    /// Where it stands.
    pub(crate) key: DeliveryKey,
    /// As callers name it.
    pub(crate) id: DeliveryId,
}

impl Chosen {
    /// The delivery at `key`, which stands at `place` among its event's.
    pub(crate) fn of(key: &DeliveryKey, place: u16) -> Self {
        let event = EventId {
            partition: key.partition,
            seq: key.seq,
        };
        Self {
            key: *key,
            id: DeliveryId { event, place },
        }
    }
}

/// Puts on record what was done to chosen deliveries of a tenant: a change for each destination, by which it is found.
pub(crate) fn record_by_destination(
    context: &mut Context<'_, '_>,
    actor: Option<&Actor>,
    request_id: &str,
    (tenant, fact): (&TenantId, Fact),
    chosen: &[Chosen],
) -> Result<(), StoreError> {
    let mut groups: BTreeMap<(TenantNo, DestinationNo), Vec<DeliveryId>> = BTreeMap::new();
    for Chosen { key, id } in chosen {
        groups.entry((key.tenant, key.destination)).or_default().push(*id);
    }
    for ((number, destination), deliveries) in groups {
        let partition = Partition::of(tenant);
        let object = names::of_destination(context.txn, partition, number, destination)?;
        let deed = Deed {
            count: u64::try_from(deliveries.len()).unwrap_or(u64::MAX),
            deliveries,
            ..Deed::new(tenant, object.as_str(), fact)
        };
        record(context, actor, request_id, deed);
    }
    Ok(())
}

/// The name of who asked: an old command has nothing else.
pub(crate) fn name_of<'c>(actor: Option<&'c Actor>, former: &'c str) -> &'c str {
    actor.map_or(former, |actor| actor.name.as_str())
}

/// How a tenant stands.
pub(crate) fn tenant(tenant: &Tenant) -> Option<Image> {
    Some(Image::Tenant {
        description: tenant.description.clone(),
        retention: tenant.retention,
    })
}

/// How a destination stands, without its credential.
pub(crate) fn destination(destination: &Destination) -> Option<Image> {
    Some(Image::Destination {
        spec: Box::new(DestinationSpec {
            credential: bytes::Bytes::new(),
            ..destination.spec.clone()
        }),
        state: destination.state.clone(),
    })
}

/// How a route stands.
pub(crate) fn route(route: &Route) -> Option<Image> {
    Some(Image::Route {
        pattern: route.pattern.clone(),
        destination: route.destination_id.clone(),
    })
}
