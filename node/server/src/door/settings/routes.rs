//! Routes: made, changed, removed.

use pushrail_machine::query::config;
use pushrail_machine::query::requests::Act;
use pushrail_machine::store::Read;
use pushrail_model::change::Actor;
use pushrail_model::command::{Command, PutRoute};
use pushrail_model::ids::{DestinationId, RouteId, TenantId};
use pushrail_model::response::Response;
use pushrail_model::route::{Pattern, Route};
use pushrail_model::settings::{RemoveRoute, UpdateRoute};
use pushrail_model::tenant::Tenant;
use pushrail_model::token::Token;
use pushrail_raft::view::Freshness;
use tokio::time::Instant;

use crate::door::Door;
use crate::door::refusal::Refusal;
use crate::door::settings::checks::Checks;
use crate::door::settings::present::{Change, Named};
use crate::door::settings::{Removal, read_back};

/// A route to make; texts as the caller gave them.
#[derive(Debug, Default)]
pub(crate) struct RouteWish {
    pub(crate) tenant: String,
    pub(crate) route: String,
    pub(crate) pattern: String,
    pub(crate) destination: String,
    pub(crate) request_id: String,
    pub(crate) actor: Actor,
}

/// A route to change; what is absent stays.
#[derive(Debug, Default)]
pub(crate) struct RoutePatch {
    pub(crate) tenant: String,
    pub(crate) route: String,
    pub(crate) version: u64,
    pub(crate) pattern: Option<String>,
    pub(crate) destination: Option<String>,
    pub(crate) request_id: String,
    /// Of what the caller said.
    pub(crate) content_hash: u128,
    pub(crate) actor: Actor,
}

impl Door {
    /// Makes a route.
    pub(crate) async fn create_route(
        &self,
        wish: RouteWish,
        deadline: Instant,
    ) -> Result<(Route, Token), Refusal> {
        let mut checks = Checks::default();
        let request_id = checks.request_id(wish.request_id);
        let tenant: Option<TenantId> = checks.id("tenant", &wish.tenant);
        let id = checks.id_or_made("route", &wish.route, &["route", &wish.tenant, &request_id]);
        let pattern = checks.id("pattern", &wish.pattern);
        let destination = checks.id("destination", &wish.destination);
        let all = tenant.zip(id).zip(pattern.zip(destination));
        let ((tenant, id), (pattern, destination)) = checks.finish(all)?;
        let command = Command::PutRoute(PutRoute {
            tenant: tenant.clone(),
            id: RouteId::clone(&id),
            pattern,
            destination,
            request_id,
            actor: Some(wish.actor),
        });
        self.route_after(command, &tenant, id, deadline).await
    }

    /// Changes a route.
    pub(crate) async fn update_route(
        &self,
        patch: RoutePatch,
        deadline: Instant,
    ) -> Result<(Route, Token), Refusal> {
        let mut checks = Checks::default();
        let request_id = checks.request_id(patch.request_id);
        let tenant: Option<TenantId> = checks.id("tenant", &patch.tenant);
        let id: Option<RouteId> = checks.id("route", &patch.route);
        checks.version(patch.version);
        let pattern: Option<Pattern> = patch.pattern.and_then(|pattern| checks.id("pattern", &pattern));
        let destination: Option<DestinationId> = patch
            .destination
            .and_then(|destination| checks.id("destination", &destination));
        let (tenant, id) = checks.finish(tenant.zip(id))?;
        if pattern.is_none() && destination.is_none() {
            return Err(Refusal::invalid("pattern", "nothing is to change: give what is"));
        }
        let change = Change {
            tenant: tenant.clone(),
            object: Named::Route(id.clone()),
            act: Act::Update,
            request_id,
        };
        let query = {
            let id = id.clone();
            move |view: &dyn Read, tenant: &Tenant| config::route(view, tenant, &id)
        };
        let present = self.present(&change, deadline, query).await?;
        let command = Command::UpdateRoute(UpdateRoute {
            tenant: tenant.clone(),
            id: id.clone(),
            pattern: pattern.unwrap_or(present.pattern),
            destination: destination.unwrap_or(present.destination_id),
            version: patch.version,
            request_id: change.request_id,
            content_hash: patch.content_hash,
            actor: Some(patch.actor),
        });
        self.route_after(command, &tenant, id, deadline).await
    }

    /// Removes a route.
    pub(crate) async fn delete_route(&self, removal: Removal, deadline: Instant) -> Result<Token, Refusal> {
        let mut checks = Checks::default();
        let request_id = checks.request_id(removal.request_id);
        let tenant: Option<TenantId> = checks.id("tenant", &removal.tenant);
        let id: Option<RouteId> = checks.id("route", &removal.object);
        let (tenant, id) = checks.finish(tenant.zip(id))?;
        let command = Command::RemoveRoute(RemoveRoute {
            tenant,
            id,
            version: removal.version,
            request_id,
            actor: Some(removal.actor),
        });
        let proposed = self.carry_out(command, deadline).await?;
        let Response::Route { .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        Ok(proposed.token)
    }

    async fn route_after(
        &self,
        command: Command,
        tenant: &TenantId,
        id: RouteId,
        deadline: Instant,
    ) -> Result<(Route, Token), Refusal> {
        let proposed = self.carry_out(command, deadline).await?;
        let Response::Route { number, .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        let query = move |view: &dyn Read, tenant: &Tenant| config::route(view, tenant, &id);
        let read = self.ask_of_by(Freshness::AtLeast(proposed.token), deadline, tenant, query);
        let read = read.await.map_err(|refusal| read_back(refusal, "route"))?.value;
        // What bears the name by now may be another one.
        let stands = read.filter(|route| route.first == number);
        Ok((stands.ok_or(Refusal::Removed { what: "route" })?, proposed.token))
    }
}
