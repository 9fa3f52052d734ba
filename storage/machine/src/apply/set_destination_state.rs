//! `SetDestinationState`: a person pauses or resumes a destination. While it is held, the windows of its deliveries
//! stand still.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::command::{SetDestinationState, WantedState};
use pushrail_model::destination::{Destination, DestinationState};
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;

use crate::changes;
use crate::context::Context;
use crate::reject;
use crate::store::StoreError;
use crate::tables::names;

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &SetDestinationState,
) -> Result<Response, StoreError> {
    let Some(tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let partition = Partition::of(&tenant.id);
    let named = names::destination(context.txn, partition, tenant.number, &command.destination)?;
    let Some(mut destination) = named else {
        return Ok(reject::not_found("destination", &command.destination));
    };
    let wanted = match command.wanted {
        WantedState::Active => DestinationState::Active,
        WantedState::Paused => DestinationState::Paused,
    };
    // A repeat of the request before a receiver disabled it; the same id on another wish is another request.
    let disabled = matches!(destination.state, DestinationState::Disabled { .. });
    let repeated = disabled && reject::repeats(&command.request_id, &destination.state_request_id);
    if repeated || destination.state == wanted {
        return Ok(stands(&destination));
    }

    let before = changes::destination(&destination);
    (destination.held, destination.held_since) = match command.wanted {
        WantedState::Active => (destination.held_until(context.now), None),
        WantedState::Paused => (destination.held, destination.held_since.or(Some(context.now))),
    };
    destination.state = wanted;
    destination.version += 1;
    destination.state_request_id = command.request_id.clone();
    context.put_destination(partition, tenant.number, &destination);
    let fact = match command.wanted {
        WantedState::Active => Fact::DestinationResumed,
        WantedState::Paused => Fact::DestinationPaused,
    };
    let deed = Deed {
        version: destination.version,
        before,
        after: changes::destination(&destination),
        ..Deed::new(&tenant.id, destination.id.as_str(), fact)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    Ok(stands(&destination))
}

fn stands(destination: &Destination) -> Response {
    Response::Destination {
        number: destination.number,
        version: destination.version,
        shard: destination.shard,
    }
}
