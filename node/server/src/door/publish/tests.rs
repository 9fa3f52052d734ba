//! The door without a network: what gathers, what is decided anew, and what a caller is told.

use std::sync::Mutex;

use pushrail_machine::memory::MemoryStore;
use pushrail_machine::store::Read;
use pushrail_machine::txn::Txn;
use pushrail_machine::{BatchAnswer, apply};
use pushrail_model::command::{Batch, Entry, InitCluster, PutDestination, PutRoute, PutTenant};
use pushrail_model::destination::DestinationSpec;
use pushrail_model::ids::{BatchNumber, BootId};
use pushrail_model::retry::RetryPolicy;
use pushrail_model::time::Timestamp;
use pushrail_raft::error::{ProposeError, ReadError};
use pushrail_raft::replica::Proposed;

use super::*;

/// A cluster of one state in memory, and a door whose own sight of it may lag behind.
#[derive(Default)]
struct Cluster {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    state: MemoryStore,
    seen: MemoryStore,
    index: u64,
    lags: bool,
    /// What happens in the cluster just before the next command of the door arrives.
    between: Vec<Command>,
    /// The quorum is gone: what the door asks ends this way.
    broken: Option<ProposeError>,
    proposals: usize,
}

impl Inner {
    fn apply(&mut self, command: Command) -> (Response, LogIndex) {
        self.index += 1;
        let entry = Entry {
            index: LogIndex(self.index),
            time: Timestamp(self.index * 1_000_000),
            batches: vec![Batch {
                node: NodeId(9),
                boot: BootId(1),
                number: BatchNumber(self.index),
                lowest_open: BatchNumber(self.index),
                commands: vec![command],
            }],
        };
        let mut txn = Txn::new(&self.state);
        let mut applied = apply(&mut txn, &entry).unwrap();
        let changes = txn.into_changes();
        self.state.commit(&changes);
        let Some(BatchAnswer::Answered(mut answers)) = applied.answers.pop() else {
            panic!("retired");
        };
        (answers.responses.remove(0), LogIndex(self.index))
    }
}

impl Cluster {
    fn formed() -> Self {
        let cluster = Self::default();
        cluster.change(Command::InitCluster(InitCluster {
            cluster: 1,
            hash_key: 42,
        }));
        cluster.change(tenant("acme"));
        cluster.change(destination("hook"));
        cluster.change(route("all", "**"));
        cluster
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Something that others do.
    fn change(&self, command: Command) {
        let mut inner = self.lock();
        inner.apply(command);
        if !inner.lags {
            inner.seen = inner.state.clone();
        }
    }

    async fn publish(&self, events: Vec<Incoming>) -> Vec<Result<Accepted, Refusal>> {
        let publisher = Publisher {
            log: self,
            node: NodeId(2),
            limits: DoorLimits {
                payload_bytes_max: 1000,
            },
            routing: &RoutingTables::default(),
            hash_key: &OnceLock::new(),
        };
        publisher.publish(events).await
    }
}

impl Log for Cluster {
    type View = MemoryStore;

    fn view(&self) -> MemoryStore {
        self.lock().seen.clone()
    }

    async fn propose(&self, command: Command) -> Result<Proposed, ProposeError> {
        let mut inner = self.lock();
        inner.proposals += 1;
        if let Some(error) = &inner.broken {
            return Err(error.clone());
        }
        if let Some(between) = inner.between.pop() {
            inner.apply(between);
        }
        let (response, index) = inner.apply(command);
        if !inner.lags {
            inner.seen = inner.state.clone();
        }
        Ok(Proposed {
            response,
            index,
            token: Token {
                group: 0,
                term: 1,
                index,
            },
        })
    }

    async fn await_applied(&self, _index: LogIndex, _within: Duration) -> Result<(), ReadError> {
        let mut inner = self.lock();
        inner.seen = inner.state.clone();
        Ok(())
    }

