//! What becomes of dead letters: chosen ones run again or are given up at once; all of a destination by a job.

use pushrail_machine::query::{config, jobs};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::change::Actor;
use pushrail_model::command::{CancelJob, Command, DiscardDeadLetters, StartJob, StartReplay};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::TenantId;
use pushrail_model::job::Job;
use pushrail_model::replay::{DiscardAnswer, ReplayAnswer};
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::token::Token;
use pushrail_raft::replica::Proposed;
use pushrail_raft::view::Freshness;
use tokio::time::Instant;

use crate::door::Door;
use crate::door::refusal::{Refusal, done_but};
use crate::door::settings::{call_deadline, gone};

/// A job, and what its destination is called.
#[derive(Clone, Debug)]
pub(crate) struct NamedJob {
    pub(crate) job: Job,
    /// Empty where it is gone.
    pub(crate) destination: String,
}

impl NamedJob {
    /// Looks its destination up.
    pub(crate) fn of(view: &dyn Read, tenant: &Tenant, job: Job) -> Result<Self, StoreError> {
        let partition = Partition::of(&tenant.id);
        let found = config::destination_by_number(view, partition, tenant.number, job.destination)?;
        Ok(Self {
            job,
            destination: found.map(|found| found.id.to_string()).unwrap_or_default(),
        })
    }
}

impl Door {
    /// Runs dead letters of one tenant again; one answer for each, in order.
    pub(crate) async fn start_replay(
        &self,
        replay: StartReplay,
        deadline: Instant,
    ) -> Result<(Vec<ReplayAnswer>, Token), Refusal> {
        let proposed = self.carry_out(Command::StartReplay(replay), deadline).await?;
        let Response::Replay(answers) = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        Ok((answers, proposed.token))
    }

    /// Gives dead letters of one tenant up; one answer for each, in order.
    pub(crate) async fn discard(
        &self,
        tenant: TenantId,
        deliveries: Vec<DeliveryKey>,
        request_id: String,
        actor: Actor,
        deadline: Instant,
    ) -> Result<(Vec<DiscardAnswer>, Token), Refusal> {
        let command = Command::DiscardDeadLetters(DiscardDeadLetters {
            tenant,
            former_actor: String::new(),
            deliveries,
            request_id,
            actor: Some(actor),
        });
        let proposed = self.carry_out(command, deadline).await?;
        let Response::Discards(answers) = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        Ok((answers, proposed.token))
    }

    /// Begins a job.
    pub(crate) async fn start_job(&self, wish: StartJob) -> Result<(NamedJob, Token), Refusal> {
        let tenant = wish.tenant.clone();
        let deadline = call_deadline();
        let proposed = self.carry_out(Command::StartJob(wish), deadline).await?;
        self.job_at(deadline, &tenant, &proposed).await
    }

    /// Ends a job.
    pub(crate) async fn cancel_job(&self, wish: CancelJob) -> Result<(NamedJob, Token), Refusal> {
        let tenant = wish.tenant.clone();
        let deadline = call_deadline();
        let proposed = self.carry_out(Command::CancelJob(wish), deadline).await?;
        self.job_at(deadline, &tenant, &proposed).await
    }

    async fn job_at(
        &self,
        deadline: Instant,
        tenant: &TenantId,
        proposed: &Proposed,
    ) -> Result<(NamedJob, Token), Refusal> {
        let Response::Job { number, .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        let token = proposed.token;
        let query = move |view: &dyn Read, tenant: &Tenant| {
            let job = jobs::job(view, Partition::of(&tenant.id), tenant.number, number)?;
            job.map(|job| NamedJob::of(view, tenant, job)).transpose()
        };
        let read = self.ask_of_by(Freshness::AtLeast(token), deadline, tenant, query);
        let job = read.await.map_err(done_but)?.value.ok_or_else(gone)?;
        Ok((job, token))
    }
}
