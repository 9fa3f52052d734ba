//! Tenants, destinations and routes: what a caller says is checked here, by the kind's own adapter too, becomes a
//! command, and is read back as it stands.

pub(crate) mod checks;

use std::time::Duration;

use bytes::Bytes;
use pushrail_adapters::registry;
use pushrail_machine::query::config;
use pushrail_machine::store::Read;
use pushrail_model::command::{
    Command, PutDestination, PutRoute, PutTenant, SetDestinationState, WantedState,
};
use pushrail_model::destination::{Destination, DestinationSpec};
use pushrail_model::ids::{DestinationId, RouteId, TenantId};
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::retention::Retention;
use pushrail_model::retry::RetryPolicy;
use pushrail_model::route::Route;
use pushrail_model::tenant::Tenant;
use pushrail_model::token::Token;
use pushrail_raft::replica::Proposed;
use pushrail_raft::view::Freshness;
use tokio::time::Instant;

use crate::door::Door;
use crate::door::refusal::{Refusal, Wrong, done_but};
use crate::door::settings::checks::Checks;

/// How long a whole call may take: carried out, waited for and read back.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_800);
/// How long a pause waits for the node that delivers: its lease and its margin, and then some.
const FENCE_WITHIN: Duration = Duration::from_millis(2_800);

/// What a fence leaves of a call's time, for reading back.
const READ_BACK: Duration = Duration::from_millis(200);

/// A tenant to make; texts as the caller gave them.
#[derive(Debug, Default)]
pub(crate) struct TenantWish {
    pub(crate) tenant: String,
    pub(crate) description: String,
    pub(crate) retention: Retention,
    pub(crate) request_id: String,
}

/// A destination to make; texts as the caller gave them.
#[derive(Debug, Default)]
pub(crate) struct DestinationWish {
    pub(crate) tenant: String,
    pub(crate) destination: String,
    pub(crate) kind: String,
    pub(crate) settings: String,
    pub(crate) credential: String,
    pub(crate) retry: RetryPolicy,
    pub(crate) concurrency: u32,
    pub(crate) description: String,
    pub(crate) request_id: String,
    /// What reading the wish has already found wrong.
    pub(crate) wrong: Vec<Wrong>,
}

/// A route to make; texts as the caller gave them.
#[derive(Debug, Default)]
pub(crate) struct RouteWish {
    pub(crate) tenant: String,
    pub(crate) route: String,
    pub(crate) pattern: String,
    pub(crate) destination: String,
    pub(crate) request_id: String,
}