    async fn catch_up(&self) -> Result<(), ReadError> {
        let mut inner = self.lock();
        if inner.broken.is_some() {
            return Err(ReadError::NoLeader {
                why: "the quorum is gone".to_owned(),
            });
        }
        inner.seen = inner.state.clone();
        Ok(())
    }
}

fn tenant(id: &str) -> Command {
    Command::PutTenant(PutTenant {
        id: id.parse().unwrap(),
        description: String::new(),
        request_id: format!("make-{id}"),
        retention: Default::default(),
        actor: None,
    })
}

fn destination(id: &str) -> Command {
    Command::PutDestination(PutDestination {
        tenant: "acme".parse().unwrap(),
        id: id.parse().unwrap(),
        spec: DestinationSpec {
            kind: "webhook".to_owned(),
            settings: Bytes::new(),
            credential: Bytes::new(),
            retry: RetryPolicy::default(),
            concurrency: 1,
            description: String::new(),
        },
        request_id: format!("make-{id}"),
        actor: None,
    })
}

fn route(id: &str, pattern: &str) -> Command {
    Command::PutRoute(PutRoute {
        tenant: "acme".parse().unwrap(),
        id: id.parse().unwrap(),
        pattern: pattern.parse().unwrap(),
        destination: "hook".parse().unwrap(),
        request_id: format!("make-{id}"),
        actor: None,
    })
}

fn event(tenant: &str) -> Incoming {
    Incoming {
        tenant: tenant.to_owned(),
        event_type: "order.paid".to_owned(),
        payload: Bytes::from_static(b"{}"),
        ..Incoming::default()
    }
}

fn not_found(tenant: &str) -> Result<Accepted, Refusal> {
    Err(unknown_tenant(&tenant.parse().unwrap()))
}

#[tokio::test]
async fn an_event_is_routed_kept_and_acknowledged() {
    let cluster = Cluster::formed();

    let results = cluster.publish(vec![event("acme")]).await;

    let accepted = results[0].clone().unwrap();
    assert_eq!((accepted.deliveries, accepted.duplicate), (1, false));
    assert_eq!(accepted.token.index.0, accepted.event.seq.index);
}

#[tokio::test]
async fn each_event_of_a_batch_has_its_own_result_in_order() {
    let cluster = Cluster::formed();
    cluster.change(tenant("globex"));
    let keyed = |payload: &'static [u8]| Incoming {
        idempotency_key: "k".to_owned(),
        payload: Bytes::from_static(payload),
        ..event("acme")
    };
    let too_large = Incoming {
        payload: vec![0; 1001].into(),
        ..event("acme")
    };

    let results = cluster
        .publish(vec![
            event("globex"),
            keyed(b"1"),
            too_large,
            event("nobody"),
            keyed(b"1"),
            keyed(b"2"),
        ])
        .await;

    assert_eq!(results[0].as_ref().unwrap().deliveries, 0);
    let first = results[1].as_ref().unwrap();
    assert!(matches!(&results[2], Err(Refusal::Invalid(wrong)) if wrong[0].field == "payload"));
    assert_eq!(results[3], not_found("nobody"));
    let repeat = results[4].as_ref().unwrap();
    assert_eq!((repeat.event, repeat.duplicate), (first.event, true));
    assert_eq!(results[5], Err(Refusal::KeyConflict { event: first.event }));
    // Two partitions, two commands.
    assert_eq!(cluster.lock().proposals, 2);
}

#[tokio::test]
async fn an_event_whose_routes_have_moved_is_decided_anew() {
    let cluster = Cluster::formed();
    cluster.lock().lags = true;
    cluster.change(destination("second"));

    let results = cluster.publish(vec![event("acme")]).await;

    assert_eq!(results[0].as_ref().unwrap().deliveries, 1);
    assert_eq!(cluster.lock().proposals, 2);
}

#[tokio::test]
async fn routes_that_move_in_every_round_end_in_a_certain_no() {
    let cluster = Cluster::formed();
    cluster.lock().between = (0..3).map(|n| route(&format!("r{n}"), "order.*")).collect();

    let results = cluster.publish(vec![event("acme")]).await;

    assert_eq!(results, [Err(Refusal::RoutingUnsettled)]);
    assert_eq!(cluster.lock().proposals, ROUNDS);
}

#[tokio::test]
async fn a_tenant_that_is_news_to_this_node_is_asked_for_once() {
    let cluster = Cluster::formed();
    cluster.lock().lags = true;
    cluster.change(tenant("globex"));

    let results = cluster.publish(vec![event("globex"), event("nobody")]).await;

    assert!(results[0].is_ok());
    assert_eq!(results[1], not_found("nobody"));
}

#[tokio::test]
async fn without_a_quorum_nobody_says_that_there_is_no_such_tenant() {
    let cluster = Cluster::formed();
    cluster.lock().broken = Some(ProposeError::Unknown {
        why: "cut off".to_owned(),
    });

    let results = cluster.publish(vec![event("acme"), event("nobody")]).await;

    assert_eq!(
        results[0],
        Err(Refusal::Unknown {
            why: "cut off".to_owned()
        })
    );
    assert!(
        matches!(results[1], Err(Refusal::NotAccepted { .. })),
        "{results:?}"
    );
}

#[tokio::test]
async fn before_the_cluster_is_formed_nothing_is_taken() {
    let cluster = Cluster::default();

    let results = cluster.publish(vec![event("acme"), event("acme")]).await;

    assert_eq!(results, [Err(Refusal::NotFormed), Err(Refusal::NotFormed)]);
    assert!(query::cluster(&cluster.view() as &dyn Read).unwrap().is_none());
}
