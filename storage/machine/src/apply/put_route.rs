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
use crate::keys::{RouteKey, TombstoneKey};
use crate::reject;
use crate::store::StoreError;
use crate::tables::removed::Of;
use crate::tables::{self, names};

/// The version of what was just made.
const FIRST_VERSION: u64 = 1;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &PutRoute) -> Result<Response, StoreError> {
    let Some(mut tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let partition = Partition::of(&tenant.id);
    let key = RouteKey {
        partition,
        tenant: tenant.number,
        id: command.id.clone(),
    };
    if let Some(present) = tables::get(context.txn, &key)? {
        let changed = !present.update_request_id.is_empty();
        let alike = (&command.pattern, &command.destination) == (&present.pattern, &present.destination_id);
        let repeated = reject::repeats(&command.request_id, &present.request_id) && (changed || alike);
        return Ok(if repeated {
            Response::Route {
                version: FIRST_VERSION,
            }
        } else {
            reject::already_exists("route", &command.id)
        });
    }
    let grave = TombstoneKey::within(partition, tenant.number, Of::Route, command.id.as_str());
    let buried = tables::get(context.txn, &grave)?;
    if buried.is_some_and(|buried| reject::repeats(&command.request_id, &buried.made_by)) {
        return Ok(Response::Route {
            version: FIRST_VERSION,
        });
    }
    let named = names::destination(context.txn, partition, tenant.number, &command.destination)?;
    let Some(destination) = named else {
        return Ok(reject::not_found("destination", &command.destination));
    };
    let routes_max = u32::try_from(limits::ROUTES_PER_TENANT_MAX).unwrap_or(u32::MAX);
    if tenant.routes >= routes_max {
        return Ok(reject::limit_reached("routes of a tenant", routes_max.into()));
    }

    let route = Route {
        id: command.id.clone(),
        number: RouteNo(tenant.next_route),
        pattern: command.pattern.clone(),
        destination: destination.number,
        destination_id: destination.id,
        version: FIRST_VERSION,
        created: context.now,
        request_id: command.request_id.clone(),
        update_request_id: String::new(),
    };
    tables::put(context.txn, &key, &route);
    tenant.routes += 1;
    tenant.next_route += 1;
    tenant.routing_revision = context.index;
    context.put_tenant(partition, &tenant);
    let deed = Deed {
        version: FIRST_VERSION,
        after: changes::route(&route),
        ..Deed::new(&tenant.id, route.id.as_str(), Fact::RouteCreated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    Ok(Response::Route {
        version: FIRST_VERSION,
    })
}
