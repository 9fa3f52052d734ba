//! `RemoveRoute`: removes a route. What it was stays under its number, for the decisions that name it. The tenant's
//! routing revision moves with it.

use pushrail_model::change::{Actor, Deed, Fact};
use pushrail_model::response::Response;
use pushrail_model::route::Route;
use pushrail_model::settings::RemoveRoute;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;

use crate::changes;
use crate::context::Context;
use crate::keys::{FormerRouteKey, RouteKey};
use crate::reject;
use crate::requests::{self, Act, Asked, Object};
use crate::store::StoreError;
use crate::tables::requests::Led;
use crate::tables::{self, names};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &RemoveRoute) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.tenant,
        object: Object::Route(&command.id),
        act: Act::Remove,
        id: &command.request_id,
    };
    if let Some(answer) = requests::answer(context.txn, &asked, requests::NOTHING_MORE)? {
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
    let Some(route) = tables::get(context.txn, &key)? else {
        return Ok(reject::not_found("route", &command.id));
    };
    if command.version != 0 && command.version != route.version {
        return Ok(reject::version_moved(route.version));
    }

    remove(
        context,
        &mut tenant,
        &route,
        &command.request_id,
        command.actor.as_ref(),
    );
    tenant.routing_revision = context.index;
    context.put_tenant(partition, &tenant);
    let led = Led {
        tenant: tenant.number,
        object: route.first.0,
        version: route.version + 1,
    };
    Ok(requests::carried_out(
        context,
        &asked,
        requests::NOTHING_MORE,
        led,
    ))
}

/// Takes a route away, and off its tenant's count; the tenant's row is the caller's to write.
pub(super) fn remove(
    context: &mut Context<'_, '_>,
    tenant: &mut Tenant,
    route: &Route,
    request_id: &str,
    actor: Option<&Actor>,
) {
    let partition = Partition::of(&tenant.id);
    let key = RouteKey {
        partition,
        tenant: tenant.number,
        id: route.id.clone(),
    };
    tables::delete(context.txn, &key);
    let former = FormerRouteKey {
        partition,
        tenant: tenant.number,
        route: route.number,
    };
    tables::put(context.txn, &former, route);
    tenant.routes -= 1;
    tenant.spend(route.version + 1);
    let deed = Deed {
        version: route.version + 1,
        before: changes::route(route),
        ..Deed::new(&tenant.id, route.id.as_str(), Fact::RouteRemoved)
    };
    changes::record(context, actor, request_id, deed);
}
