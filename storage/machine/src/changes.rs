//! The change log: its only writer. A command without an actor leaves nothing in it, as the commands of old did.

use pushrail_model::change::{Actor, Change, Deed, Image};
use pushrail_model::destination::{Destination, DestinationSpec};
use pushrail_model::route::Route;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;

use crate::context::Context;
use crate::keys::{ChangeKey, Ended};
use crate::tables;

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
