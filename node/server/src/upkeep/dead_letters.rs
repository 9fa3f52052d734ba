//! On the leader: moves jobs over dead letters on, and counts dead letters by their causes where that has not been done.
//! Of each job one step is under way at a time, and it names the place that it starts from: a step of a leader that was
//! replaced, or one that comes twice, moves nothing.

use std::collections::HashMap;
use std::time::Duration;

use pushrail_machine::query::jobs::JobPlace;
use pushrail_machine::query::{self, config, dead_letters, due, jobs};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::command::{AdvanceJob, Command, CountCauses, QueueKey};
use pushrail_model::ids::{EventSeq, JobId, TenantNo};
use pushrail_model::job::{Job, JobKind, JobState};
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;
use pushrail_raft::replica::Replica;
use tracing::{debug, info};

use crate::telemetry::chain;

/// How often the leader looks: a job takes some 2,500 dead letters a second at most.
const INTERVAL: Duration = Duration::from_millis(100);
/// Jobs moved on at each look; those beyond come when earlier ones end.
const JOBS_MAX: usize = 64;
/// A replay waits while more than this is due at its destination: what is published meanwhile stands behind no more
/// than this and one step.
const DUE_AHEAD_MAX: usize = 256;
/// How long the state may take to show what was proposed.
const APPLIED_WITHIN: Duration = Duration::from_secs(2);

/// Looks after them until it is dropped; does nothing while another node leads. Returns only if it cannot go on, with
/// the reason: the node must stop.
pub(crate) async fn run(replica: Replica) -> String {
    let mut memory = Memory::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(leadership) = replica.leadership() else {
            memory = Memory::default();
            continue;
        };
        let view = replica.view();
        // The rows are few and hot; still, the store may block.
        let looked = tokio::task::spawn_blocking(move || {
            let steps = look(&view, &mut memory)?;
            Ok::<_, StoreError>((steps, memory))
        });
        let steps = match looked.await {
            Ok(Ok((steps, seen))) => {
                memory = seen;
                steps
            }
            Ok(Err(error)) => return chain(&error),
            Err(error) => return error.to_string(),
        };
        for step in steps {
            match replica.propose_leading(leadership.term, step).await {
                // Its own next look must see it; one that does not proposes the same step, which moves nothing.
                Ok(proposed) => {
                    if let Response::Job { number, state } = proposed.response
                        && state != JobState::Running
                    {
                        info!(job = %JobId(number), ?state, "a job over dead letters has ended");
                    }
                    replica.await_applied(proposed.index, APPLIED_WITHIN).await.ok();
                }
                Err(error) => {
                    debug!(%error, "a step was not taken, looking again");
                    break;
                }
            }
        }
    }
}

/// What a leader knows from its looks before.
#[derive(Debug, Default)]
struct Memory {
    /// All dead letters are counted by their causes.
    counted: bool,
    /// Below this nothing is due any more at a destination: a look never walks over what was delivered.
    heads: HashMap<QueueKey, (Timestamp, EventSeq)>,
    /// The last job that was looked at: the next look begins behind it, so that jobs that wait keep nobody waiting.
    last: Option<JobPlace>,
}

/// The steps that may be taken now: one of each job.
fn look(view: &dyn Read, memory: &mut Memory) -> Result<Vec<Command>, StoreError> {
    let mut steps = Vec::new();
    if query::cluster(view)?.is_none() {
        return Ok(steps);
    }
    if !memory.counted {
        match dead_letters::counted_to(view)? {
            None => memory.counted = true,
            Some(from) => steps.push(Command::CountCauses(CountCauses {
                from,
                read_max: bound(limits::JOB_STEP_READ_MAX),
            })),
        }
    }
    let running = jobs::running(view, memory.last, JOBS_MAX)?;
    memory.last = running
        .last()
        .map(|(partition, tenant, job)| (*partition, *tenant, job.number));
    // Then a destination that is not among these has no job any more.
    let running_all = running.len() < JOBS_MAX;
    let mut heads = HashMap::new();
    for (partition, tenant, job) in running {
        if job.kind == JobKind::Discard || may_replay(view, (partition, tenant), &job, memory, &mut heads)? {
            steps.push(Command::AdvanceJob(AdvanceJob {
                partition,
                tenant,
                job: job.number,
                from: job.cursor,
                taken_max: bound(limits::JOB_STEP_TAKEN_MAX),
                read_max: bound(limits::JOB_STEP_READ_MAX),
            }));
        }
    }
    if running_all {
        memory.heads = heads;
    } else {
        memory.heads.extend(heads);
    }
    Ok(steps)
}

/// Whether little enough is due at the job's destination. One that is gone has no queue: the step ends the job.
fn may_replay(
    view: &dyn Read,
    (partition, tenant): (Partition, TenantNo),
    job: &Job,
    memory: &Memory,
    heads: &mut HashMap<QueueKey, (Timestamp, EventSeq)>,
) -> Result<bool, StoreError> {
    let destination = config::destination_by_number(view, partition, tenant, job.destination)?;
    let Some(destination) = destination else {
        return Ok(true);
    };
    let queue = QueueKey {
        shard: destination.shard,
        tenant,
        destination: destination.number,
    };
    let from = memory
        .heads
        .get(&queue)
        .copied()
        .unwrap_or((Timestamp::ZERO, EventSeq::ZERO));
    let now = query::clock(view)?;
    let due = due::after(view, queue, from, now, DUE_AHEAD_MAX + 1)?;
    // Whatever becomes due from here on does so at the state's time or later.
    heads.insert(queue, due.first().copied().unwrap_or((now, EventSeq::ZERO)));
    Ok(due.len() <= DUE_AHEAD_MAX)
}

fn bound(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}
