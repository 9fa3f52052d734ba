//! Callers that publish as a careful product does: in batches, through every node, each event under its own
//! idempotency key and repeated until it is acknowledged. What was acknowledged, and when, is on record here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pushrail_api::v1;
use tokio_util::task::AbortOnDropHandle;

use crate::door::{Door, event};
use crate::eventually::{Pauses, poll};

/// What to publish.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose: event n is of tenant n modulo their number.
    pub tenants: Vec<String>,
    /// The types, in turn.
    pub event_types: Vec<String>,
    /// How many events; `usize::MAX`: until it is stopped.
    pub events: usize,
    /// How many a call.
    pub batch: usize,
    /// How many callers at a time.
    pub callers: usize,
    /// Bytes of a payload, about.
    pub payload_bytes: usize,
    /// Set apart from other loads on the same tenants.
    pub name: String,
}

/// An event that was acknowledged.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Its id.
    pub event: String,
    /// Whose.
    pub tenant: String,
    /// The body.
    pub payload: Vec<u8>,
    /// How many deliveries it made.
    pub deliveries: u32,
    /// A state that holds it.
    pub token: String,
    /// The node that acknowledged it.
    pub node: u64,
    /// When.
    pub at: Instant,
    /// Whether the acknowledgement came to a repeat.
    pub duplicate: bool,
}

#[derive(Default)]
struct Record {
    acknowledged: BTreeMap<usize, Acknowledged>,
    repeats: usize,
    last_error: Option<String>,
}

struct Shared {
    plan: Plan,
    doors: Vec<Door>,
    next: AtomicUsize,
    // Events below this number are published: lowering it ends the load.
    end: AtomicUsize,
    record: Mutex<Record>,
}

/// A load under way.
pub struct Load {
    shared: Arc<Shared>,
    callers: Vec<AbortOnDropHandle<()>>,
    began: Instant,
}

impl Load {
    /// Begins to publish through these nodes in turn.
    pub fn start(doors: Vec<Door>, plan: Plan) -> Self {
        let shared = Arc::new(Shared {
            doors,
            next: AtomicUsize::new(0),
            end: AtomicUsize::new(plan.events),
            record: Mutex::default(),
            plan,
        });
        let callers = (0..shared.plan.callers)
            .map(|caller| AbortOnDropHandle::new(tokio::spawn(publish_all(Arc::clone(&shared), caller))))
            .collect();
        Self {
            shared,
            callers,
            began: Instant::now(),
        }
    }

    /// How many are acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.shared.record().acknowledged.len()
    }

    /// How many calls failed and were repeated.
    pub fn repeats(&self) -> usize {
        self.shared.record().repeats
    }

    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Waits until so many are acknowledged.
    pub async fn reaches(&self, events: usize, within: Duration) {
        let reached = poll(within, || async {
            let record = self.shared.record();
            let count = record.acknowledged.len();
            (count >= events).then_some(()).ok_or(format!(
                "{count} acknowledged; last error {:?}",
                record.last_error
            ))
        })
        .await;
        if let Err(saw) = reached {
            panic!("{events} acknowledgements: not within {within:?}; last saw: {saw}");
        }
    }

    /// Begins no more events, and waits until those begun are acknowledged.
    pub async fn stop(self, within: Duration) -> Vec<Acknowledged> {
        self.shared.end.store(0, Ordering::SeqCst);
        self.finish(within).await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// Waits until all are acknowledged; in the order in which they were numbered.
    pub async fn finish(mut self, within: Duration) -> Result<Vec<Acknowledged>, String> {
        let ended = tokio::time::timeout(within, async {
            for caller in &mut self.callers {
                caller
                    .await
                    .map_err(|error| format!("a caller failed: {error}"))?;
            }
            Ok::<(), String>(())
        })
        .await;
        let mut record = self.shared.record();
        match ended {
            Ok(Ok(())) => Ok(std::mem::take(&mut record.acknowledged).into_values().collect()),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!(
                "not everything is acknowledged within {within:?}: {} are; last error {:?}",
                record.acknowledged.len(),
                record.last_error
            )),
        }
    }
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, number: usize) -> v1::NewEvent {
        let plan = &self.plan;
        let tenant = &plan.tenants[number % plan.tenants.len()];
        let event_type = &plan.event_types[number % plan.event_types.len()];
        let filler = "x".repeat(plan.payload_bytes);
        let payload = format!(
            r#"{{"load":"{}","number":{number},"filler":"{filler}"}}"#,
            plan.name
        );
        v1::NewEvent {
            idempotency_key: format!("{}-{number}", plan.name),
            ..event(tenant, event_type, payload)
        }
    }
}

/// The longest time between two acknowledgements, the time before the first one included.
pub fn longest_pause(began: Instant, acknowledged: &[Acknowledged]) -> Duration {
    let mut times: Vec<Instant> = acknowledged.iter().map(|one| one.at).collect();
    times.push(began);
    times.sort_unstable();
    times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or_default()
}

async fn publish_all(shared: Arc<Shared>, caller: usize) {
    let mut turn = caller;
    loop {
        let first = shared.next.fetch_add(shared.plan.batch, Ordering::SeqCst);
        let last = first.saturating_add(shared.plan.batch).min(shared.plan.events);
        if first >= shared.end.load(Ordering::SeqCst) {
            return;
        }
        let mut open: Vec<(usize, v1::NewEvent)> = (first..last)
            .map(|number| (number, shared.event(number)))
            .collect();
        let mut pauses = Pauses::default();
        while !open.is_empty() {
            let door = &shared.doors[turn % shared.doors.len()];
            turn += 1;
            if !publish_once(&shared, door, &mut open).await {
                // The next node is asked, but a cluster without a leader is not stormed.
                pauses.pass().await;
            }
        }
    }
}

/// Sends what is open through one node, takes out what it acknowledges, and says whether all of it was.
async fn publish_once(shared: &Shared, door: &Door, open: &mut Vec<(usize, v1::NewEvent)>) -> bool {
    let request = v1::PublishBatchRequest {
        events: open.iter().map(|(_, event)| event.clone()).collect(),
    };
    let results = match door.publisher().publish_batch(request).await {
        Ok(response) => response.into_inner().results,
        Err(status) => {
            let mut record = shared.record();
            record.repeats += 1;
            record.last_error = Some(format!("node {}: {status}", door.node()));
            return false;
        }
    };
    assert_eq!(results.len(), open.len(), "one result for each event");
    let at = Instant::now();
    let mut record = shared.record();
    let mut left = Vec::new();
    for ((number, event), result) in open.drain(..).zip(results) {
        match result.result {
            Some(v1::publish_result::Result::Accepted(receipt)) => {
                let acknowledged = Acknowledged {
                    event: receipt.event,
                    tenant: event.tenant,
                    payload: event.payload.to_vec(),
                    deliveries: receipt.deliveries,
                    token: receipt.token,
                    node: door.node(),
                    at,
                    duplicate: receipt.duplicate,
                };
                record.acknowledged.insert(number, acknowledged);
            }
            Some(v1::publish_result::Result::Error(error)) => {
                record.last_error = Some(format!("node {}: {}", door.node(), error.message));
                left.push((number, event));
            }
            None => panic!("a result that is neither"),
        }
    }
    let all = left.is_empty();
    record.repeats += usize::from(!all);
    *open = left;
    all
}
