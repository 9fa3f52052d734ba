//! Destinations: made, changed, paused and resumed, removed, and their credentials rotated. A credential is sealed
//! here, before it goes into a command, and opened here once, for the answer to the request that brought it.

use bytes::Bytes;
use pushrail_adapters::registry;
use pushrail_machine::query::config;
use pushrail_machine::query::requests::Act;
use pushrail_machine::store::Read;
use pushrail_model::change::Actor;
use pushrail_model::command::{Command, PutDestination, SetDestinationState, WantedState};
use pushrail_model::destination::{Destination, DestinationSpec};
use pushrail_model::ids::{DestinationId, TenantId};
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::retry::RetryPolicy;
use pushrail_model::settings::{RemoveDestination, RotateCredential, UpdateDestination};
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;
use pushrail_model::token::Token;
use pushrail_raft::replica::Proposed;
use pushrail_raft::view::Freshness;
use tokio::time::Instant;

use crate::door::Door;
use crate::door::refusal::{Refusal, Wrong};
use crate::door::settings::checks::Checks;
use crate::door::settings::present::{Change, Named};
use crate::door::settings::{Removal, read_back};

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
    pub(crate) actor: Actor,
    /// What reading the wish has already found wrong.
    pub(crate) wrong: Vec<Wrong>,
}

/// A destination to change; what is absent stays.
#[derive(Debug, Default)]
pub(crate) struct DestinationPatch {
    pub(crate) tenant: String,
    pub(crate) destination: String,
    pub(crate) version: u64,
    pub(crate) settings: Option<String>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) description: Option<String>,
    pub(crate) request_id: String,
    /// Of what the caller said.
    pub(crate) content_hash: u128,
    pub(crate) actor: Actor,
    /// What reading the patch has already found wrong.
    pub(crate) wrong: Vec<Wrong>,
}

/// A credential to be followed by another; texts as the caller gave them.
#[derive(Debug, Default)]
pub(crate) struct RotationWish {
    pub(crate) tenant: String,
    pub(crate) destination: String,
    pub(crate) credential: String,
    /// Absent: the default.
    pub(crate) overlap: Option<Span>,
    pub(crate) version: u64,
    pub(crate) request_id: String,
    pub(crate) actor: Actor,
    /// What reading the wish has already found wrong.
    pub(crate) wrong: Vec<Wrong>,
}

/// A destination as it stands, with its credential where it may be shown.
pub(crate) struct Revealed {
    pub(crate) destination: Destination,
    /// A JSON object; empty where another has followed it.
    pub(crate) credential: Bytes,
    pub(crate) token: Token,
}

