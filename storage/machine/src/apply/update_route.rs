//! `UpdateRoute`: changes a route, if it still is as the caller saw it. It gets another number, and what it was stays
//! under the old one: a decision names what was decided by. The tenant's routing revision moves with it.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::ids::RouteNo;
use pushrail_model::response::Response;
use pushrail_model::settings::UpdateRoute;
use pushrail_model::shard::Partition;

use crate::changes;
use crate::context::Context;
use crate::keys::{FormerRouteKey, RouteKey};
use crate::reject;
use crate::requests::{self, Act, Asked, Object};
use crate::store::StoreError;
use crate::tables::requests::Led;
use crate::tables::{self, names};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &UpdateRoute) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.tenant,
        object: Object::Route(&command.id),
        act: Act::Update,
        id: &command.request_id,
    };
    if let Some(answer) = requests::answer(context.txn, &asked, command.content_hash)? {
        return Ok(answer);
    }
    let Some(mut tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let partition = Partition::of(&tenant.id);
    let key = RouteKey {
        partition,
        tenant: tenant.number,
        id: command.id.clone(),
    };
    let Some(mut route) = tables::get(context.txn, &key)? else {
        return Ok(reject::not_found("route", &command.id));
    };
    if command.version != route.version {
        return Ok(reject::version_moved(route.version));
    }
    let named = names::destination(context.txn, partition, tenant.number, &command.destination)?;
    let Some(destination) = named else {
        return Ok(reject::not_found("destination", &command.destination));
    };

    let before = changes::route(&route);
    let former = FormerRouteKey {
        partition,
        tenant: tenant.number,
        route: route.number,
    };
    tables::put(context.txn, &former, &route);
    route.number = RouteNo(tenant.next_route);
    route.pattern = command.pattern.clone();
    route.destination = destination.number;
    route.destination_id = destination.id;
    route.version += 1;
    tables::put(context.txn, &key, &route);
    tenant.next_route += 1;
    tenant.routing_revision = context.index;
    context.put_tenant(partition, &tenant);
    let deed = Deed {
        version: route.version,
        before,
        after: changes::route(&route),
        ..Deed::new(&tenant.id, route.id.as_str(), Fact::RouteUpdated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    let led = Led {
        tenant: tenant.number,
        object: route.first.0,
        version: route.version,
    };
    Ok(requests::carried_out(context, &asked, command.content_hash, led))
}
