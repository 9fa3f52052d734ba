//! `RemoveDestination`: removes a destination with its routes and its credential. Its name is free at once and nothing
//! starts any more; what is still owed to it is ended by `CancelDeliveries`, step by step. Its row stays under its
//! number for those deliveries that are on record. The tenant's routing revision moves with it.

use bytes::Bytes;

use pushrail_model::change::{Deed, Fact};
use pushrail_model::destination::{Destination, DestinationState};
use pushrail_model::response::Response;
use pushrail_model::settings::RemoveDestination;
use pushrail_model::shard::Partition;

use crate::apply::remove_route;
use crate::changes;
use crate::context::Context;
use crate::keys::{DestinationNameKey, RemovalKey};
use crate::query::config;
use crate::reject;
use crate::requests::{self, Act, Asked, Object};
use crate::store::StoreError;
use crate::tables::removed::Removal;
use crate::tables::requests::Led;
use crate::tables::{self, names};

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &RemoveDestination,
) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.tenant,
        object: Object::Destination(&command.id),
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
    let named = names::destination(context.txn, partition, tenant.number, &command.id)?;
    let Some(mut destination) = named else {
        return Ok(reject::not_found("destination", &command.id));
    };
    if command.version != 0 && command.version != destination.version {
        return Ok(reject::version_moved(destination.version));
    }

    let routes = config::routes(context.txn, &tenant)?;
    for route in routes
        .iter()
        .filter(|route| route.destination == destination.number)
    {
        remove_route::remove(
            context,
            &mut tenant,
            route,
            &command.request_id,
            command.actor.as_ref(),
        );
    }
    let before = changes::destination(&destination);
    bury(context, &mut destination, command);
    context.put_destination(partition, tenant.number, &destination);
    let name = DestinationNameKey {
        partition,
        tenant: tenant.number,
        id: destination.id.clone(),
    };
    tables::delete(context.txn, &name);
    tenant.destinations -= 1;
    tenant.spend(destination.version);
    tenant.routing_revision = context.index;
    context.put_tenant(partition, &tenant);
    let removal = RemovalKey {
        partition,
        tenant: tenant.number,
        destination: destination.number,
    };
    tables::put(
        context.txn,
        &removal,
        &Removal {
            tenant: tenant.id.clone(),
            destination: destination.id.clone(),
            request_id: command.request_id.clone(),
            actor: command.actor.clone(),
            cancelled: 0,
        },
    );
    let deed = Deed {
        version: destination.version,
        before,
        ..Deed::new(&tenant.id, destination.id.as_str(), Fact::DestinationRemoved)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    let led = Led {
        tenant: tenant.number,
        object: destination.number.0,
        version: destination.version,
    };
    Ok(requests::carried_out(
        context,
        &asked,
        requests::NOTHING_MORE,
        led,
    ))
}

/// What its row is from now on: held for good, and without its secrets.
fn bury(context: &Context<'_, '_>, destination: &mut Destination, command: &RemoveDestination) {
    destination.state = DestinationState::Removed {
        at: context.now,
        by: command
            .actor
            .as_ref()
            .map_or_else(String::new, |actor| actor.name.clone()),
    };
    destination.held_since = destination.held_since.or(Some(context.now));
    destination.version += 1;
    destination.spec.credential = Bytes::new();
    destination.previous.clear();
    destination.credential_revision += 1;
}
