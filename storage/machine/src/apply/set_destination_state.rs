//! `SetDestinationState`: a person pauses or resumes a destination. While it is held, the windows of its deliveries
//! stand still.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::command::{SetDestinationState, WantedState};
use pushrail_model::destination::DestinationState;
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;

use crate::changes;
use crate::context::Context;
use crate::reject;
use crate::requests::{self, Act, Asked, Object};
use crate::store::StoreError;
use crate::tables::names;
use crate::tables::requests::Led;

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &SetDestinationState,
) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.tenant,
        object: Object::Destination(&command.destination),
        act: match command.wanted {
            WantedState::Active => Act::Resume,
            WantedState::Paused => Act::Pause,
        },
        id: &command.request_id,
    };
    if let Some(answer) = requests::answer(context.txn, &asked, requests::NOTHING_MORE)? {
        return Ok(answer);
    }
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
    if destination.state == wanted {
        // Known all the same: a repeat of it must not undo what another does in between.
        let led = Led {
            tenant: tenant.number,
            object: destination.number.0,
            version: destination.version,
        };
        return Ok(requests::carried_out(
            context,
            &asked,
            requests::NOTHING_MORE,
            led,
        ));
    }

    let before = changes::destination(&destination);
    (destination.held, destination.held_since) = match command.wanted {
        WantedState::Active => (destination.held_until(context.now), None),
        WantedState::Paused => (destination.held, destination.held_since.or(Some(context.now))),
    };
    destination.state = wanted;
    destination.version += 1;
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
