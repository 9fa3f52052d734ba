//! `PutTenant`: makes a tenant.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::command::PutTenant;
use pushrail_model::ids::TenantNo;
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;

use crate::changes;
use crate::context::Context;
use crate::keys::{NextTenantKey, TenantNameKey};
use crate::reject;
use crate::requests::{self, Act, Asked, Object};
use crate::store::StoreError;
use crate::tables;
use crate::tables::cluster::{self, NextTenant};
use crate::tables::names::{self, TenantPlace};
use crate::tables::requests::Led;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &PutTenant) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.id,
        object: Object::Tenant,
        act: Act::Create,
        id: &command.request_id,
    };
    let content_hash = requests::content_hash(&PutTenant {
        request_id: String::new(),
        actor: None,
        ..command.clone()
    });
    if let Some(answer) = requests::answer(context.txn, &asked, content_hash)? {
        return Ok(answer);
    }
    if names::tenant(context.txn, &command.id)?.is_some() {
        return Ok(reject::already_exists("tenant", &command.id));
    }

    let partition = Partition::of(&command.id);
    let next = cluster::next_tenant(context.txn, partition)?;
    let (number, version) = (next.number, next.spent_version + 1);
    tables::put(
        context.txn,
        &NextTenantKey { partition },
        &NextTenant {
            number: TenantNo(number.0 + 1),
            ..next
        },
    );
    let name = TenantNameKey {
        id: command.id.clone(),
    };
    tables::put(context.txn, &name, &TenantPlace { partition, number });
    let tenant = Tenant {
        id: command.id.clone(),
        number,
        description: command.description.clone(),
        routing_revision: context.index,
        version,
        created: context.now,
        destinations: 0,
        routes: 0,
        next_destination: 1,
        next_route: 1,
        retention: command.retention,
        spent_version: next.spent_version,
        removed: None,
    };
    context.put_tenant(partition, &tenant);
    let deed = Deed {
        version,
        after: changes::tenant(&tenant),
        ..Deed::new(&tenant.id, "", Fact::TenantCreated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    let led = Led {
        tenant: number,
        object: 0,
        version,
    };
    Ok(requests::carried_out(context, &asked, content_hash, led))
}
