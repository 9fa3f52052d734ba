//! Rows looked up in a state that commands have made.

use bytes::Bytes;
use pushrail_machine::apply::apply;
use pushrail_machine::memory::MemoryStore;
use pushrail_machine::txn::Txn;
use pushrail_model::attempt::Attempt;
use pushrail_model::command::{
    AcceptEvents, AssignShards, Batch, Command, Entry, MoveKind, PutDestination, PutTenant, RecordAttempts,
    SetDestinationState, ShardMove, WantedState,
};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::DestinationSpec;
use pushrail_model::event::NewEvent;
use pushrail_model::ids::{
    AttemptNumber, BatchNumber, BootId, DestinationId, EventSeq, LogIndex, Run, TenantId,
};
use pushrail_model::outcome::{Cause, Failure, FailureClass, Observed, Outcome};
use pushrail_model::payload::Payload;
use pushrail_model::retry::RetryPolicy;
use pushrail_model::shard::{Partition, ShardId};
use pushrail_model::time::Span;
use pushrail_model::verdict::Verdict;

use super::*;

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);

struct World {
    store: MemoryStore,
    index: u64,
    queue: QueueKey,
    row: Row,
}

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn destination() -> DestinationId {
    "hooks".parse().unwrap()
}

impl World {
    /// One event owed to one destination, whose shard is ours.
    fn with_one_due() -> Self {
        let partition = Partition::of(&tenant());
        let shard = ShardId::of(partition, &destination());
        let mut world = Self {
            store: MemoryStore::default(),
            index: 0,
            queue: QueueKey {
                shard,
                tenant: Default::default(),
                destination: Default::default(),
            },
            row: (Timestamp::ZERO, EventSeq::ZERO),
        };
        world.apply(Command::PutTenant(PutTenant {
            id: tenant(),
            description: String::new(),
            request_id: "t".to_owned(),
            retention: Default::default(),
            actor: None,
        }));
        world.apply(Command::PutDestination(PutDestination {
            tenant: tenant(),
            id: destination(),
            spec: DestinationSpec {
                kind: "webhook".to_owned(),
                settings: Bytes::from_static(b"{}"),
                credential: Bytes::from_static(b"{}"),
                retry: RetryPolicy::default(),
                concurrency: 16,
                description: String::new(),
            },
            request_id: "d".to_owned(),
            actor: None,
        }));
        let found = query::config::tenant(&world.store, &tenant()).unwrap().unwrap();
        let number = query::config::destination(&world.store, &found, &destination())
            .unwrap()
            .unwrap()
            .number;
        world.queue.tenant = found.number;
        world.queue.destination = number;
        world.give(0, ME);
        world.apply(Command::AcceptEvents(AcceptEvents {
            partition,
            events: vec![NewEvent {
                tenant: found.number,
                event_type: "order.paid".parse().unwrap(),
                content_type: "text/plain".to_owned(),
                payload: Payload::default(),
                idempotency: None,
                routing_revision: found.routing_revision,
                decisions: Vec::new(),
                destinations: vec![number],
                door: ME,
            }],
        }));
        let rows = query::due::after(
            &world.store,
            world.queue,
            (Timestamp::ZERO, EventSeq::ZERO),
            Timestamp::MAX,
            2,
        );
        world.row = rows.unwrap()[0];
        world
    }

    fn apply(&mut self, command: Command) {
        self.index += 1;
        let batch = Batch {
            node: ME,
            boot: BootId(1),
            number: BatchNumber(self.index),
            lowest_open: BatchNumber(self.index),
            commands: vec![command],
        };
        let entry = Entry {
            index: LogIndex(self.index),
            time: Timestamp::ZERO.plus(Span::from_secs(self.index)),
            batches: vec![batch],
        };
        let mut txn = Txn::new(&self.store);
        apply(&mut txn, &entry).unwrap();
        let changes = txn.into_changes();
        self.store.commit(&changes);
    }

