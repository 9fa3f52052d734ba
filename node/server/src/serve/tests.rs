//! One whole node on a real disk, with a receiver of real HTTP requests.

mod keeping;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use pushrail_adapters::registry;
use pushrail_machine::query;
use pushrail_model::attempt::AttemptRecord;
use pushrail_model::command::{
    AcceptEvents, Command, PutDestination, PutTenant, SetDestinationState, WantedState,
};
use pushrail_model::delivery::DeliveryState;
use pushrail_model::destination::{Destination, DestinationSpec};
use pushrail_model::event::NewEvent;
use pushrail_model::ids::{DestinationId, EventId, LogIndex, NodeId, TenantId};
use pushrail_model::payload::Payload;
use pushrail_model::response::{EventAnswer, Response};
use pushrail_model::retry::{RetryPolicy, Waits};
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;
use pushrail_model::verdict::DeathReason;
use pushrail_raft::clock::TestClock;

use tokio::net::TcpListener;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// Polls until `look` finds something; the only way to wait.
async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Takes requests, and answers them by a script of statuses; 200 where that has ended.
#[derive(Clone, Default)]
struct Receiver {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    script: VecDeque<u16>,
    taken: Vec<(String, Bytes, Instant)>,
}

impl Receiver {
    async fn start() -> (Self, SocketAddr) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, address)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn script(&self, statuses: &[u16]) {
        self.with(|inner| inner.script = statuses.iter().copied().collect());
    }

    fn count(&self) -> usize {
        self.with(|inner| inner.taken.len())
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let status = receiver.with(|inner| {
        inner.taken.push((id, body, Instant::now()));
        inner.script.pop_front().unwrap_or(200)
    });
    StatusCode::from_u16(status).unwrap()
}

/// A node, its clock, and what it delivers to.
struct World {
    running: Running,
    clock: Arc<TestClock>,
    receiver: Receiver,
    tenant: Tenant,
    destination: Destination,
}

fn tenant_id() -> TenantId {
    "acme".parse().unwrap()
}

fn destination_id() -> DestinationId {
    "hooks".parse().unwrap()
}

fn policy(waits: &[u64]) -> RetryPolicy {
    RetryPolicy {
        waits: Waits::Explicit(waits.iter().map(|millis| Span::from_millis(*millis)).collect()),
        floor: Span::ZERO,
        ..RetryPolicy::default()
    }
}

async fn node(dir: &Path, clock: &Arc<TestClock>) -> Running {
    let mut config = Config::new(NodeId(1), dir).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.listen, config.peer_listen, config.http_listen) = (any, any, any);
    config.delivery.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let around = Surroundings {
        clock: Arc::<TestClock>::clone(clock),
        ..Surroundings::default()
    };
    start(config, around).await.unwrap()
}

impl World {
    async fn new(dir: &Path, retry: RetryPolicy) -> Self {
        let clock = Arc::new(TestClock::new());
        let running = node(dir, &clock).await;
        let (receiver, address) = Receiver::start().await;
        let replica = running.replica();
        // Alone, it is never dialled.
        let nowhere = || "127.0.0.1:9".to_owned();
        let addresses = NodeAddresses {
            peer: nowhere(),
            client: nowhere(),
            http: nowhere(),
        };
        let members = BTreeMap::from([(NodeId(1), addresses)]);
        replica.init(members).await.unwrap();
        let tenant = Command::PutTenant(PutTenant {
            id: tenant_id(),
            description: String::new(),
            request_id: "t".to_owned(),
            retention: Default::default(),
            actor: None,
        });
        replica.propose(tenant).await.unwrap();
        let destination = Command::PutDestination(PutDestination {
            tenant: tenant_id(),
            id: destination_id(),
            spec: DestinationSpec {
                kind: "webhook".to_owned(),
                settings: format!("{{\"url\":\"http://{address}/in\"}}").into(),
                credential: registry::fill_credential("webhook", b"{}").unwrap(),
                retry,
                concurrency: 16,
                description: String::new(),
            },
            request_id: "d".to_owned(),
            actor: None,
        });
        let proposed = replica.propose(destination).await.unwrap();
        replica.await_applied(proposed.index, SOON).await.unwrap();
        let view = replica.view();
        let tenant = query::config::tenant(&view, &tenant_id()).unwrap().unwrap();
        let destination = query::config::destination(&view, &tenant, &destination_id())
            .unwrap()
            .unwrap();
        Self {
            running,
            clock,
            receiver,
            tenant,
            destination,
        }
    }

    async fn publish(&self, body: &'static [u8]) -> EventId {
        let command = Command::AcceptEvents(AcceptEvents {
            partition: Partition::of(&tenant_id()),
            events: vec![NewEvent {
                tenant: self.tenant.number,
                event_type: "order.paid".parse().unwrap(),
                content_type: "text/plain".to_owned(),
                payload: Payload {
                    bytes: Bytes::from_static(body),
                    plain_bytes: u32::try_from(body.len()).unwrap(),
                    ..Payload::default()
                },
                idempotency: None,
                routing_revision: self.tenant.routing_revision,
                decisions: Vec::new(),
                destinations: vec![self.destination.number],
                door: NodeId(1),
            }],
        });
        let proposed = self.running.replica().propose(command).await.unwrap();
        let Response::Events(answers) = proposed.response else {
            panic!("{proposed:?}");
        };
        let EventAnswer::Accepted { event, .. } = answers[0] else {
            panic!("{answers:?}");
        };
        event
    }

