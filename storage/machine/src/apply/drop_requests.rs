//! `DropRequests`: what is left of requests goes once nobody repeats them any more: answers of replays, jobs that have
//! ended. What is not over stays, whoever asked.

use pushrail_model::job::JobState;
use pushrail_model::limits;
use pushrail_model::requests::{DropRequests, Left, RequestRow};
use pushrail_model::response::Response;
use pushrail_model::time::Timestamp;

use crate::context::Context;
use crate::jobs;
use crate::keeping;
use crate::keys::{JobKey, Key, ReplayKey};
use crate::reject;
use crate::store::StoreError;
use crate::tables::{self, Row};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &DropRequests) -> Result<Response, StoreError> {
    if command.rows.len() > limits::UPKEEP_REQUESTS_MAX {
        let limit = u64::try_from(limits::UPKEEP_REQUESTS_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("rows in a drop of requests", limit));
    }
    let mut dropped = 0;
    for row in &command.rows {
        if drop_row(context, command, row)? {
            dropped += 1;
        }
    }
    Ok(Response::Swept {
        dropped,
        carried: 0,
        more: false,
    })
}

/// Whether it has gone now.
fn drop_row(
    context: &mut Context<'_, '_>,
    command: &DropRequests,
    row: &RequestRow,
) -> Result<bool, StoreError> {
    let (partition, tenant) = (command.partition, row.tenant);
    match &row.left {
        Left::Replay(request_id) => {
            let key = ReplayKey {
                partition,
                tenant,
                request_id: request_id.clone(),
            };
            drop_over(context, &key, |replay| Some(replay.started))
        }
        Left::Job(job) => {
            let key = JobKey {
                partition,
                tenant,
                job: *job,
            };
            // Its number must not be given again.
            if jobs::is_newest(context.txn, &key)? {
                return Ok(false);
            }
            drop_over(context, &key, |job| {
                job.ended.filter(|_| job.state != JobState::Running)
            })
        }
    }
}

fn drop_over<K: Key + Row>(
    context: &mut Context<'_, '_>,
    key: &K,
    since: impl Fn(&K::Value) -> Option<Timestamp>,
) -> Result<bool, StoreError> {
    let row = tables::get(context.txn, key)?;
    let since = row.as_ref().and_then(since);
    let over = since.is_some_and(|at| keeping::request_over(at, context.now));
    if over {
        tables::delete(context.txn, key);
    }
    Ok(over)
}
