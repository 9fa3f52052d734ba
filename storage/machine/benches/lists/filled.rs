//! A state on disk with many attempts in it: filled by applying entries, as a node's is.

use bytes::Bytes;
use tempfile::TempDir;

use pushrail_machine::txn::Txn;
use pushrail_machine::{BatchAnswer, apply, query};
use pushrail_model::attempt::Attempt;
use pushrail_model::command::{
    AcceptEvents, AssignShards, Batch, Command, CountCauses, Entry, MoveKind, PutDestination, PutRoute,
    PutTenant, RecordAttempts, ShardMove,
};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::DestinationSpec;
use pushrail_model::event::NewEvent;
use pushrail_model::ids::{
    AttemptNumber, BatchNumber, BootId, DestinationNo, Epoch, EventId, LogIndex, NodeId, Run, TenantNo,
};
use pushrail_model::outcome::{Cause, Failure, FailureClass, Observed, Outcome};
use pushrail_model::payload::{Encoding, Payload};
use pushrail_model::response::{EventAnswer, Response};
use pushrail_model::retry::RetryPolicy;
use pushrail_model::shard::{Partition, ShardId};
use pushrail_model::tenant::Tenant;
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::{DeathReason, Verdict};
use pushrail_rocks::{RocksOptions, RocksStore};

/// Destinations of the tenant; each event goes to one of them.
pub(crate) const DESTINATIONS: u64 = 10;
const PAYLOAD_BYTES: usize = 1024;
const BEGINNING: Timestamp = Timestamp(20_000 * Span::DAY.0);
/// All that is stored at first happened within so many days.
const DAYS: u64 = 10;
/// Events of one entry while it is filled.
const TOGETHER: usize = 256;

/// The state, and who is in it.
pub(crate) struct Filled {
    pub(crate) store: RocksStore,
    /// Every event of the first filling.
    pub(crate) ids: Vec<EventId>,
    tenant: Tenant,
    index: u64,
    now: Timestamp,
    step: Span,
    // Last, so that the database is closed before its files go.
    _folder: TempDir,
}

impl Filled {
    /// With so many events, and one attempt of each; one in fifty died, of one cause or the other.
    pub(crate) fn with(attempts: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = RocksStore::open(folder.path(), &RocksOptions::default()).unwrap();
        let entries = u64::try_from(attempts / TOGETHER).unwrap().max(1) * 2;
        let mut filled = Self {
            store,
            ids: Vec::with_capacity(attempts),
            tenant: nobody(),
            index: 0,
            now: BEGINNING,
            step: Span(DAYS * Span::DAY.0 / entries),
            _folder: folder,
        };
        filled.set_up();
        let mut ids = Vec::with_capacity(attempts);
        while ids.len() < attempts {
            ids.extend(filled.accept_and_record(TOGETHER.min(attempts - ids.len())));
        }
        filled.ids = ids;
        filled.store.flush().unwrap();
        // What comes from now on comes as fast as it really does.
        filled.step = Span::from_millis(50);
        filled
    }

    pub(crate) fn of(&self) -> (Partition, TenantNo) {
        (Partition::of(&self.tenant.id), self.tenant.number)
    }

    /// An entry of events, and one of an attempt of each.
    pub(crate) fn accept_and_record(&mut self, count: usize) -> Vec<EventId> {
        let partition = self.of().0;
        let first = self.index;
        let events = (0..count).map(|place| self.event(first, place)).collect();
        let response = self.apply(Command::AcceptEvents(AcceptEvents { partition, events }));
        let Response::Events(answers) = response else {
            panic!("{response:?}");
        };
        let ids: Vec<EventId> = answers
            .iter()
            .map(|answer| match answer {
                EventAnswer::Accepted { event, .. } => *event,
                EventAnswer::KeyConflict { .. }
                | EventAnswer::RoutingMoved(_)
                | EventAnswer::UnknownTenant => panic!("{answer:?}"),
            })
            .collect();
        let attempts = ids
            .iter()
            .enumerate()
            .map(|(place, id)| self.attempt(*id, destination_of(first, place)))
            .collect();
        self.apply(Command::RecordAttempts(RecordAttempts { partition, attempts }));
        ids
    }