    async fn set(&self, wanted: WantedState, request: &str) -> LogIndex {
        let command = Command::SetDestinationState(SetDestinationState {
            tenant: tenant_id(),
            destination: destination_id(),
            wanted,
            request_id: request.to_owned(),
            actor: None,
        });
        self.running.replica().propose(command).await.unwrap().index
    }

    fn story(&self, event: EventId) -> Option<(DeliveryState, Vec<AttemptRecord>)> {
        let view = self.running.replica().view();
        let explained = query::event::explain(&view, self.tenant.number, event, usize::MAX).unwrap()?;
        let delivery = explained.deliveries.into_iter().next()?;
        Some((delivery.delivery.state, delivery.attempts))
    }

    async fn ends(&self, event: EventId) -> (DeliveryState, Vec<AttemptRecord>) {
        eventually("the delivery ends", || {
            self.story(event)
                .filter(|(state, _)| !matches!(state, DeliveryState::Scheduled { .. }))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_publish_is_delivered_at_once_and_is_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), policy(&[])).await;
    world.ends(world.publish(b"first").await).await;

    let event = world.publish(b"hello").await;
    let acknowledged = Instant::now();
    let (state, attempts) = world.ends(event).await;

    assert!(matches!(state, DeliveryState::Delivered { .. }));
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].attempt.observed.status, Some(200));
    let (id, body, at) = world.receiver.with(|inner| inner.taken[1].clone());
    assert_eq!((id, &body[..]), (event.to_string(), &b"hello"[..]));
    let after = at.saturating_duration_since(acknowledged);
    assert!(after < Duration::from_millis(500), "{after:?}");
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_retried_by_the_policy_until_it_is_exhausted() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), policy(&[20, 30])).await;
    world.receiver.script(&[500, 200, 500, 500, 500, 401]);

    let heals = world.ends(world.publish(b"a").await).await;
    let fails = world.ends(world.publish(b"b").await).await;
    let refused = world.ends(world.publish(b"c").await).await;

    assert!(matches!(heals.0, DeliveryState::Delivered { .. }));
    let numbers = |attempts: &[AttemptRecord]| -> Vec<u32> {
        attempts.iter().map(|record| record.attempt.number.0).collect()
    };
    assert_eq!(numbers(&heals.1), [1, 2]);
    assert!(matches!(
        fails.0,
        DeliveryState::Dead {
            reason: DeathReason::AttemptsExhausted,
            ..
        }
    ));
    assert_eq!(numbers(&fails.1), [1, 2, 3]);
    assert!(matches!(
        refused.0,
        DeliveryState::Dead {
            reason: DeathReason::Permanent,
            ..
        }
    ));
    assert_eq!(numbers(&refused.1), [1]);
    assert_eq!(world.receiver.count(), 6);
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_waits_for_the_states_time_and_not_for_ours() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), RetryPolicy::default()).await;
    world.receiver.script(&[503, 200]);
    let event = world.publish(b"a").await;
    let due = eventually("the retry is scheduled", || match world.story(event)? {
        (DeliveryState::Scheduled { due }, attempts) if attempts.len() == 1 => Some(due),
        _ => None,
    })
    .await;

    world.clock.advance(Duration::from_secs(60));
    let (state, attempts) = world.ends(event).await;

    assert!(matches!(state, DeliveryState::Delivered { .. }));
    assert!(attempts[1].attempt.start >= due);
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_destination_starts_nothing_over_a_restart_too_until_it_is_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path(), policy(&[])).await;
    let paused = world.set(WantedState::Paused, "p").await;
    let shard = world.destination.shard;
    let replica = world.running.replica().clone();
    replica.await_fence(shard, paused, SOON).await.unwrap();

    let event = world.publish(b"a").await;
    drop(replica);
    world.running.stop().await;
    world.running = node(dir.path(), &world.clock).await;
    let replica = world.running.replica().clone();
    eventually("it leads again and owns its shards", || {
        let report = replica.leadership()?.members.first()?.report?;
        (report.work.shards == 1024 && report.work.depth == 1).then_some(())
    })
    .await;
    assert_eq!(world.receiver.count(), 0);
    world.set(WantedState::Active, "r").await;
    let (state, _) = world.ends(event).await;

    assert!(matches!(state, DeliveryState::Delivered { .. }));
    assert_eq!(world.receiver.count(), 1);
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_events_are_each_delivered_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), policy(&[5, 5, 5])).await;
    world.receiver.script(&[500; 200]);

    let mut events = Vec::new();
    for _ in 0..20 {
        let published = (0..50).map(|_| world.publish(b"x"));
        events.extend(futures::future::join_all(published).await);
    }

    for event in &events {
        let (state, _) = world.ends(*event).await;
        assert!(matches!(state, DeliveryState::Delivered { .. }), "{event}");
    }
    assert_eq!(world.receiver.count(), 1200);
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_address_is_refused_by_the_name_of_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Config::new(NodeId(1), dir.path()).unwrap();
    config.listen = taken.local_addr().unwrap();

    let error = start(config, Surroundings::default()).await.err().unwrap();

    assert!(error.to_string().contains("(listen)"), "{error}");
}
