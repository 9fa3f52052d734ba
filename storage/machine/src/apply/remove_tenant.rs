//! `RemoveTenant`: removes a tenant that has neither destinations nor routes. Its name is free at once; its row stays
//! under its number, which is never given again, because what it published may still be there.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::response::Response;
use pushrail_model::settings::RemoveTenant;
use pushrail_model::shard::Partition;

use crate::changes;
use crate::context::Context;
use crate::keys::{NextTenantKey, TenantNameKey, prefix};
use crate::reject;
use crate::requests::{self, Act, Asked, Object};
use crate::store::{StoreError, Table, prefix_end};
use crate::tables::cluster::{self, NextTenant};
use crate::tables::requests::Led;
use crate::tables::{self, names};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &RemoveTenant) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.id,
        object: Object::Tenant,
        act: Act::Remove,
        id: &command.request_id,
    };
    if let Some(answer) = requests::answer(context.txn, &asked, requests::NOTHING_MORE)? {
        return Ok(answer);
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
        context.txn.delete_range(Table::FormerRoutes, of_tenant, end);
    }
    // A name that is used again goes on above every version that it has ever had, and so does all in it.
    let next = cluster::next_tenant(context.txn, partition)?;
    tables::put(
        context.txn,
        &NextTenantKey { partition },
        &NextTenant {
            spent_version: next.spent_version.max(tenant.version).max(tenant.spent_version),
            ..next
        },
    );
    let deed = Deed {
        version: tenant.version,
        before,
        ..Deed::new(&tenant.id, "", Fact::TenantRemoved)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    let led = Led {
        tenant: tenant.number,
        object: 0,
        version: tenant.version,
    };
    Ok(requests::carried_out(
        context,
        &asked,
        requests::NOTHING_MORE,
        led,
    ))
}