    fn apply(&mut self, command: Command) -> Response {
        self.index += 1;
        self.now = self.now.plus(self.step);
        let number = BatchNumber(self.index);
        let entry = Entry {
            index: LogIndex(self.index),
            time: self.now,
            batches: vec![Batch {
                node: NodeId(1),
                boot: BootId(1),
                number,
                lowest_open: number,
                commands: vec![command],
            }],
        };
        let view = self.store.view();
        let mut txn = Txn::new(&view);
        let applied = apply(&mut txn, &entry).unwrap();
        self.store.commit(&txn.into_changes(), &[]).unwrap();
        match applied.answers.into_iter().next() {
            Some(BatchAnswer::Answered(answers)) => answers.responses.into_iter().next().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn set_up(&mut self) {
        let id = |text: &str| text.to_owned();
        self.apply(Command::CountCauses(CountCauses {
            from: Bytes::new(),
            read_max: 1,
        }));
        self.apply(Command::PutTenant(PutTenant {
            id: "acme".parse().unwrap(),
            description: String::new(),
            request_id: id("t"),
            retention: Default::default(),
            actor: None,
        }));
        let partition = Partition::of(&"acme".parse().unwrap());
        for number in 1..=DESTINATIONS {
            let name = format!("hook-{number}");
            self.apply(Command::PutDestination(PutDestination {
                tenant: "acme".parse().unwrap(),
                id: name.parse().unwrap(),
                spec: spec(),
                request_id: name.clone(),
                actor: None,
            }));
            self.apply(Command::PutRoute(PutRoute {
                tenant: "acme".parse().unwrap(),
                id: name.parse().unwrap(),
                pattern: format!("hook-{number}.*").parse().unwrap(),
                destination: name.parse().unwrap(),
                request_id: name.clone(),
                actor: None,
            }));
            let shard = ShardId::of(partition, &name.parse().unwrap());
            self.apply(Command::AssignShards(AssignShards {
                moves: vec![ShardMove {
                    shard,
                    from_epoch: Epoch(0),
                    to: NodeId(1),
                    how: MoveKind::Give,
                }],
            }));
        }
        let tenant = query::config::tenant(&self.store.view(), &"acme".parse().unwrap()).unwrap();
        self.tenant = tenant.unwrap();
    }

    fn event(&self, entry: u64, place: usize) -> NewEvent {
        let destination = destination_of(entry, place);
        // Payloads that no compression shortens to nothing.
        let seed = entry.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::try_from(place).unwrap();
        let body = (0..PAYLOAD_BYTES / 8).map(|word| seed.wrapping_mul(2 * u64::try_from(word).unwrap() + 1));
        let body: Vec<u8> = body.flat_map(u64::to_be_bytes).collect();
        NewEvent {
            tenant: self.tenant.number,
            event_type: format!("hook-{destination}.made").parse().unwrap(),
            content_type: "application/json".to_owned(),
            payload: Payload {
                encoding: Encoding::Identity,
                bytes: Bytes::from(body),
                plain_bytes: u32::try_from(PAYLOAD_BYTES).unwrap(),
            },
            idempotency: None,
            routing_revision: self.tenant.routing_revision,
            decisions: Vec::new(),
            destinations: vec![destination],
            door: NodeId(1),
        }
    }

    fn attempt(&self, id: EventId, destination: DestinationNo) -> Attempt {
        let dead = match id.seq.position % 100 {
            7 => Some((Cause::Auth, 401)),
            57 => Some((Cause::Missing, 404)),
            _ => None,
        };
        let (outcome, verdict) = match dead {
            None => (Outcome::Delivered, Verdict::Settle),
            Some((cause, _)) => (failed(cause), Verdict::Bury(DeathReason::Permanent)),
        };
        Attempt {
            delivery: DeliveryKey {
                partition: id.partition,
                tenant: self.tenant.number,
                destination,
                seq: id.seq,
            },
            place: Some(0),
            run: Run(1),
            number: AttemptNumber(1),
            epoch: Epoch(1),
            node: NodeId(1),
            start: self.now.plus(Span(u64::from(id.seq.position))),
            took: Span::from_millis(20),
            outcome,
            observed: Observed {
                status: Some(dead.map_or(200, |(_, status)| status)),
                remote: "127.0.0.1:9".to_owned(),
                excerpt: Bytes::from_static(b"{\"ok\":true,\"message\":\"as it was answered\"}"),
                ..Observed::default()
            },
            verdict,
        }
    }
}

fn destination_of(entry: u64, place: usize) -> DestinationNo {
    let number = (entry + u64::try_from(place).unwrap()) % DESTINATIONS + 1;
    DestinationNo(u32::try_from(number).unwrap())
}

fn failed(cause: Cause) -> Outcome {
    Outcome::Failed(Failure {
        class: FailureClass::Permanent,
        cause,
        disables: false,
        floors: false,
        why: "the receiver said no".to_owned(),
    })
}

fn spec() -> DestinationSpec {
    DestinationSpec {
        kind: "webhook".to_owned(),
        settings: Bytes::from_static(br#"{"url":"http://127.0.0.1:9/"}"#),
        credential: Bytes::from_static(br#"{"secret":"whsec_c2VjcmV0"}"#),
        retry: RetryPolicy::default(),
        concurrency: 16,
        description: String::new(),
    }
}

/// Until the state has given the tenant its number.
fn nobody() -> Tenant {
    Tenant {
        id: "acme".parse().unwrap(),
        number: TenantNo(0),
        description: String::new(),
        routing_revision: LogIndex(0),
        version: 0,
        created: BEGINNING,
        destinations: 0,
        routes: 0,
        next_destination: 1,
        next_route: 1,
        retention: Default::default(),
        spent_version: 0,
        removed: None,
    }
}
