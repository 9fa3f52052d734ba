//! How long one tenant's events take from the call to the receiver, without and with another tenant whose destination
//! hangs under a backlog. Both are measured in turns in one cluster, so that whatever else the machine does falls on
//! both alike. The test and the bench of fairness use it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pushrail_api::v1;

use crate::behaviour::Behaviour;
use crate::cluster::{Cluster, Shape};
use crate::door::{Door, Webhook, event};
use crate::eventually::eventually;
use crate::load::{Load, Plan};
use crate::receiver::Receiver;
use crate::silent::Silent;

const SOON: Duration = Duration::from_secs(120);
const QUIET: &str = "quiet";
const NOISY: &str = "noisy";
const QUIET_PATH: &str = "/quiet";
/// Between two events of the quiet tenant.
const PACE: Duration = Duration::from_millis(10);

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Deliveries due at the destination that hangs.
    pub backlog: usize,
    /// Attempts at a time there.
    pub concurrency: u32,
    /// After which each of them is given up, and another begins.
    pub attempt_timeout: Duration,
    /// Times that both are measured.
    pub rounds: usize,
    /// Events of the quiet tenant each time.
    pub events: usize,
}

/// Latencies from call to receiver.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// The one below which this share of them lies.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default()
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// With the noisy tenant's destination paused.
    pub alone: Latencies,
    /// With it hanging.
    pub beside: Latencies,
    /// Requests that hung while it was measured.
    pub hung: usize,
    /// What the noisy tenant still had waiting at the end.
    pub left: u64,
}

/// Measures in a cluster of its own.
pub async fn measure(trial: Trial) -> Measured {
    let receiver = Receiver::start().await;
    let silent = Silent::start().await;
    let timeout = format!("delivery.attempt_timeout={}ms", trial.attempt_timeout.as_millis());
    let shape = Shape::three().set(&timeout).set("delivery.connect_timeout=1s");
    let cluster = Cluster::start(shape).await;
    let owner = cluster.leader().await;
    let door = cluster.door(owner);
    receiver.script(QUIET_PATH, Behaviour::default());
    let quiet = made(&door, owner, QUIET, &receiver.url(QUIET_PATH), 0).await;
    let noisy = made(&door, owner, NOISY, &silent.url(), trial.concurrency).await;
    door.pause(NOISY, &noisy).await.expect("a pause");
    fill(&cluster, &noisy, trial.backlog).await;

    let mut measured = Measured::default();
    // Connections are made and caches filled before anything counts.
    latencies(&door, &receiver, &quiet, trial.events / 4 + 1).await;
    for _ in 0..trial.rounds {
        let alone = latencies(&door, &receiver, &quiet, trial.events).await;
        measured.alone.0.extend(alone);

        let before = silent.taken();
        door.resume(NOISY, &noisy).await.expect("a resume");
        hangs(&silent, trial.concurrency).await;
        let beside = latencies(&door, &receiver, &quiet, trial.events).await;
        measured.beside.0.extend(beside);
        measured.hung += silent.taken() - before;
        door.pause(NOISY, &noisy).await.expect("a pause");
        // What was under way ends before the quiet tenant is alone again.
        idle(&silent).await;
    }
    let noisy = door.destination(NOISY, &noisy).await.expect("the destination");
    measured.left = noisy.counts.map_or(0, |counts| counts.scheduled);
    measured
}

/// A destination whose shard this node owns, with a route for all that is its tenant's.
async fn made(door: &Door, owner: u64, tenant: &str, url: &str, concurrency: u32) -> String {
    door.create_tenant(tenant).await.expect("a tenant");
    for number in 0..64 {
        let name = format!("hook-{number}");
        let mut webhook = Webhook::new(tenant, &name, url);
        webhook.concurrency = concurrency;
        door.create_webhook(&webhook).await.expect("a destination");
        let found = door.destination(tenant, &name).await.expect("the destination");
        if found.owner_node == owner {
            door.create_route(tenant, &format!("{name}.*"), &name)
                .await
                .expect("a route");
            return name;
        }
    }
    panic!("node {owner} owns none of 64 destinations");
}

async fn fill(cluster: &Cluster, noisy: &str, backlog: usize) {
    let plan = Plan {
        tenants: vec![NOISY.to_owned()],
        event_types: vec![format!("{noisy}.made")],
        events: backlog,
        batch: 200,
        callers: 4,
        payload_bytes: 200,
        name: "backlog".to_owned(),
    };
    let within = SOON * 5;
    let acknowledged = Load::start(cluster.doors(), plan).finish(within).await;
    assert_eq!(acknowledged.expect("the backlog").len(), backlog);
}

/// Waits until about as much hangs as may.
async fn hangs(silent: &Silent, concurrency: u32) {
    let wanted = usize::try_from(concurrency / 2).unwrap_or(usize::MAX);
    eventually("the destination hangs", SOON, || async {
        let open = silent.open();
        (open >= wanted).then_some(()).ok_or(format!("{open} open"))
    })
    .await;
}

async fn idle(silent: &Silent) {
    eventually("nothing hangs any more", SOON, || async {
        let open = silent.open();
        (open == 0).then_some(()).ok_or(format!("{open} open"))
    })
    .await;
}

/// Publishes one event after another at a pace, and measures each from its call to its arrival.
async fn latencies(door: &Door, receiver: &Receiver, quiet: &str, events: usize) -> Vec<Duration> {
    let mut pace = tokio::time::interval(PACE);
    let mut called: HashMap<String, Instant> = HashMap::new();
    let event: v1::NewEvent = event(QUIET, &format!("{quiet}.made"), "{}");
    for _ in 0..events {
        pace.tick().await;
        let at = Instant::now();
        let receipt = door.publish(event.clone()).await.expect("an acknowledgement");
        called.insert(receipt.event, at);
    }
    eventually("all arrive", SOON, || async {
        let taken = receiver.taken(QUIET_PATH);
        let missing = called.keys().filter(|id| !taken.contains_key(*id)).count();
        (missing == 0).then_some(()).ok_or(format!("{missing} missing"))
    })
    .await;
    let mut found = Vec::new();
    for request in receiver.requests_to(QUIET_PATH) {
        if let Some(at) = called.remove(&request.webhook_id) {
            found.push(request.at.saturating_duration_since(at));
        }
    }
    found
}
