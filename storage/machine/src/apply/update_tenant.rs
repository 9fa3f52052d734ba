//! `UpdateTenant`: changes a tenant, if it still is as the caller saw it.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::response::Response;
use pushrail_model::settings::UpdateTenant;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;

use crate::changes;
use crate::context::Context;
use crate::reject;
use crate::store::StoreError;
use crate::tables::names;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &UpdateTenant) -> Result<Response, StoreError> {
    let Some(mut tenant) = names::tenant(context.txn, &command.id)? else {
        return Ok(reject::not_found("tenant", &command.id));
    };
    let repeated = reject::repeats(&command.request_id, &tenant.update_request_id)
        && command.description == tenant.description
        && command.retention == tenant.retention;
    if repeated {
        return Ok(stands(&tenant));
    }
    if command.version != tenant.version {
        return Ok(reject::version_moved(tenant.version));
    }

    let before = changes::tenant(&tenant);
    tenant.description.clone_from(&command.description);
    tenant.retention = command.retention;
    tenant.version += 1;
    tenant.update_request_id.clone_from(&command.request_id);
    context.put_tenant(Partition::of(&tenant.id), &tenant);
    let deed = Deed {
        version: tenant.version,
        before,
        after: changes::tenant(&tenant),
        ..Deed::new(&tenant.id, "", Fact::TenantUpdated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    Ok(stands(&tenant))
}

fn stands(tenant: &Tenant) -> Response {
    Response::Tenant {
        number: tenant.number,
        version: tenant.version,
    }
}