impl Door {
    /// Makes a destination.
    pub(crate) async fn create_destination(
        &self,
        wish: DestinationWish,
        deadline: Instant,
    ) -> Result<Revealed, Refusal> {
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
        let plain = DestinationSpec {
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
        if registry::adapter(&plain.kind).is_some() {
            checks.adapters(registry::open(&plain, &self.inner.net).map(|_| ()));
        }
        let (tenant, id) = checks.finish(tenant.zip(id))?;
        let command = Command::PutDestination(PutDestination {
            tenant: tenant.clone(),
            id: id.clone(),
            spec: DestinationSpec {
                credential: self.seal(&tenant, &id, &plain.credential)?,
                ..plain
            },
            request_id,
            actor: Some(wish.actor),
        });
        let proposed = self.carry_out_on_destination(command, deadline).await?;
        let made = self.destination_at(&proposed, deadline, &tenant, id).await?;
        Ok(Revealed {
            credential: self.revealed(&proposed, &tenant, &made)?,
            destination: made,
            token: proposed.token,
        })
    }

    /// Changes a destination. It is acknowledged only when every node that may deliver follows it.
    pub(crate) async fn update_destination(
        &self,
        patch: DestinationPatch,
        deadline: Instant,
    ) -> Result<(Destination, Token), Refusal> {
        let mut checks = Checks::with(patch.wrong);
        let request_id = checks.request_id(patch.request_id);
        let tenant: Option<TenantId> = checks.id("tenant", &patch.tenant);
        let id: Option<DestinationId> = checks.id("destination", &patch.destination);
        checks.version(patch.version);
        let changes = (
            &patch.settings,
            &patch.retry,
            patch.concurrency,
            &patch.description,
        );
        if let (None, None, None, None) = changes {
            checks.complain("settings", "nothing is to change: give what is");
        }
        if let Some(settings) = &patch.settings {
            checks.size("settings", settings, limits::SETTINGS_BYTES_MAX);
        }
        if let Some(retry) = &patch.retry {
            checks.retry(retry);
        }
        let concurrency = patch
            .concurrency
            .map(|concurrency| checks.concurrency(concurrency));
        if let Some(description) = &patch.description {
            checks.description(description);
        }
        let (tenant, id) = checks.finish(tenant.zip(id))?;

        let change = Change {
            tenant: tenant.clone(),
            object: Named::Destination(id.clone()),
            act: Act::Update,
            request_id,
        };
        let present = self.present_destination(&change, &id, deadline).await?;
        if let Some(settings) = &patch.settings {
            self.check_settings(&tenant, &present, settings)?;
        }
        let command = Command::UpdateDestination(UpdateDestination {
            tenant: tenant.clone(),
            id: id.clone(),
            spec: DestinationSpec {
                kind: present.spec.kind,
                settings: patch.settings.map_or(present.spec.settings, Bytes::from),
                credential: Bytes::new(),
                retry: patch.retry.unwrap_or(present.spec.retry),
                concurrency: concurrency.unwrap_or(present.spec.concurrency),
                description: patch.description.unwrap_or(present.spec.description),
            },
            version: patch.version,
            request_id: change.request_id,
            content_hash: patch.content_hash,
            actor: Some(patch.actor),
        });
        let proposed = self.carry_out_on_destination(command, deadline).await?;
        self.fence(&proposed, deadline).await?;
        let stands = self.destination_at(&proposed, deadline, &tenant, id).await?;
        Ok((stands, proposed.token))
    }

    /// Pauses or resumes. A pause is acknowledged only when every node that may deliver follows it; a repeat waits for
    /// that again.
    pub(crate) async fn set_state(
        &self,
        tenant: &str,
        destination: &str,
        wanted: WantedState,
        request_id: String,
        actor: Actor,
        deadline: Instant,
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
            actor: Some(actor),
        });
        let proposed = self.carry_out_on_destination(command, deadline).await?;
        if wanted == WantedState::Paused {
            self.fence(&proposed, deadline).await?;
        }
        let stands = self.destination_at(&proposed, deadline, &tenant, id).await?;
        Ok((stands, proposed.token))
    }

    /// Removes a destination, with its routes. It is acknowledged only when no node starts an attempt any more.
    pub(crate) async fn delete_destination(
        &self,
        removal: Removal,
        deadline: Instant,
    ) -> Result<Token, Refusal> {
        let mut checks = Checks::default();
        let request_id = checks.request_id(removal.request_id);
        let tenant: Option<TenantId> = checks.id("tenant", &removal.tenant);
        let id: Option<DestinationId> = checks.id("destination", &removal.object);
        let (tenant, id) = checks.finish(tenant.zip(id))?;
        let command = Command::RemoveDestination(RemoveDestination {
            tenant,
            id,
            version: removal.version,
            request_id,
            actor: Some(removal.actor),
        });
        let proposed = self.carry_out_on_destination(command, deadline).await?;
        self.fence(&proposed, deadline).await?;
        Ok(proposed.token)
    }

    /// Gives a destination another credential. It is acknowledged only when every attempt that starts uses it.
    pub(crate) async fn rotate_credential(
        &self,
        wish: RotationWish,
        deadline: Instant,
    ) -> Result<Revealed, Refusal> {
        let mut checks = Checks::with(wish.wrong);
        let request_id = checks.request_id(wish.request_id);
        let tenant: Option<TenantId> = checks.id("tenant", &wish.tenant);
        let id: Option<DestinationId> = checks.id("destination", &wish.destination);
        checks.size("credential", &wish.credential, limits::CREDENTIAL_BYTES_MAX);
        let overlap = wish.overlap.unwrap_or(limits::CREDENTIAL_OVERLAP_DEFAULT);
        if overlap > limits::CREDENTIAL_OVERLAP_MAX {
            checks.complain("overlap", format!("{overlap}; at most 7 days"));
        }
        let (tenant, id) = checks.finish(tenant.zip(id))?;

        let change = Change {
            tenant: tenant.clone(),
            object: Named::Destination(id.clone()),
            act: Act::Rotate,
            request_id,
        };
        let present = self.present_destination(&change, &id, deadline).await?;
        let mut checks = Checks::default();
        let plain = DestinationSpec {
            credential: checks
                .adapters(registry::fill_credential(
                    &present.spec.kind,
                    wish.credential.as_bytes(),
                ))
                .unwrap_or_default(),
            ..present.spec
        };
        checks.adapters(registry::open(&plain, &self.inner.net).map(|_| ()));
        checks.finish(Some(()))?;
        let command = Command::RotateCredential(RotateCredential {
            tenant: tenant.clone(),
            id: id.clone(),
            credential: self.seal(&tenant, &id, &plain.credential)?,
            overlap,
            version: wish.version,
            request_id: change.request_id,
            actor: Some(wish.actor),
        });
        let proposed = self.carry_out_on_destination(command, deadline).await?;
        self.fence(&proposed, deadline).await?;
        let stands = self.destination_at(&proposed, deadline, &tenant, id).await?;
        Ok(Revealed {
            credential: self.revealed(&proposed, &tenant, &stands)?,
            destination: stands,
            token: proposed.token,
        })
    }

    async fn carry_out_on_destination(
        &self,
        command: Command,
        deadline: Instant,
    ) -> Result<Proposed, Refusal> {
        let proposed = self.carry_out(command, deadline).await?;
        if let Response::Destination { .. } = proposed.response {
            return Ok(proposed);
        }
        Err(Refusal::unexpected(&proposed.response))
    }

    async fn present_destination(
        &self,
        change: &Change,
        id: &DestinationId,
        deadline: Instant,
    ) -> Result<Destination, Refusal> {
        let id = id.clone();
        let query = move |view: &dyn Read, tenant: &Tenant| config::destination(view, tenant, &id);
        self.present(change, deadline, query).await
    }

    /// The destination that a change was made of, as it stands after it.
    async fn destination_at(
        &self,
        proposed: &Proposed,
        deadline: Instant,
        tenant: &TenantId,
        id: DestinationId,
    ) -> Result<Destination, Refusal> {
        let Response::Destination { number, .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        let query = move |view: &dyn Read, tenant: &Tenant| config::destination(view, tenant, &id);
        let read = self.ask_of_by(Freshness::AtLeast(proposed.token), deadline, tenant, query);
        let read = read
            .await
            .map_err(|refusal| read_back(refusal, "destination"))?
            .value;
        // What bears the name by now may be another one.
        let stands = read.filter(|destination| destination.number == number);
        stands.ok_or(Refusal::Removed { what: "destination" })
    }
}
