//! `CancelJob`: somebody ends a job. What it has done stays done.

use pushrail_model::command::CancelJob;
use pushrail_model::ids::JobId;
use pushrail_model::job::JobState;
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;

use crate::changes;
use crate::context::Context;
use crate::jobs;
use crate::keys::JobKey;
use crate::reject;
use crate::store::StoreError;
use crate::tables::{self, names};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &CancelJob) -> Result<Response, StoreError> {
    let Some(tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let key = JobKey {
        partition: Partition::of(&tenant.id),
        tenant: tenant.number,
        job: command.job,
    };
    let Some(mut job) = tables::get(context.txn, &key)? else {
        return Ok(reject::not_found("job", JobId(command.job)));
    };
    if job.state == JobState::Running {
        let name = changes::name_of(command.actor.as_ref(), &command.former_actor);
        jobs::end(&mut job, JobState::Cancelled, context.now, name);
        jobs::record(context, &key, &job, command.actor.as_ref(), &command.request_id)?;
        jobs::put(context, &key, &job);
    }
    Ok(jobs::stands(&job))
}