    fn assign(&mut self, from_epoch: u64, to: NodeId, how: MoveKind) {
        self.apply(Command::AssignShards(AssignShards {
            moves: vec![ShardMove {
                shard: self.queue.shard,
                from_epoch: Epoch(from_epoch),
                to,
                how,
            }],
        }));
    }

    fn give(&mut self, from_epoch: u64, to: NodeId) {
        self.assign(from_epoch, to, MoveKind::Give);
    }

    fn set(&mut self, wanted: WantedState) {
        self.apply(Command::SetDestinationState(SetDestinationState {
            tenant: tenant(),
            destination: destination(),
            wanted,
            request_id: format!("s{}", self.index),
            actor: None,
        }));
    }

    fn record(&mut self, outcome: Outcome, verdict: Verdict) {
        self.apply(Command::RecordAttempts(RecordAttempts {
            partition: self.queue.shard.partition(),
            attempts: vec![Attempt {
                delivery: DeliveryKey {
                    partition: self.queue.shard.partition(),
                    tenant: self.queue.tenant,
                    destination: self.queue.destination,
                    seq: self.row.1,
                },
                place: None,
                run: Run(1),
                number: AttemptNumber(1),
                epoch: Epoch(1),
                node: ME,
                start: self.row.0,
                took: Span::ZERO,
                outcome,
                observed: Observed::default(),
                verdict,
            }],
        }));
    }

    fn look(&self) -> Found {
        self.look_at(self.row.0)
    }

    fn look_at(&self, now: Timestamp) -> Found {
        look(&self.store, ME, self.queue, self.row, now).unwrap()
    }
}

fn epoch(found: &Found) -> Option<Epoch> {
    match found {
        Found::Due(due, epoch) => {
            assert_eq!(due.delivery.attempts_made, 0);
            Some(*epoch)
        }
        Found::Gone | Found::Held | Found::NotOurs => None,
    }
}

#[test]
fn what_is_due_and_ours_is_found_under_the_present_epoch() {
    let mut world = World::with_one_due();
    assert_eq!(epoch(&world.look()), Some(Epoch(1)));

    world.give(1, OTHER);
    world.give(2, ME);

    assert_eq!(epoch(&world.look()), Some(Epoch(3)));
}

#[test]
fn a_shard_of_another_is_not_ours_and_one_that_is_asked_for_is_until_it_is_released() {
    let mut asked = World::with_one_due();
    asked.assign(1, OTHER, MoveKind::Ask);
    let mut given = World::with_one_due();
    given.give(1, OTHER);

    assert_eq!(epoch(&asked.look()), Some(Epoch(1)));
    assert_eq!(given.look(), Found::NotOurs);
}

#[test]
fn a_paused_destination_is_held_until_it_is_resumed() {
    let mut world = World::with_one_due();

    world.set(WantedState::Paused);
    assert_eq!(world.look(), Found::Held);

    world.set(WantedState::Active);
    assert!(epoch(&world.look()).is_some());
}

#[test]
fn what_was_settled_or_waits_for_its_retry_is_gone() {
    let mut settled = World::with_one_due();
    settled.record(Outcome::Delivered, Verdict::Settle);
    let mut retried = World::with_one_due();
    let failure = Failure {
        class: FailureClass::Transient,
        cause: Cause::Server,
        disables: false,
        floors: false,
        why: String::new(),
    };
    let policy = RetryPolicy::default();
    retried.record(
        Outcome::Failed(failure),
        Verdict::Retry {
            after: Span::from_secs(5),
            window: policy.window,
            retries_max: 10,
        },
    );

    assert_eq!(settled.look(), Found::Gone);
    assert_eq!(retried.look(), Found::Gone);
    assert!(matches!(retried.look_at(Timestamp::MAX), Found::Due(..)));
}

#[test]
fn what_is_not_due_yet_is_not_started() {
    let world = World::with_one_due();

    assert_eq!(world.look_at(world.row.0.minus(Span(1))), Found::Gone);
}
