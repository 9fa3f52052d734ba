//! `PutDestination`: makes a destination. The tenant's routing revision moves with it.

use bytes::Bytes;

use pushrail_model::change::{Deed, Fact};
use pushrail_model::command::PutDestination;
use pushrail_model::destination::{Destination, DestinationSpec, DestinationState};
use pushrail_model::ids::DestinationNo;
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::shard::{Partition, ShardId};
use pushrail_model::time::Span;

use crate::changes;
use crate::context::Context;
use crate::keys::DestinationNameKey;
use crate::reject;
use crate::requests::{self, Act, Asked, Object};
use crate::store::StoreError;
use crate::tables;
use crate::tables::names::{self, DestinationPlace};
use crate::tables::requests::Led;

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &PutDestination,
) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.tenant,
        object: Object::Destination(&command.id),
        act: Act::Create,
        id: &command.request_id,
    };
    let content_hash = content_hash(command);
    if let Some(answer) = requests::answer(context.txn, &asked, content_hash)? {
        return Ok(answer);
    }
    let Some(mut tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let partition = Partition::of(&tenant.id);
    let present = names::destination(context.txn, partition, tenant.number, &command.id)?;
    if present.is_some() {
        return Ok(reject::already_exists("destination", &command.id));
    }
    if tenant.destinations >= limits::DESTINATIONS_PER_TENANT_MAX {
        let limit = limits::DESTINATIONS_PER_TENANT_MAX.into();
        return Ok(reject::limit_reached("destinations of a tenant", limit));
    }

    let (number, version) = (DestinationNo(tenant.next_destination), tenant.first_version());
    let shard = ShardId::of(partition, &command.id);
    let name = DestinationNameKey {
        partition,
        tenant: tenant.number,
        id: command.id.clone(),
    };
    tables::put(context.txn, &name, &DestinationPlace(number));
    let destination = Destination {
        id: command.id.clone(),
        number,
        shard,
        spec: command.spec.clone(),
        state: DestinationState::Active,
        held: Span::ZERO,
        held_since: None,
        version,
        created: context.now,
        credential_version: version,
        credential_revision: 0,
        previous: Vec::new(),
    };
    context.put_destination(partition, tenant.number, &destination);
    tenant.destinations += 1;
    tenant.next_destination += 1;
    tenant.routing_revision = context.index;
    context.put_tenant(partition, &tenant);
    let deed = Deed {
        version,
        after: changes::destination(&destination),
        ..Deed::new(&tenant.id, destination.id.as_str(), Fact::DestinationCreated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    let led = Led {
        tenant: tenant.number,
        object: number.0,
        version,
    };
    Ok(requests::carried_out(context, &asked, content_hash, led))
}

/// Credentials are left out: a door may have made each.
fn content_hash(command: &PutDestination) -> u128 {
    requests::content_hash(&PutDestination {
        spec: DestinationSpec {
            credential: Bytes::new(),
            ..command.spec.clone()
        },
        request_id: String::new(),
        actor: None,
        ..command.clone()
    })
}
