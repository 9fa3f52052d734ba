//! `UpdateTenant`: changes a tenant, if it still is as the caller saw it.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::response::Response;
use pushrail_model::settings::UpdateTenant;
use pushrail_model::shard::Partition;

use crate::changes;
use crate::context::Context;
use crate::reject;
use crate::requests::{self, Act, Asked, Object};
use crate::store::StoreError;
use crate::tables::names;
use crate::tables::requests::Led;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &UpdateTenant) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.id,
        object: Object::Tenant,
        act: Act::Update,
        id: &command.request_id,
    };
    if let Some(answer) = requests::answer(context.txn, &asked, command.content_hash)? {
        return Ok(answer);
    }
    let Some(mut tenant) = names::tenant(context.txn, &command.id)? else {
        return Ok(reject::not_found("tenant", &command.id));
    };
    if command.version != tenant.version {
        return Ok(reject::version_moved(tenant.version));
    }

    let before = changes::tenant(&tenant);
    tenant.description.clone_from(&command.description);
    tenant.retention = command.retention;
    tenant.version += 1;
    context.put_tenant(Partition::of(&tenant.id), &tenant);
    let deed = Deed {
        version: tenant.version,
        before,
        after: changes::tenant(&tenant),
        ..Deed::new(&tenant.id, "", Fact::TenantUpdated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    let led = Led {
        tenant: tenant.number,
        object: 0,
        version: tenant.version,
    };
    Ok(requests::carried_out(context, &asked, command.content_hash, led))
}
