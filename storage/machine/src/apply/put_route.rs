//! `PutRoute`: makes a route. The tenant's routing revision moves with it.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::command::PutRoute;
use pushrail_model::ids::RouteNo;
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::route::Route;
use pushrail_model::shard::Partition;

use crate::changes;
use crate::context::Context;
use crate::keys::RouteKey;
use crate::reject;
use crate::requests::{self, Act, Asked, Object};
use crate::store::StoreError;
use crate::tables::requests::Led;
use crate::tables::{self, names};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &PutRoute) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.tenant,
        object: Object::Route(&command.id),
        act: Act::Create,
        id: &command.request_id,
    };
    let content_hash = requests::content_hash(&PutRoute {
        request_id: String::new(),
        actor: None,
        ..command.clone()
    });
    if let Some(answer) = requests::answer(context.txn, &asked, content_hash)? {
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
    if tables::stands(context.txn, &key)? {
        return Ok(reject::already_exists("route", &command.id));
    }
    let named = names::destination(context.txn, partition, tenant.number, &command.destination)?;
    let Some(destination) = named else {
        return Ok(reject::not_found("destination", &command.destination));
    };
    let routes_max = u32::try_from(limits::ROUTES_PER_TENANT_MAX).unwrap_or(u32::MAX);
    if tenant.routes >= routes_max {
        return Ok(reject::limit_reached("routes of a tenant", routes_max.into()));
    }

    let (number, version) = (RouteNo(tenant.next_route), tenant.first_version());
    let route = Route {
        id: command.id.clone(),
        number,
        pattern: command.pattern.clone(),
        destination: destination.number,
        destination_id: destination.id,
        version,
        created: context.now,
        first: number,
    };
    tables::put(context.txn, &key, &route);
    tenant.routes += 1;
    tenant.next_route += 1;
    tenant.routing_revision = context.index;
    context.put_tenant(partition, &tenant);
    let deed = Deed {
        version,
        after: changes::route(&route),
        ..Deed::new(&tenant.id, route.id.as_str(), Fact::RouteCreated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    let led = Led {
        tenant: tenant.number,
        object: number.0,
        version,
    };
    Ok(requests::carried_out(context, &asked, content_hash, led))
}
