//! One attempt: the dispatch in, one wire request, its outcome and verdict out. Spawned by the owner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, histogram};
use pushrail_adapters::adapter::{Dispatch, Link, Reply};
use pushrail_adapters::settings::Invalid;
use pushrail_adapters::{registry, rules};
use pushrail_machine::query;
use pushrail_machine::query::due::DueDelivery;
use pushrail_model::attempt::Attempt;
use pushrail_model::command::QueueKey;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::Destination;
use pushrail_model::ids::{AttemptNumber, DeliveryId, Epoch, NodeId, Run};
use pushrail_model::outcome::{Failure, FailureClass, Outcome};
use pushrail_model::retry::Jitter;
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::{DeathReason, Verdict};
use pushrail_raft::clock::Clock;
use pushrail_raft::replica::Replica;

use crate::delivery::gate::Ticket;
use crate::delivery::verdict::{self, Circumstances};
use crate::metrics::{ATTEMPT_DURATION_SECONDS, ATTEMPTS_TOTAL, PUBLISH_TO_RECEIVER_SECONDS};
use crate::send::{GRACE, send};

/// What every attempt of a node needs.
pub(crate) struct Outfit {
    pub(crate) node: NodeId,
    pub(crate) replica: Replica,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) attempt_timeout: Duration,
}

/// A delivery whose turn it is.
pub(crate) struct Job {
    pub(crate) queue: QueueKey,
    pub(crate) due: DueDelivery,
    /// Its destination, ready to send, or what is wrong with it.
    pub(crate) link: Result<Arc<dyn Link>, Vec<Invalid>>,
    pub(crate) epoch: Epoch,
    /// The state's time as the owner saw it when it decided.
    pub(crate) decided: Timestamp,
}

impl Job {
    fn key(&self) -> DeliveryKey {
        DeliveryKey {
            partition: self.queue.shard.partition(),
            tenant: self.queue.tenant,
            destination: self.queue.destination,
            seq: self.due.event.id.seq,
        }
    }

    fn number(&self) -> AttemptNumber {
        AttemptNumber(self.due.delivery.attempts_made.saturating_add(1))
    }
}

/// Makes the attempt; `None`: the lease was over before anything went out.
pub(crate) async fn make(outfit: &Outfit, job: Job, ticket: Ticket) -> Option<Attempt> {
    let prepared = prepare(outfit, &job);
    let lease = outfit.replica.lease_at(ticket.index());
    if !lease.is_held() {
        return None;
    }
    let start = lease.state_now().max(job.decided);
    let began = Instant::now();
    // Order: from here on it counts as begun, and the fence may pass it.
    drop(ticket);
    let reply = match prepared {
        Ok((link, dispatch)) => send(link.as_ref(), dispatch, outfit.attempt_timeout + GRACE).await,
        Err(reply) => *reply,
    };
    let took = Span::from_duration(began.elapsed());
    let mut attempt = conclude(outfit, &job, start, took, reply);
    if attempt.verdict == Verdict::Bury(DeathReason::WindowExhausted)
        && let Some(now) = as_it_is_now(outfit, &job).await
    {
        attempt.verdict = decide(&job, &now, &attempt);
    }
    Some(attempt)
}

type Prepared<'a> = (Arc<dyn Link>, Dispatch<'a>);

fn prepare<'a>(outfit: &Outfit, job: &'a Job) -> Result<Prepared<'a>, Box<Reply>> {
    let DueDelivery { delivery, event, .. } = &job.due;
    let link = job.link.as_ref();
    let link = link.map_err(|invalid| Box::new(Reply::unopened(invalid)))?;
    let body = link
        .encode(event)
        .map_err(|fault| Box::new(Reply::failed(fault, "the event could not be put into a request")))?;
    let dispatch = Dispatch {
        event_id: event.id.to_string(),
        delivery: DeliveryId {
            event: event.id,
            place: delivery.place,
        },
        number: job.number(),
        event_type: event.new.event_type.as_str(),
        content_type: &event.new.content_type,
        body,
        created: event.accepted,
        now: outfit.clock.wall(),
    };
    Ok((Arc::clone(link), dispatch))
}

fn conclude(outfit: &Outfit, job: &Job, start: Timestamp, took: Span, reply: Reply) -> Attempt {
    let destination = &job.due.destination;
    let kind = registry::adapter(&destination.spec.kind);
    let outcome = match kind {
        Some(adapter) => rules::classify(adapter.spec(), &reply),
        None => Outcome::Failed(rules::unknown_kind()),
    };
    let name = kind.map_or("unknown", |adapter| adapter.spec().kind);
    count(name, &outcome, took);
    // A replay's first attempt comes long after its event, and says nothing of how fast this cluster is.
    if outcome == Outcome::Delivered && job.due.delivery.run == Run(1) && job.number() == AttemptNumber(1) {
        let since = start.plus(took).since(job.due.event.accepted);
        histogram!(PUBLISH_TO_RECEIVER_SECONDS, "kind" => name).record(since.as_duration().as_secs_f64());
    }
    let mut attempt = Attempt {
        delivery: job.key(),
        place: Some(job.due.delivery.place),
        run: job.due.delivery.run,
        number: job.number(),
        epoch: job.epoch,
        node: outfit.node,
        start,
        took,
        outcome,
        observed: reply.observed,
        verdict: Verdict::Settle,
    };
    attempt.verdict = decide(job, destination, &attempt);
    attempt
}

/// What follows, as this row of the destination has it.
fn decide(job: &Job, destination: &Destination, attempt: &Attempt) -> Verdict {
    let ended = attempt.start.plus(attempt.took);
    verdict::decide(
        &attempt.outcome,
        &Circumstances {
            policy: &destination.spec.retry,
            number: attempt.number,
            window_used: verdict::window_used(&job.due.delivery, destination, ended),
            retry_after: attempt.observed.retry_after,
            jitter: Jitter::from_random(rand::random()),
        },
    )
}

/// The destination as this node's state has it now. One that was paused while the attempt was under way is held since
/// then, of which the row that the attempt was decided upon knows nothing; so nothing is buried without this look.
async fn as_it_is_now(outfit: &Outfit, job: &Job) -> Option<Destination> {
    let view = outfit.replica.view();
    let (queue, seq) = (job.queue, job.due.event.id.seq);
    let found = tokio::task::spawn_blocking(move || query::due::dispatch(&view, queue, seq)).await;
    // Without it, what was decided stands.
    found.ok()?.ok()?.map(|due| due.destination)
}

fn count(kind: &'static str, outcome: &Outcome, took: Span) {
    let (outcome, class, cause) = match outcome {
        Outcome::Delivered => ("delivered", "none", "none"),
        Outcome::Failed(Failure { class, cause, .. }) => {
            let class = match class {
                FailureClass::Transient => "transient",
                FailureClass::Permanent => "permanent",
            };
            ("failed", class, rules::cause_name(*cause))
        }
    };
    counter!(ATTEMPTS_TOTAL, "kind" => kind, "outcome" => outcome, "class" => class, "cause" => cause)
        .increment(1);
    histogram!(ATTEMPT_DURATION_SECONDS, "kind" => kind, "outcome" => outcome)
        .record(took.as_duration().as_secs_f64());
}
