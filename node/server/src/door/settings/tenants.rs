//! Tenants: made, changed, removed.

use pushrail_machine::query::requests::Act;
use pushrail_model::change::Actor;
use pushrail_model::command::{Command, PutTenant};
use pushrail_model::ids::TenantId;
use pushrail_model::response::Response;
use pushrail_model::retention::Retention;
use pushrail_model::settings::{RemoveTenant, UpdateTenant};
use pushrail_model::tenant::Tenant;
use pushrail_model::token::Token;
use pushrail_raft::view::Freshness;
use tokio::time::Instant;

use crate::door::Door;
use crate::door::refusal::Refusal;
use crate::door::settings::checks::Checks;
use crate::door::settings::present::{Change, Named};
use crate::door::settings::{Removal, read_back};

/// A tenant to make; texts as the caller gave them.
#[derive(Debug, Default)]
pub(crate) struct TenantWish {
    pub(crate) tenant: String,
    pub(crate) description: String,
    pub(crate) retention: Retention,
    pub(crate) request_id: String,
    pub(crate) actor: Actor,
}

/// A tenant to change; what is absent stays.
#[derive(Debug, Default)]
pub(crate) struct TenantPatch {
    pub(crate) tenant: String,
    pub(crate) version: u64,
    pub(crate) description: Option<String>,
    pub(crate) retention: Retention,
    /// Whether what `retention` does not say goes back to its default.
    pub(crate) retention_reset: bool,
    pub(crate) request_id: String,
    /// Of what the caller said.
    pub(crate) content_hash: u128,
    pub(crate) actor: Actor,
}

impl Door {
    /// Makes a tenant.
    pub(crate) async fn create_tenant(
        &self,
        wish: TenantWish,
        deadline: Instant,
    ) -> Result<(Tenant, Token), Refusal> {
        let mut checks = Checks::default();
        let request_id = checks.request_id(wish.request_id);
        let id: Option<TenantId> = checks.id_or_made("tenant", &wish.tenant, &["tenant", &request_id]);
        checks.description(&wish.description);
        checks.retention(&wish.retention);
        let id = checks.finish(id)?;
        let command = Command::PutTenant(PutTenant {
            id: id.clone(),
            description: wish.description,
            retention: wish.retention,
            request_id,
            actor: Some(wish.actor),
        });
        self.tenant_after(command, &id, deadline).await
    }

    /// Changes a tenant.
    pub(crate) async fn update_tenant(
        &self,
        patch: TenantPatch,
        deadline: Instant,
    ) -> Result<(Tenant, Token), Refusal> {
        let mut checks = Checks::default();
        let request_id = checks.request_id(patch.request_id);
        let id: Option<TenantId> = checks.id("tenant", &patch.tenant);
        checks.version(patch.version);
        let keeps_as_it_does = patch.retention == Retention::default() && !patch.retention_reset;
        if patch.description.is_none() && keeps_as_it_does {
            checks.complain("description", "nothing is to change: give what is");
        }
        if let Some(description) = &patch.description {
            checks.description(description);
        }
        checks.retention(&patch.retention);
        let id = checks.finish(id)?;
        let change = Change {
            tenant: id.clone(),
            object: Named::Tenant,
            act: Act::Update,
            request_id,
        };
        let present = self
            .present(&change, deadline, |_, tenant| Ok(Some(tenant.clone())))
            .await?;
        // What stands may have moved since: then the version has too, and nothing is changed.
        let stands = match patch.retention_reset {
            true => Retention::default(),
            false => present.retention,
        };
        let command = Command::UpdateTenant(UpdateTenant {
            id: id.clone(),
            description: patch.description.unwrap_or(present.description),
            retention: patch.retention.over(stands),
            version: patch.version,
            request_id: change.request_id,
            content_hash: patch.content_hash,
            actor: Some(patch.actor),
        });
        self.tenant_after(command, &id, deadline).await
    }

    /// Removes a tenant that has neither destinations nor routes.
    pub(crate) async fn delete_tenant(&self, removal: Removal, deadline: Instant) -> Result<Token, Refusal> {
        let mut checks = Checks::default();
        let request_id = checks.request_id(removal.request_id);
        let id: Option<TenantId> = checks.id("tenant", &removal.tenant);
        let id = checks.finish(id)?;
        let command = Command::RemoveTenant(RemoveTenant {
            id,
            version: removal.version,
            request_id,
            actor: Some(removal.actor),
        });
        let proposed = self.carry_out(command, deadline).await?;
        let Response::Tenant { .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        Ok(proposed.token)
    }

    async fn tenant_after(
        &self,
        command: Command,
        id: &TenantId,
        deadline: Instant,
    ) -> Result<(Tenant, Token), Refusal> {
        let proposed = self.carry_out(command, deadline).await?;
        let Response::Tenant { number, .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        let read = self
            .ask_of_by(Freshness::AtLeast(proposed.token), deadline, id, |_, tenant| {
                Ok(tenant.clone())
            })
            .await;
        let stands = read.map_err(|refusal| read_back(refusal, "tenant"))?.value;
        // What bears the name by now is another one.
        if stands.number != number {
            return Err(Refusal::Removed { what: "tenant" });
        }
        Ok((stands, proposed.token))
    }
}
