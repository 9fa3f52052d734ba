//! `PutDestination`: makes a destination. The tenant's routing revision moves with it.

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
use crate::keys::{DestinationNameKey, TombstoneKey};
use crate::reject;
use crate::store::StoreError;
use crate::tables;
use crate::tables::names::{self, DestinationPlace};
use crate::tables::removed::Of;

/// The version of what was just made.
const FIRST_VERSION: u64 = 1;

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &PutDestination,
) -> Result<Response, StoreError> {
    let Some(mut tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let partition = Partition::of(&tenant.id);
    if let Some(present) = names::destination(context.txn, partition, tenant.number, &command.id)? {
        let changed = !present.update_request_id.is_empty();
        let repeated = reject::repeats(&command.request_id, &present.request_id)
            && (changed || alike(&command.spec, &present.spec));
        return Ok(if repeated {
            Response::Destination {
                number: present.number,
                version: FIRST_VERSION,
                shard: present.shard,
            }
        } else {
            reject::already_exists("destination", &command.id)
        });
    }
    let grave = TombstoneKey::within(partition, tenant.number, Of::Destination, command.id.as_str());
    let buried = tables::get(context.txn, &grave)?;
    if let Some(buried) = buried.filter(|buried| reject::repeats(&command.request_id, &buried.made_by)) {
        return Ok(Response::Destination {
            number: DestinationNo(buried.number),
            version: FIRST_VERSION,
            shard: ShardId::of(partition, &command.id),
        });
    }
    if tenant.destinations >= limits::DESTINATIONS_PER_TENANT_MAX {
        let limit = limits::DESTINATIONS_PER_TENANT_MAX.into();
        return Ok(reject::limit_reached("destinations of a tenant", limit));
    }

    let number = DestinationNo(tenant.next_destination);
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
        version: FIRST_VERSION,
        created: context.now,
        request_id: command.request_id.clone(),
        state_request_id: String::new(),
        update_request_id: String::new(),
        rotate_request_id: String::new(),
        credential_revision: 0,
        previous: Vec::new(),
    };
    context.put_destination(partition, tenant.number, &destination);
    tenant.destinations += 1;
    tenant.next_destination += 1;
    tenant.routing_revision = context.index;
    context.put_tenant(partition, &tenant);
    let deed = Deed {
        version: FIRST_VERSION,
        after: changes::destination(&destination),
        ..Deed::new(&tenant.id, destination.id.as_str(), Fact::DestinationCreated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    Ok(Response::Destination {
        number,
        version: FIRST_VERSION,
        shard,
    })
}

/// Whether the two ask for the same. Credentials are left out: a door may have made each.
fn alike(asked: &DestinationSpec, present: &DestinationSpec) -> bool {
    let asked = DestinationSpec {
        credential: present.credential.clone(),
        ..asked.clone()
    };
    asked == *present
}
