//! `StartJob`: begins a replay or a discard of all that lies dead at a destination now. The state's clock ticks once,
//! so that *dead by then* is a time, and whatever dies later is told apart by its own.

use pushrail_model::command::StartJob;
use pushrail_model::ids::{DestinationId, DestinationNo, TenantNo};
use pushrail_model::job::{Job, JobCursor, JobState};
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;

use crate::changes;
use crate::context::Context;
use crate::jobs;
use crate::keys::{DestinationCountsKey, DestinationKey, JobKey};
use crate::reject;
use crate::store::StoreError;
use crate::tables::{self, names};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &StartJob) -> Result<Response, StoreError> {
    let Some(tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let partition = Partition::of(&tenant.id);
    let all = jobs::of_tenant(context.txn, partition, tenant.number)?;
    let named = names::destination(context.txn, partition, tenant.number, &command.destination)?;
    let repeated = |job: &Job| reject::repeats(&command.request_id, &job.request_id);
    // Order: a repeat is answered as the first was, also where its destination has been removed since.
    if let Some((_, job)) = all.iter().find(|(_, job)| repeated(job)) {
        let same = (job.kind, job.cause) == (command.kind, command.cause)
            && was_named(
                context,
                &of(partition, tenant.number, job.destination),
                &command.destination,
            )?;
        return Ok(if same {
            jobs::stands(job)
        } else {
            reject::already_exists("request", &command.request_id)
        });
    }
    let Some(destination) = named else {
        return Ok(reject::not_found("destination", &command.destination));
    };
    let running = all.iter().filter(|(_, job)| job.state == JobState::Running);
    if running.count() >= limits::JOBS_RUNNING_MAX {
        let limit = u64::try_from(limits::JOBS_RUNNING_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("running jobs", limit));
    }

    if all.len() >= limits::JOBS_KEPT_MAX
        && let Some((oldest, _)) = all.iter().find(|(_, job)| job.state != JobState::Running)
    {
        tables::delete(context.txn, oldest);
    }
    let counts = DestinationCountsKey {
        partition,
        tenant: tenant.number,
        destination: destination.number,
    };
    let countable = command.cause.is_none() || context.counting()?.done;
    let total = match countable {
        true => Some(context.tally.dead(context.txn, &counts, command.cause)?),
        false => None,
    };
    let mut job = Job {
        number: jobs::next_number(&all),
        kind: command.kind,
        destination: destination.number,
        cause: command.cause,
        actor: changes::name_of(command.actor.as_ref(), &command.former_actor).to_owned(),
        request_id: command.request_id.clone(),
        started: context.now,
        cursor: JobCursor::default(),
        total,
        taken: 0,
        passed: 0,
        state: JobState::Running,
        ended: None,
        ended_by: String::new(),
        on_record: command.actor.clone(),
    };
    let key = JobKey {
        partition,
        tenant: tenant.number,
        job: job.number,
    };
    let (actor, request_id) = (command.actor.as_ref(), command.request_id.as_str());
    jobs::record(context, &key, &job, actor, request_id)?;
    context.tick();
    if total == Some(0) {
        jobs::end(&mut job, JobState::Done, context.now, "");
        jobs::record(context, &key, &job, actor, request_id)?;
    }
    jobs::put(context, &key, &job);
    Ok(jobs::stands(&job))
}

fn of(partition: Partition, tenant: TenantNo, destination: DestinationNo) -> DestinationKey {
    DestinationKey {
        partition,
        tenant,
        destination,
    }
}

/// Whether the destination had this id, be it removed since.
fn was_named(
    context: &Context<'_, '_>,
    key: &DestinationKey,
    id: &DestinationId,
) -> Result<bool, StoreError> {
    let destination = tables::get(context.txn, key)?;
    Ok(destination.is_some_and(|destination| destination.id == *id))
}
