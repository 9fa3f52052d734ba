//! `UpdateDestination`: changes what a caller said about a destination, if it still is as the caller saw it. Kind and
//! credential stay.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::destination::DestinationSpec;
use pushrail_model::response::Response;
use pushrail_model::settings::UpdateDestination;
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
    command: &UpdateDestination,
) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.tenant,
        object: Object::Destination(&command.id),
        act: Act::Update,
        id: &command.request_id,
    };
    if let Some(answer) = requests::answer(context.txn, &asked, command.content_hash)? {
        return Ok(answer);
    }
    let Some(tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let partition = Partition::of(&tenant.id);
    let named = names::destination(context.txn, partition, tenant.number, &command.id)?;
    let Some(mut destination) = named else {
        return Ok(reject::not_found("destination", &command.id));
    };
    if command.version != destination.version {
        return Ok(reject::version_moved(destination.version));
    }

    let before = changes::destination(&destination);
    destination.spec = DestinationSpec {
        kind: destination.spec.kind,
        credential: destination.spec.credential,
        ..command.spec.clone()
    };
    destination.version += 1;
    context.put_destination(partition, tenant.number, &destination);
    let deed = Deed {
        version: destination.version,
        before,
        after: changes::destination(&destination),
        ..Deed::new(&tenant.id, destination.id.as_str(), Fact::DestinationUpdated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    let led = Led {
        tenant: tenant.number,
        object: destination.number.0,
        version: destination.version,
    };
    Ok(requests::carried_out(context, &asked, command.content_hash, led))
}
