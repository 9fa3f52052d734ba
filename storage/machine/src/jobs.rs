//! Jobs over dead letters: their only writer, and how they are put on record.
//! Invariant: a job is marked as running exactly while it runs.

use pushrail_model::change::{Actor, Deed, Fact, Image};
use pushrail_model::ids::{JobNo, TenantNo};
use pushrail_model::job::{Job, JobState};
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::changes;
use crate::context::Context;
use crate::keys::{JobKey, prefix};
use crate::store::{KeyRange, Read, StoreError};
use crate::tables::{self, names};

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

/// Puts on record that a job has begun, or that it has ended as it stands now.
pub(crate) fn record(
    context: &mut Context<'_, '_>,
    key: &JobKey,
    job: &Job,
    actor: Option<&Actor>,
    request_id: &str,
) -> Result<(), StoreError> {
    if actor.is_none() {
        return Ok(());
    }
    let tenant = names::of_tenant(context.txn, key.partition, key.tenant)?;
    let destination = names::of_destination(context.txn, key.partition, key.tenant, job.destination)?;
    let (fact, before) = match job.state {
        JobState::Running => (Fact::JobStarted, None),
        JobState::Done => (Fact::JobDone, Some(image(&begun(job)))),
        JobState::Cancelled => (Fact::JobCancelled, Some(image(&begun(job)))),
    };
    let deed = Deed {
        before,
        after: Some(image(job)),
        count: job.taken,
        job: Some(job.number),
        ..Deed::new(&tenant, destination.as_str(), fact)
    };
    changes::record(context, actor, request_id, deed);
    Ok(())
}

/// The job as it was when it began: between that and its end nothing of it is put on record.
fn begun(job: &Job) -> Job {
    Job {
        state: JobState::Running,
        taken: 0,
        passed: 0,
        ..job.clone()
    }
}

fn image(job: &Job) -> Image {
    Image::Job {
        kind: job.kind,
        cause: job.cause,
        state: job.state,
        total: job.total,
        taken: job.taken,
        passed: job.passed,
    }
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

/// Whether no job of the tenant has a higher number.
pub(crate) fn is_newest(read: &dyn Read, key: &JobKey) -> Result<bool, StoreError> {
    let mut newest = None;
    let range = KeyRange::prefix(&prefix(&[&key.partition, &key.tenant])).descending();
    tables::scan_keys(read, range, |last: JobKey| {
        newest = Some(last.job);
        Ok(tables::more(false))
    })?;
    Ok(newest.is_none_or(|newest| newest <= key.job))
}

/// The number of a tenant's next job: the newest is never removed, so none is given twice.
pub(crate) fn next_number(jobs: &[(JobKey, Job)]) -> JobNo {
    JobNo(jobs.last().map_or(1, |(key, _)| key.job.0 + 1))
}
