//! `RemoveTenant`: removes a tenant that has neither destinations nor routes. Its name is free at once; its row stays
//! under its number, which is never given again, because what it published may still be there.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::ids::TenantNo;
use pushrail_model::response::Response;
use pushrail_model::settings::RemoveTenant;
use pushrail_model::shard::Partition;

use crate::changes;
use crate::context::Context;
use crate::keys::{TenantNameKey, TombstoneKey, prefix};
use crate::reject;
use crate::store::{StoreError, Table, prefix_end};
use crate::tables::removed::Tombstone;
use crate::tables::{self, names};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &RemoveTenant) -> Result<Response, StoreError> {
    let grave = TombstoneKey::of_tenant(&command.id);
    if let Some(before) = tables::get(context.txn, &grave)?
        && reject::repeats(&command.request_id, &before.removed_by)
    {
        return Ok(Response::Tenant {
            number: TenantNo(before.number),
            version: before.version,
        });
    }
    let Some(mut tenant) = names::tenant(context.txn, &command.id)? else {
        return Ok(reject::not_found("tenant", &command.id));
    };
    if command.version != 0 && command.version != tenant.version {
        return Ok(reject::version_moved(tenant.version));
    }
    if (tenant.destinations, tenant.routes) != (0, 0) {
        let holds = format!(
            "{} destinations and {} routes",
            tenant.destinations, tenant.routes
        );
        return Ok(reject::not_empty("tenant", &command.id, holds));
    }

    let partition = Partition::of(&tenant.id);
    let before = changes::tenant(&tenant);
    tenant.version += 1;
    tenant.removed = Some(context.now);
    context.put_tenant(partition, &tenant);
    let name = TenantNameKey {
        id: tenant.id.clone(),
    };
    tables::delete(context.txn, &name);
    // Nobody can speak of what it had any more.
    let of_tenant = prefix(&[&partition, &tenant.number]);
    if let Some(end) = prefix_end(&of_tenant) {
        context
            .txn
            .delete_range(Table::Tombstones, of_tenant.clone(), end.clone());
        context.txn.delete_range(Table::FormerRoutes, of_tenant, end);
    }
    let tombstone = Tombstone {
        number: tenant.number.0,
        version: tenant.version,
        at: context.now,
        made_by: tenant.request_id.clone(),
        removed_by: command.request_id.clone(),
    };
    tables::put(context.txn, &grave, &tombstone);
    let deed = Deed {
        version: tenant.version,
        before,
        ..Deed::new(&tenant.id, "", Fact::TenantRemoved)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    Ok(Response::Tenant {
        number: tenant.number,
        version: tenant.version,
    })
}
