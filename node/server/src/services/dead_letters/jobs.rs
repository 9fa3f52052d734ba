//! Jobs: a replay or a discard of all that is dead at a destination.

use pushrail_api::v1::{
    self, CancelDeadLetterJobRequest, CancelDeadLetterJobResponse, DeadLetterJob, DeadLetterJobKind,
    DeadLetterJobState, GetDeadLetterJobRequest, GetDeadLetterJobResponse, ListDeadLetterJobsRequest,
    ListDeadLetterJobsResponse, StartDeadLetterJobRequest, StartDeadLetterJobResponse,
};
use pushrail_machine::query::jobs;
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::change::Actor;
use pushrail_model::command::{CancelJob, StartJob};
use pushrail_model::ids::{DestinationId, JobId, TenantId};
use pushrail_model::job::{JobKind, JobState};
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;

use crate::door::Door;
use crate::door::dead_letters::NamedJob;
use crate::door::refusal::{Refusal, Sort};
use crate::door::settings::checks::Checks;
use crate::services::{convert, filter};

/// Begins one.
pub(in crate::services) async fn start(
    door: &Door,
    request: StartDeadLetterJobRequest,
    actor: Actor,
) -> Result<StartDeadLetterJobResponse, Refusal> {
    let mut checks = Checks::default();
    let request_id = checks.request_id(request.request_id.clone());
    let tenant: Option<TenantId> = checks.id("tenant", &request.tenant);
    let destination: Option<DestinationId> = checks.id("destination", &request.destination);
    let kind = match request.kind() {
        DeadLetterJobKind::Replay => Some(JobKind::Replay),
        DeadLetterJobKind::Discard => Some(JobKind::Discard),
        DeadLetterJobKind::Unspecified => {
            checks.complain("kind", "replay or discard is required");
            None
        }
    };
    let cause = filter::cause(request.cause);
    let ((tenant, destination), kind) = checks.finish(tenant.zip(destination).zip(kind))?;
    let wish = StartJob {
        tenant: tenant.clone(),
        kind,
        destination,
        cause: cause?,
        former_actor: String::new(),
        request_id,
        actor: Some(actor),
    };
    let (job, token) = door.start_job(wish).await?;
    Ok(StartDeadLetterJobResponse {
        job: Some(message(&tenant, &job)),
        token: token.to_string(),
    })
}

/// Shows one.
pub(in crate::services) async fn get(
    door: &Door,
    request: GetDeadLetterJobRequest,
) -> Result<GetDeadLetterJobResponse, Refusal> {
    let tenant: TenantId = convert::id("tenant", &request.tenant)?;
    let JobId(number) = convert::id("job", &request.job)?;
    let freshness = convert::freshness(request.consistency.as_ref())?;
    let query = move |view: &dyn Read, tenant: &Tenant| {
        let job = jobs::job(view, Partition::of(&tenant.id), tenant.number, number)?;
        job.map(|job| NamedJob::of(view, tenant, job)).transpose()
    };
    let answered = door.ask_of(freshness, &tenant, query).await?;
    let job = answered.value.ok_or(Refusal::NotFound {
        sort: Sort::Job,
        id: request.job,
    })?;
    Ok(GetDeadLetterJobResponse {
        job: Some(message(&tenant, &job)),
        applied: answered.token.to_string(),
        age: answered.age.and_then(convert::length),
    })
}

/// Shows all of a tenant.
pub(in crate::services) async fn list(
    door: &Door,
    request: ListDeadLetterJobsRequest,
) -> Result<ListDeadLetterJobsResponse, Refusal> {
    let tenant: TenantId = convert::id("tenant", &request.tenant)?;
    let freshness = convert::freshness(request.consistency.as_ref())?;
    let query = |view: &dyn Read, tenant: &Tenant| {
        let jobs = jobs::list(view, Partition::of(&tenant.id), tenant.number)?;
        let named = jobs.into_iter().map(|job| NamedJob::of(view, tenant, job));
        named.collect::<Result<Vec<_>, StoreError>>()
    };
    let answered = door.ask_of(freshness, &tenant, query).await?;
    Ok(ListDeadLetterJobsResponse {
        jobs: answered.value.iter().map(|job| message(&tenant, job)).collect(),
        applied: answered.token.to_string(),
        age: answered.age.and_then(convert::length),
    })
}

/// Ends one.
pub(in crate::services) async fn cancel(
    door: &Door,
    request: CancelDeadLetterJobRequest,
    actor: Actor,
) -> Result<CancelDeadLetterJobResponse, Refusal> {
    let mut checks = Checks::default();
    let request_id = checks.request_id(request.request_id);
    let tenant: Option<TenantId> = checks.id("tenant", &request.tenant);
    let job: Option<JobId> = checks.id("job", &request.job);
    let (tenant, JobId(number)) = checks.finish(tenant.zip(job))?;
    let wish = CancelJob {
        tenant: tenant.clone(),
        job: number,
        former_actor: String::new(),
        request_id,
        actor: Some(actor),
    };
    let (job, token) = door.cancel_job(wish).await?;
    Ok(CancelDeadLetterJobResponse {
        job: Some(message(&tenant, &job)),
        token: token.to_string(),
    })
}

fn message(tenant: &TenantId, named: &NamedJob) -> DeadLetterJob {
    let job = &named.job;
    let kind = match job.kind {
        JobKind::Replay => DeadLetterJobKind::Replay,
        JobKind::Discard => DeadLetterJobKind::Discard,
    };
    let state = match job.state {
        JobState::Running => DeadLetterJobState::Running,
        JobState::Done => DeadLetterJobState::Done,
        JobState::Cancelled => DeadLetterJobState::Cancelled,
    };
    let cause = job.cause.map_or(v1::Cause::Unspecified, convert::cause);
    DeadLetterJob {
        job: JobId(job.number).to_string(),
        tenant: tenant.to_string(),
        kind: i32::from(kind),
        destination: named.destination.clone(),
        cause: i32::from(cause),
        actor: job.actor.clone(),
        started: convert::moment(job.started),
        state: i32::from(state),
        total: job.total,
        taken: job.taken,
        passed: job.passed,
        ended: job.ended.and_then(convert::moment),
        ended_by: job.ended_by.clone(),
    }
}