impl Door {
    /// Makes a tenant.
    pub(crate) async fn create_tenant(&self, wish: TenantWish) -> Result<(Tenant, Token), Refusal> {
        let mut checks = Checks::default();
        let request_id = checks.request_id(wish.request_id);
        let id: Option<TenantId> = checks.id_or_made("tenant", &wish.tenant, &["tenant", &request_id]);
        checks.description(&wish.description);
        checks.retention(&wish.retention);
        let id = checks.finish(id)?;
        let command = Command::PutTenant(PutTenant {
            id: id.clone(),
            description: wish.description,
            request_id,
            retention: wish.retention,
        });
        let deadline = call_deadline();
        let proposed = self.carry_out(command, deadline).await?;
        let Response::Tenant { .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        let read = |_: &dyn Read, tenant: &Tenant| Ok(tenant.clone());
        let made = self
            .ask_of_by(Freshness::AtLeast(proposed.token), deadline, &id, read)
            .await;
        Ok((made.map_err(done_but)?.value, proposed.token))
    }

    /// Makes a destination.
    pub(crate) async fn create_destination(
        &self,
        wish: DestinationWish,
    ) -> Result<(Destination, Token), Refusal> {
        let mut checks = Checks::with(wish.wrong);
        let request_id = checks.request_id(wish.request_id);
        let tenant: Option<TenantId> = checks.id("tenant", &wish.tenant);
        let parts = ["destination", &wish.tenant, &request_id];
        let id: Option<DestinationId> = checks.id_or_made("destination", &wish.destination, &parts);
        checks.description(&wish.description);
        let concurrency = checks.concurrency(wish.concurrency);
        checks.retry(&wish.retry);
        checks.size("settings", &wish.settings, limits::SETTINGS_BYTES_MAX);
        checks.size("credential", &wish.credential, limits::CREDENTIAL_BYTES_MAX);
        let spec = DestinationSpec {
            credential: checks
                .adapters(registry::fill_credential(&wish.kind, wish.credential.as_bytes()))
                .unwrap_or_default(),
            kind: wish.kind,
            settings: Bytes::from(wish.settings),
            retry: wish.retry,
            concurrency,
            description: wish.description,
        };
        // Only what the kind knows can be opened; an unknown one has been complained about above.
        if registry::adapter(&spec.kind).is_some() {
            checks.adapters(registry::open(&spec, &self.inner.net).map(|_| ()));
        }
        let (tenant, id) = checks.finish(tenant.zip(id))?;
        let command = Command::PutDestination(PutDestination {
            tenant: tenant.clone(),
            id: id.clone(),
            spec,
            request_id,
        });
        let deadline = call_deadline();
        let proposed = self.carry_out(command, deadline).await?;
        let Response::Destination { .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        let made = self.destination_at(proposed.token, deadline, &tenant, id).await?;
        Ok((made, proposed.token))
    }

    /// Makes a route.
    pub(crate) async fn create_route(&self, wish: RouteWish) -> Result<(Route, Token), Refusal> {
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
        });
        let deadline = call_deadline();
        let proposed = self.carry_out(command, deadline).await?;
        let Response::Route { .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        let read = self
            .ask_of_by(
                Freshness::AtLeast(proposed.token),
                deadline,
                &tenant,
                move |view, tenant| config::route(view, tenant, &id),
            )
            .await;
        let made = read.map_err(done_but)?.value.ok_or_else(gone)?;
        Ok((made, proposed.token))
    }

    /// Pauses or resumes. A pause is acknowledged only when the node that delivers has said that it follows it; a
    /// repeat waits for that again.
    pub(crate) async fn set_state(
        &self,
        tenant: &str,
        destination: &str,
        wanted: WantedState,
        request_id: String,
    ) -> Result<(Destination, Token), Refusal> {
        let mut checks = Checks::default();
        let request_id = checks.request_id(request_id);
        let tenant: Option<TenantId> = checks.id("tenant", tenant);
        let id: Option<DestinationId> = checks.id("destination", destination);
        let (tenant, id) = checks.finish(tenant.zip(id))?;
        let command = Command::SetDestinationState(SetDestinationState {
            tenant: tenant.clone(),
            destination: id.clone(),
            wanted,
            request_id,
        });
        let deadline = call_deadline();
        let proposed = self.carry_out(command, deadline).await?;
        let Response::Destination { shard, .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        if wanted == WantedState::Paused {
            // What is left for reading back is little, but by then this node has applied it, as a rule.
            let left = deadline.saturating_duration_since(Instant::now() + READ_BACK);
            let within = left.min(FENCE_WITHIN);
            let fence = self.replica().await_fence(shard, proposed.index, within);
            fence.await.map_err(|error| Refusal::FencePending {
                why: error.to_string(),
            })?;
        }
        let stands = self.destination_at(proposed.token, deadline, &tenant, id).await?;
        Ok((stands, proposed.token))
    }

    /// Has the cluster carry out a command, once there is one; an answer comes by `deadline`.
    pub(in crate::door) async fn carry_out(
        &self,
        command: Command,
        deadline: Instant,
    ) -> Result<Proposed, Refusal> {
        if pushrail_machine::query::cluster(&self.replica().view())?.is_none() {
            return Err(Refusal::NotFormed);
        }
        Ok(Box::pin(self.replica().propose_by(command, deadline)).await?)
    }

    async fn destination_at(
        &self,
        token: Token,
        deadline: Instant,
        tenant: &TenantId,
        id: DestinationId,
    ) -> Result<Destination, Refusal> {
        let query = move |view: &dyn Read, tenant: &Tenant| config::destination(view, tenant, &id);
        let read = self
            .ask_of_by(Freshness::AtLeast(token), deadline, tenant, query)
            .await;
        read.map_err(done_but)?.value.ok_or_else(gone)
    }
}

/// By when a call that begins now has its answer.
pub(in crate::door) fn call_deadline() -> Instant {
    Instant::now() + ANSWER_WITHIN
}

pub(in crate::door) fn gone() -> Refusal {
    Refusal::Stands {
        why: "its object has gone since".to_owned(),
    }
}
