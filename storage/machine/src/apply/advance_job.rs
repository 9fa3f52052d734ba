//! `AdvanceJob`: one bounded step of a job, from where the step before ended. A step that comes twice, or from a
//! leader that has been replaced, starts where the job no longer stands, and moves nothing.

use std::ops::ControlFlow;

use pushrail_model::change::Actor;
use pushrail_model::command::AdvanceJob;
use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::destination::DestinationState;
use pushrail_model::ids::JobId;
use pushrail_model::job::{Job, JobCursor, JobKind, JobState};
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::time::Timestamp;

use crate::context::Context;
use crate::jobs;
use crate::keys::{DeadLetterKey, DestinationKey, JobKey, Key, prefix};
use crate::lifecycle;
use crate::query::page::just_after;
use crate::reject;
use crate::store::{Direction, KeyRange, Read, StoreError};
use crate::tables::{self, damaged, more};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &AdvanceJob) -> Result<Response, StoreError> {
    let key = JobKey {
        partition: command.partition,
        tenant: command.tenant,
        job: command.job,
    };
    let (taken_max, read_max) = (size(command.taken_max), size(command.read_max));
    if taken_max > limits::JOB_STEP_TAKEN_MAX || read_max > limits::JOB_STEP_READ_MAX {
        let limit = u64::try_from(limits::JOB_STEP_READ_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("dead letters in a step", limit));
    }
    let Some(mut job) = tables::get(context.txn, &key)? else {
        return Ok(reject::not_found("job", JobId(command.job)));
    };
    if job.state != JobState::Running || job.cursor != command.from {
        return Ok(jobs::stands(&job));
    }
    if context
        .lane(key.partition, key.tenant, job.destination)?
        .is_none_or(|lane| lane.removed)
    {
        // Its destination went, and its dead letters with it.
        jobs::end(&mut job, JobState::Cancelled, context.now, "");
        let remover = remover(context, &key, &job)?;
        jobs::record(context, &key, &job, remover.as_ref(), "")?;
        jobs::put(context, &key, &job);
        return Ok(jobs::stands(&job));
    }

    let step = look(context.txn, &key, &job, taken_max, read_max)?;
    for letter in &step.taken {
        take(context, &job, letter)?;
    }
    job.taken += count(step.taken.len());
    job.passed += count(step.passed);
    job.cursor = step.cursor;
    if step.last {
        jobs::end(&mut job, JobState::Done, context.now, "");
        jobs::record(context, &key, &job, job.on_record.as_ref(), &job.request_id)?;
    }
    jobs::put(context, &key, &job);
    Ok(jobs::stands(&job))
}

/// Who removed the destination of a job whose beginning is on record: from where is told by that removal's own change.
fn remover(context: &Context<'_, '_>, key: &JobKey, job: &Job) -> Result<Option<Actor>, StoreError> {
    if job.on_record.is_none() {
        return Ok(None);
    }
    let destination = DestinationKey {
        partition: key.partition,
        tenant: key.tenant,
        destination: job.destination,
    };
    let row = tables::get(context.txn, &destination)?;
    Ok(row.map(|row| Actor {
        name: match row.state {
            DestinationState::Removed { by, .. } => by,
            DestinationState::Active | DestinationState::Paused | DestinationState::Disabled { .. } => {
                String::new()
            }
        },
        ..Actor::default()
    }))
}

/// What one step meets.
struct Step {
    taken: Vec<DeadLetterKey>,
    passed: usize,
    cursor: JobCursor,
    last: bool,
}

fn look(
    read: &dyn Read,
    key: &JobKey,
    job: &Job,
    taken_max: usize,
    read_max: usize,
) -> Result<Step, StoreError> {
    let place = |died: Timestamp, cursor: JobCursor| DeadLetterKey {
        partition: key.partition,
        tenant: key.tenant,
        destination: job.destination,
        died,
        seq: cursor.seq,
    };
    let range = KeyRange {
        // Behind what it has met: a scan that began in front would walk over all that the steps before removed.
        start: just_after(&place(job.cursor.died, job.cursor).encode()),
        end: Some(prefix(&[
            &key.partition,
            &key.tenant,
            &job.destination,
            &job.started.plus(pushrail_model::time::Span(1)),
        ])),
        direction: Direction::Ascending,
    };
    let mut step = Step {
        taken: Vec::new(),
        passed: 0,
        cursor: job.cursor,
        last: true,
    };
    tables::scan(read, range, |letter: DeadLetterKey, row| {
        if step.taken.len() >= taken_max || step.taken.len() + step.passed >= read_max {
            step.last = false;
            return Ok(ControlFlow::Break(()));
        }
        step.cursor = JobCursor {
            died: letter.died,
            seq: letter.seq,
        };
        if job.cause.is_none_or(|cause| cause == row.cause) {
            step.taken.push(letter);
        } else {
            step.passed += 1;
        }
        Ok(more(true))
    })?;
    Ok(step)
}

fn take(context: &mut Context<'_, '_>, job: &Job, letter: &DeadLetterKey) -> Result<(), StoreError> {
    let key = DeliveryKey {
        partition: letter.partition,
        tenant: letter.tenant,
        destination: letter.destination,
        seq: letter.seq,
    };
    let delivery = tables::get(context.txn, &key)?;
    let dead = delivery.filter(|delivery| matches!(delivery.state, DeliveryState::Dead { .. }));
    let Some(delivery) = dead else {
        let what = "a dead letter stands without its dead delivery";
        return Err(damaged(DeadLetterKey::TABLE, &letter.encode(), what));
    };
    let lane = context.lane_of_delivery(&key)?;
    match job.kind {
        JobKind::Replay => lifecycle::run_again(context, lane, &key, delivery),
        JobKind::Discard => lifecycle::discard(context, lane, &key, delivery, &job.actor),
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
