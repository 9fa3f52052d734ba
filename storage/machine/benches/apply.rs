//! What an entry costs the one thread that applies: events accepted and attempts recorded, alone and 64 to an entry.
//! The ratio between the two is what joining them in batches is worth; the times are this machine's.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench measures and tells"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;

use pushrail_machine::codec::{decode_entry, encode_batch, encode_entry_payload};
use pushrail_machine::memory::MemoryStore;
use pushrail_machine::txn::Txn;
use pushrail_machine::{apply, query};
use pushrail_model::attempt::Attempt;
use pushrail_model::command::{
    AcceptEvents, AssignShards, Batch, Command, MoveKind, PutDestination, PutRoute, PutTenant,
    RecordAttempts, ShardMove,
};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::DestinationSpec;
use pushrail_model::event::NewEvent;
use pushrail_model::ids::{
    AttemptNumber, BatchNumber, BootId, DestinationNo, Epoch, EventSeq, LogIndex, NodeId, Run,
};
use pushrail_model::outcome::{Observed, Outcome};
use pushrail_model::payload::{Encoding, Payload};
use pushrail_model::retry::RetryPolicy;
use pushrail_model::shard::{Partition, ShardId};
use pushrail_model::tenant::Tenant;
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::Verdict;

const EVENTS: usize = 16_384;
const PAYLOAD_BYTES: usize = 1024;

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        // A test runner asks every program for its tests: here are none.
        return;
    }
    let joined = measure(64);
    let alone = measure(1);
    for (what, joined, alone) in [
        ("event accepted", joined.accept, alone.accept),
        ("attempt recorded", joined.record, alone.record),
    ] {
        println!(
            "{what}: {joined:?} among 64 to an entry, {alone:?} alone: {} % of it",
            joined.as_nanos() * 100 / alone.as_nanos().max(1),
        );
    }
}

struct Costs {
    accept: Duration,
    record: Duration,
}

/// Entries are decoded, applied and turned into changes; committing these to memory is not counted.
struct Log {
    store: MemoryStore,
    index: u64,
    spent: Duration,
}

impl Log {
    fn apply(&mut self, command: Command) {
        self.index += 1;
        let batch = Batch {
            node: NodeId(1),
            boot: BootId(1),
            number: BatchNumber(self.index),
            lowest_open: BatchNumber(self.index),
            commands: vec![command],
        };
        let time = Timestamp(20_000 * Span::DAY.0 + self.index);
        let payload = encode_entry_payload(time, &[encode_batch(&batch)]);

        let start = Instant::now();
        let entry = decode_entry(LogIndex(self.index), &payload).unwrap();
        let mut txn = Txn::new(&self.store);
        apply(&mut txn, &entry).unwrap();
        let changes = txn.into_changes();
        self.spent += start.elapsed();

        self.store.commit(&changes);
    }

    /// What was spent since the last time, for each of the events.
    fn lap(&mut self) -> Duration {
        std::mem::take(&mut self.spent) / u32::try_from(EVENTS).unwrap()
    }
}

fn measure(events_in_entry: usize) -> Costs {
    let mut log = Log {
        store: MemoryStore::default(),
        index: 0,
        spent: Duration::ZERO,
    };
    let tenant = set_up(&mut log);
    log.lap();

    let partition = Partition::of(&tenant.id);
    let mut first_of_entry = Vec::new();
    for _ in 0..EVENTS / events_in_entry {
        log.apply(Command::AcceptEvents(AcceptEvents {
            partition,
            events: vec![event(&tenant); events_in_entry],
        }));
        first_of_entry.push(log.index);
    }
    let accept = log.lap();

    for index in first_of_entry {
        let attempts = (0..u32::try_from(events_in_entry).unwrap())
            .map(|position| attempt(partition, &tenant, EventSeq { index, position }, log.index))
            .collect();
        log.apply(Command::RecordAttempts(RecordAttempts { partition, attempts }));
    }
    let record = log.lap();

    let counts = query::counts::destination(&log.store, partition, tenant.number, DestinationNo(1)).unwrap();
    assert_eq!(counts.delivered, u64::try_from(EVENTS).unwrap(), "all was done");
    Costs { accept, record }
}

fn set_up(log: &mut Log) -> Tenant {
    let request_id = "r1".to_owned();
    log.apply(Command::PutTenant(PutTenant {
        id: "acme".parse().unwrap(),
        description: String::new(),
        request_id: request_id.clone(),
        retention: Default::default(),
        actor: None,
    }));
    log.apply(Command::PutDestination(PutDestination {
        tenant: "acme".parse().unwrap(),
        id: "hook".parse().unwrap(),
        spec: DestinationSpec {
            kind: "webhook".to_owned(),
            settings: Bytes::from_static(br#"{"url":"http://127.0.0.1:9/"}"#),
            credential: Bytes::from_static(br#"{"secret":"whsec_c2VjcmV0"}"#),
            retry: RetryPolicy::default(),
            concurrency: 16,
            description: String::new(),
        },
        request_id: request_id.clone(),
        actor: None,
    }));
    log.apply(Command::PutRoute(PutRoute {
        tenant: "acme".parse().unwrap(),
        id: "all".parse().unwrap(),
        pattern: "**".parse().unwrap(),
        destination: "hook".parse().unwrap(),
        request_id,
        actor: None,
    }));
    let partition = Partition::of(&"acme".parse().unwrap());
    log.apply(Command::AssignShards(AssignShards {
        moves: vec![ShardMove {
            shard: ShardId::of(partition, &"hook".parse().unwrap()),
            from_epoch: Epoch(0),
            to: NodeId(1),
            how: MoveKind::Give,
        }],
    }));
    query::config::tenant(&log.store, &"acme".parse().unwrap())
        .unwrap()
        .unwrap()
}

fn event(tenant: &Tenant) -> NewEvent {
    NewEvent {
        tenant: tenant.number,
        event_type: "order.paid".parse().unwrap(),
        content_type: "application/json".to_owned(),
        payload: Payload {
            encoding: Encoding::Identity,
            bytes: Bytes::from(vec![b'x'; PAYLOAD_BYTES]),
            plain_bytes: u32::try_from(PAYLOAD_BYTES).unwrap(),
        },
        idempotency: None,
        routing_revision: tenant.routing_revision,
        decisions: Vec::new(),
        destinations: vec![DestinationNo(1)],
        door: NodeId(1),
    }
}

fn attempt(partition: Partition, tenant: &Tenant, seq: EventSeq, at: u64) -> Attempt {
    Attempt {
        delivery: DeliveryKey {
            partition,
            tenant: tenant.number,
            destination: DestinationNo(1),
            seq,
        },
        place: None,
        run: Run(1),
        number: AttemptNumber(1),
        epoch: Epoch(1),
        node: NodeId(1),
        start: Timestamp(20_000 * Span::DAY.0 + at),
        took: Span::from_millis(20),
        outcome: Outcome::Delivered,
        observed: Observed {
            status: Some(200),
            remote: "127.0.0.1:9".to_owned(),
            ..Observed::default()
        },
        verdict: Verdict::Settle,
    }
}
