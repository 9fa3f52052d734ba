//! `PutTenant`: makes a tenant.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::command::PutTenant;
use pushrail_model::ids::TenantNo;
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;

use crate::changes;
use crate::context::Context;
use crate::keys::{NextTenantKey, TenantNameKey, TombstoneKey};
use crate::reject;
use crate::store::StoreError;
use crate::tables;
use crate::tables::cluster::NextTenant;
use crate::tables::names::{self, TenantPlace};

/// The version of what was just made.
const FIRST_VERSION: u64 = 1;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &PutTenant) -> Result<Response, StoreError> {
    if let Some(tenant) = names::tenant(context.txn, &command.id)? {
        let changed = !tenant.update_request_id.is_empty();
        let repeated = reject::repeats(&command.request_id, &tenant.request_id)
            && (changed
                || (command.description == tenant.description && command.retention == tenant.retention));
        return Ok(if repeated {
            Response::Tenant {
                number: tenant.number,
                version: FIRST_VERSION,
            }
        } else {
            reject::already_exists("tenant", &command.id)
        });
    }

    let buried = tables::get(context.txn, &TombstoneKey::of_tenant(&command.id))?;
    if let Some(buried) = buried.filter(|buried| reject::repeats(&command.request_id, &buried.made_by)) {
        return Ok(Response::Tenant {
            number: TenantNo(buried.number),
            version: FIRST_VERSION,
        });
    }

    let partition = Partition::of(&command.id);
    let next_key = NextTenantKey { partition };
    let number = tables::get(context.txn, &next_key)?.map_or(TenantNo(1), |NextTenant(number)| number);
    tables::put(context.txn, &next_key, &NextTenant(TenantNo(number.0 + 1)));
    let name = TenantNameKey {
        id: command.id.clone(),
    };
    tables::put(context.txn, &name, &TenantPlace { partition, number });
    let tenant = Tenant {
        id: command.id.clone(),
        number,
        description: command.description.clone(),
        routing_revision: context.index,
        version: FIRST_VERSION,
        created: context.now,
        request_id: command.request_id.clone(),
        destinations: 0,
        routes: 0,
        next_destination: 1,
        next_route: 1,
        retention: command.retention,
        update_request_id: String::new(),
        removed: None,
    };
    context.put_tenant(partition, &tenant);
    let deed = Deed {
        version: FIRST_VERSION,
        after: changes::tenant(&tenant),
        ..Deed::new(&tenant.id, "", Fact::TenantCreated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    Ok(Response::Tenant {
        number,
        version: FIRST_VERSION,
    })
}
