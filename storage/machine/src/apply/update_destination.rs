//! `UpdateDestination`: changes what a caller said about a destination, if it still is as the caller saw it. Kind and
//! credential stay.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::destination::{Destination, DestinationSpec};
use pushrail_model::response::Response;
use pushrail_model::settings::UpdateDestination;
use pushrail_model::shard::Partition;

use crate::changes;
use crate::context::Context;
use crate::reject;
use crate::store::StoreError;
use crate::tables::names;

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &UpdateDestination,
) -> Result<Response, StoreError> {
    let Some(tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let partition = Partition::of(&tenant.id);
    let named = names::destination(context.txn, partition, tenant.number, &command.id)?;
    let Some(mut destination) = named else {
        return Ok(reject::not_found("destination", &command.id));
    };
    let spec = DestinationSpec {
        kind: destination.spec.kind.clone(),
        credential: destination.spec.credential.clone(),
        ..command.spec.clone()
    };
    let repeated =
        reject::repeats(&command.request_id, &destination.update_request_id) && spec == destination.spec;
    if repeated {
        return Ok(stands(&destination));
    }
    if command.version != destination.version {
        return Ok(reject::version_moved(destination.version));
    }

    let before = changes::destination(&destination);
    destination.spec = spec;
    destination.version += 1;
    destination.update_request_id.clone_from(&command.request_id);
    context.put_destination(partition, tenant.number, &destination);
    let deed = Deed {
        version: destination.version,
        before,
        after: changes::destination(&destination),
        ..Deed::new(&tenant.id, destination.id.as_str(), Fact::DestinationUpdated)
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
