//! Jobs over dead letters: their only writer.
//! Invariant: a job is marked as running exactly while it runs.

use pushrail_model::ids::{JobNo, TenantNo};
use pushrail_model::job::{Job, JobState};
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::context::Context;
use crate::keys::{JobKey, prefix};
use crate::store::{KeyRange, Read, StoreError};
use crate::tables;

/// Writes a job.
pub(crate) fn put(context: &mut Context<'_, '_>, key: &JobKey, job: &Job) {
    tables::put(context.txn, key, job);
    match job.state {
        JobState::Running => tables::mark(context.txn, &key.running()),
        JobState::Done | JobState::Cancelled => tables::delete(context.txn, &key.running()),
    }
}

/// Ends a job.
pub(crate) fn end(job: &mut Job, state: JobState, at: Timestamp, by: &str) {
    job.state = state;
    job.ended = Some(at);
    by.clone_into(&mut job.ended_by);
}

/// A job as an answer names it.
pub(crate) fn stands(job: &Job) -> Response {
    Response::Job {
        number: job.number,
        state: job.state,
    }
}

/// All jobs of a tenant, oldest first: they are few.
pub(crate) fn of_tenant(
    read: &dyn Read,
    partition: Partition,
    tenant: TenantNo,
) -> Result<Vec<(JobKey, Job)>, StoreError> {
    let range = KeyRange::prefix(&prefix(&[&partition, &tenant]));
    tables::rows(read, range, limits::JOBS_KEPT_MAX + limits::JOBS_RUNNING_MAX)
}

/// The number of a tenant's next job: the newest is never removed, so none is given twice.
pub(crate) fn next_number(jobs: &[(JobKey, Job)]) -> JobNo {
    JobNo(jobs.last().map_or(1, |(key, _)| key.job.0 + 1))
}
