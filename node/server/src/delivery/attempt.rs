//! One attempt: the dispatch in, one wire request, its outcome and verdict out. Spawned by the owner.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use metrics::{counter, histogram};
use pushrail_adapters::adapter::{Dispatch, Fault, Link, Reply};
use pushrail_adapters::{registry, rules};
use pushrail_machine::query::due::DueDelivery;
use pushrail_model::attempt::Attempt;
use pushrail_model::command::QueueKey;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::{AttemptNumber, DeliveryId, Epoch, NodeId};
use pushrail_model::outcome::{Cause, Failure, FailureClass, Outcome};
use pushrail_model::retry::Jitter;
use pushrail_model::time::{Span, Timestamp};
use pushrail_raft::clock::Clock;
use pushrail_raft::replica::Replica;
use tracing::error;

use crate::delivery::gate::Ticket;
use crate::delivery::links::Links;
use crate::delivery::verdict::{self, Circumstances};
use crate::metrics::{ATTEMPT_DURATION_SECONDS, ATTEMPTS_TOTAL};

/// What an adapter gets beyond its own time limits before the attempt is cut off: it is a defect if it needs it.
const GRACE: Duration = Duration::from_secs(1);

/// What every attempt of a node needs.
pub(crate) struct Outfit {
    pub(crate) node: NodeId,
    pub(crate) replica: Replica,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) links: Links,
    pub(crate) attempt_timeout: Duration,
}

/// A delivery whose turn it is.
pub(crate) struct Job {
    pub(crate) queue: QueueKey,
    pub(crate) due: DueDelivery,
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
    Some(conclude(
        outfit,
        &job,
        start,
        Span::from_duration(began.elapsed()),
        reply,
    ))
}

type Prepared<'a> = (Arc<dyn Link>, Dispatch<'a>);

fn prepare<'a>(outfit: &Outfit, job: &'a Job) -> Result<Prepared<'a>, Box<Reply>> {
    let DueDelivery {
        delivery,
        event,
        destination,
    } = &job.due;
    let link = outfit
        .links
        .open(job.queue, destination)
        .map_err(|invalid| Box::new(Reply::unopened(&invalid)))?;
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
    Ok((link, dispatch))
}

/// One request within its time. A panic of the adapter is this attempt's alone.
async fn send(link: &dyn Link, dispatch: Dispatch<'_>, within: Duration) -> Reply {
    let delivery = dispatch.delivery;
    let batch = [dispatch];
    let sent = AssertUnwindSafe(link.send(&batch)).catch_unwind();
    match tokio::time::timeout(within, sent).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) => {
            error!(%delivery, "adapter panicked");
            Reply::panicked()
        }
        Err(_) => {
            error!(%delivery, ?within, "adapter overran its time limits");
            Reply::failed(Fault::Timeout, "the attempt took longer than it may")
        }
    }
}

fn conclude(outfit: &Outfit, job: &Job, start: Timestamp, took: Span, reply: Reply) -> Attempt {
    let DueDelivery {
        delivery,
        destination,
        ..
    } = &job.due;
    let kind = registry::adapter(&destination.spec.kind);
    let outcome = match kind {
        Some(adapter) => rules::classify(adapter.spec(), &reply),
        // A newer node made it; one that knows the kind may own the shard next.
        None => Outcome::Failed(Failure {
            class: FailureClass::Transient,
            cause: Cause::Unknown,
            disables: false,
            floors: false,
            why: "this node's version does not know the destination's kind".to_owned(),
        }),
    };
    count(
        kind.map_or("unknown", |adapter| adapter.spec().kind),
        &outcome,
        took,
    );
    let verdict = verdict::decide(
        &outcome,
        &Circumstances {
            policy: &destination.spec.retry,
            number: job.number(),
            window_used: verdict::window_used(delivery, destination, start.plus(took)),
            retry_after: reply.observed.retry_after,
            jitter: Jitter::from_random(rand::random()),
        },
    );
    Attempt {
        delivery: job.key(),
        run: delivery.run,
        number: job.number(),
        epoch: job.epoch,
        node: outfit.node,
        start,
        took,
        outcome,
        observed: reply.observed,
        verdict,
    }
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use async_trait::async_trait;
    use bytes::Bytes;
    use pushrail_model::ids::{EventId, EventSeq};
    use pushrail_model::shard::Partition;

    use super::*;

    /// A link that does as it is told.
    enum Bad {
        Panics,
        Hangs,
    }

    #[async_trait]
    impl Link for Bad {
        async fn send(&self, _batch: &[Dispatch<'_>]) -> Reply {
            match self {
                Self::Panics => panic!("on purpose"),
                Self::Hangs => pending().await,
            }
        }

        async fn probe(&self) -> Reply {
            Reply::default()
        }
    }

    fn dispatch() -> Dispatch<'static> {
        let event = EventId {
            partition: Partition::default(),
            seq: EventSeq::ZERO,
        };
        Dispatch {
            event_id: event.to_string(),
            delivery: DeliveryId { event, place: 0 },
            number: AttemptNumber(1),
            event_type: "order.paid",
            content_type: "application/json",
            body: Bytes::from_static(b"{}"),
            created: Timestamp(1),
            now: Timestamp(2),
        }
    }

    async fn outcome(link: &dyn Link) -> Outcome {
        let reply = send(link, dispatch(), Duration::from_millis(20)).await;
        rules::classify(registry::adapter("webhook").unwrap().spec(), &reply)
    }

    fn transient(outcome: &Outcome) -> Option<Cause> {
        match outcome {
            Outcome::Failed(failure) if failure.class == FailureClass::Transient => Some(failure.cause),
            Outcome::Failed(_) | Outcome::Delivered => None,
        }
    }

    #[tokio::test]
    async fn a_panic_of_an_adapter_is_that_attempts_alone_and_transient() {
        assert_eq!(transient(&outcome(&Bad::Panics).await), Some(Cause::Unknown));
    }

    #[tokio::test]
    async fn an_adapter_that_never_answers_is_cut_off() {
        assert_eq!(transient(&outcome(&Bad::Hangs).await), Some(Cause::Timeout));
    }
}
