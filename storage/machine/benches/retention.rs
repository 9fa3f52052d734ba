//! What a day's drop costs the one thread that applies, on a disk that holds a million attempts (or as many as the
//! first argument says): attempts by their day, events with their deliveries, dead letters, idempotency keys. For each
//! job the whole of it, and its longest step, committing to RocksDB included; the times are this machine's.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench measures and tells"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;

use pushrail_machine::apply;
use pushrail_machine::codec::{decode_entry, encode_batch, encode_entry_payload};
use pushrail_machine::query::{self, upkeep};
use pushrail_machine::txn::Txn;
use pushrail_model::attempt::Attempt;
use pushrail_model::command::{
    AcceptEvents, Batch, Bucketed, Command, PutDestination, PutRoute, PutTenant, RecordAttempts,
};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::DestinationSpec;
use pushrail_model::event::{IdempotencyKey, NewEvent};
use pushrail_model::ids::{
    AttemptNumber, BatchNumber, BootId, DestinationNo, Epoch, EventSeq, LogIndex, NodeId, Run,
};
use pushrail_model::limits;
use pushrail_model::outcome::{Cause, Failure, FailureClass, Observed, Outcome};
use pushrail_model::payload::{Encoding, Payload};
use pushrail_model::retention::Retention;
use pushrail_model::retry::RetryPolicy;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::{DeathReason, Verdict};
use pushrail_rocks::{RocksOptions, RocksStore};

/// Days over which everything is spread: as long as all of it is kept.
const DAYS: u64 = 10;
const TENANTS: usize = 8;
const IN_ENTRY: usize = 250;
/// One of so many deliveries dies.
const DEATHS: u64 = 50;
const PAYLOAD_BYTES: usize = 512;
const BEGINNING: Timestamp = Timestamp(20_000 * Span::DAY.0);

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        // A test runner asks every program for its tests: here are none.
        return;
    }
    let attempts = std::env::args().find_map(|argument| argument.parse::<u64>().ok());
    let attempts = attempts.unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::new(RocksStore::open(folder.path(), &RocksOptions::default()).unwrap());
    let tenants = set_up(&mut log);
    let built = Instant::now();
    fill(&mut log, &tenants, attempts);
    log.rest();
    println!(
        "{attempts} attempts over {DAYS} days, built in {:?}",
        built.elapsed()
    );

    // Keys are kept for a week at most: those of the days before go first, unmeasured, as they would have gone.
    log.time = BEGINNING.plus(Span(DAYS * Span::DAY.0));
    keys(&mut log);
    log.rest();
    log.time = log.time.plus(Span::DAY);
    println!("a day later:");
    for job in [letters, keys, days, events, carried] {
        job(&mut log);
    }
}

/// What this thread has had of a processor; others work on this machine too.
fn on_cpu() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = spent.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// What this thread has had read from files, be it out of the kernel's cache.
fn bytes_read() -> u64 {
    let all = std::fs::read_to_string("/proc/thread-self/io").unwrap_or_default();
    let read = all.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
}

/// Entries are decoded, applied and committed: all that the apply thread does.
struct Log {
    store: RocksStore,
    index: u64,
    time: Timestamp,
    /// Of each step: by the clock, and on a processor.
    steps: Vec<(Duration, Duration)>,
    /// Bytes read from files in all steps.
    read: u64,
}

impl Log {
    fn new(store: RocksStore) -> Self {
        Self {
            store,
            index: 0,
            time: BEGINNING,
            steps: Vec::new(),
            read: 0,
        }
    }

    fn apply(&mut self, command: Command) {
        self.index += 1;
        let batch = Batch {
            node: NodeId(1),
            boot: BootId(1),
            number: BatchNumber(self.index),
            lowest_open: BatchNumber(self.index),
            commands: vec![command],
        };
        let payload = encode_entry_payload(self.time, &[encode_batch(&batch)]);

        let read = bytes_read();
        let (start, before) = (Instant::now(), on_cpu());
        let entry = decode_entry(LogIndex(self.index), &payload).unwrap();
        let view = self.store.view();
        let mut txn = Txn::new(&view);
        apply(&mut txn, &entry).unwrap();
        self.store.commit(&txn.into_changes(), &[]).unwrap();
        self.steps.push((start.elapsed(), on_cpu() - before));
        self.read += bytes_read() - read;
    }

    /// Waits until everything is on disk and nothing is left to be compacted.
    fn rest(&mut self) {
        self.steps.clear();
        self.read = 0;
        self.store.flush().unwrap();
        while self.store.properties().unwrap().background_jobs > 0 {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Says what a job took, and forgets it.
    fn lap(&mut self, job: &str, rows: u64, looked: Duration) {
        let steps = std::mem::take(&mut self.steps);
        let read = std::mem::take(&mut self.read) / 1024;
        let whole: Duration = steps.iter().map(|(_, on_cpu)| on_cpu).sum();
        let longest = steps.iter().map(|(_, on_cpu)| *on_cpu).max().unwrap_or_default();
        let by_the_clock: Duration = steps.iter().map(|(clock, _)| clock).sum();
        println!(
            "{job}: {rows} in {} steps, {whole:.1?} of apply in all ({by_the_clock:.1?} by the clock), the longest \
             {longest:.2?}, {read} KiB read; {looked:.1?} of looking",
            steps.len(),
        );
    }
}

fn looked<T>(spent: &mut Duration, look: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let found = look();
    *spent += start.elapsed();
    found
}

fn letters(log: &mut Log) {
    let (mut rows, mut spent) = (0, Duration::ZERO);
    loop {
        let view = log.store.view();
        let found = looked(&mut spent, || {
            let keepers = upkeep::keepers(&view).unwrap();
            upkeep::letters::over(&view, &keepers, log.time).unwrap()
        });
        if found.is_empty() {
            break;
        }
        for command in found {
            rows += u64::try_from(command.letters.len()).unwrap();
            log.apply(Command::ExpireDeadLetters(command));
        }
    }
    log.lap("dead letters", rows, spent);
}

fn keys(log: &mut Log) {
    buckets(log, Bucketed::IdempotencyKeys, "hours of idempotency keys");
}

fn days(log: &mut Log) {
    buckets(log, Bucketed::Attempts, "days of attempts");
}

fn buckets(log: &mut Log, rows: Bucketed, job: &str) {
    let (mut count, mut spent) = (0, Duration::ZERO);
    loop {
        let view = log.store.view();
        let found = looked(&mut spent, || {
            let keepers = upkeep::keepers(&view).unwrap();
            upkeep::buckets::over(&view, rows, &keepers, log.time, 256).unwrap()
        });
        if found.is_empty() {
            break;
        }
        for command in found {
            count += u64::try_from(command.tenants.len()).unwrap();
            log.apply(Command::DropBuckets(command));
        }
    }
    log.lap(job, count, spent);
}

fn events(log: &mut Log) {
    let (mut rows, mut spent) = (0, Duration::ZERO);
    loop {
        let view = log.store.view();
        let found = looked(&mut spent, || {
            let keepers = upkeep::keepers(&view).unwrap();
            let over = keepers
                .iter()
                .map(|keeper| upkeep::events::over(&view, keeper, log.time));
            over.filter_map(Result::unwrap).collect::<Vec<_>>()
        });
        if found.is_empty() {
            break;
        }
        for command in found {
            rows += u64::try_from(command.events.len()).unwrap();
            log.apply(Command::DropEvents(command));
        }
    }
    log.lap("events with their deliveries", rows, spent);
}

fn carried(log: &mut Log) {
    let (mut rows, mut spent) = (0, Duration::ZERO);
    let view = log.store.view();
    for keeper in upkeep::keepers(&view).unwrap() {
        let found = looked(&mut spent, || {
            upkeep::carried::look(&view, &keeper, None, usize::MAX, log.time).unwrap()
        });
        if let Some(command) = found.command {
            rows += u64::try_from(command.events.len()).unwrap();
            log.apply(Command::DropCarried(command));
        }
    }
    log.lap("carried events", rows, spent);
}

/// Everything is kept for as many days as there are, so that each day one day's worth goes.
fn set_up(log: &mut Log) -> Vec<Tenant> {
    let kept = Some(Span(DAYS * Span::DAY.0));
    for place in 0..TENANTS {
        let id = format!("tenant-{place}");
        log.apply(Command::PutTenant(PutTenant {
            id: id.parse().unwrap(),
            description: String::new(),
            request_id: "r1".to_owned(),
            actor: None,
            retention: Retention {
                attempts: kept,
                events: kept,
                dead_letters: kept,
                idempotency_keys: Some(limits::IDEMPOTENCY_WINDOW_MAX),
            },
        }));
        log.apply(Command::PutDestination(PutDestination {
            tenant: id.parse().unwrap(),
            id: "hook".parse().unwrap(),
            spec: DestinationSpec {
                kind: "webhook".to_owned(),
                settings: Bytes::from_static(br#"{"url":"http://127.0.0.1:9/"}"#),
                credential: Bytes::from_static(br#"{"secret":"whsec_c2VjcmV0"}"#),
                retry: RetryPolicy::default(),
                concurrency: 16,
                description: String::new(),
            },
            request_id: "r1".to_owned(),
            actor: None,
        }));
        log.apply(Command::PutRoute(PutRoute {
            tenant: id.parse().unwrap(),
            id: "all".parse().unwrap(),
            pattern: "**".parse().unwrap(),
            destination: "hook".parse().unwrap(),
            request_id: "r1".to_owned(),
            actor: None,
        }));
    }
    query::config::tenants(&log.store.view(), None, TENANTS).unwrap()
}

fn fill(log: &mut Log, tenants: &[Tenant], attempts: u64) {
    let entries = attempts.div_ceil(IN_ENTRY as u64);
    for entry in 0..entries {
        log.time = BEGINNING.plus(Span(DAYS * Span::DAY.0 / entries * entry));
        let tenant = &tenants[usize::try_from(entry).unwrap() % tenants.len()];
        let partition = Partition::of(&tenant.id);
        let events = (0..IN_ENTRY).map(|place| event(tenant, entry, place)).collect();
        log.apply(Command::AcceptEvents(AcceptEvents { partition, events }));
        let index = log.index;
        let attempts = (0..u32::try_from(IN_ENTRY).unwrap())
            .map(|position| attempt(partition, tenant, EventSeq { index, position }, log.time))
            .collect();
        log.apply(Command::RecordAttempts(RecordAttempts { partition, attempts }));
    }
}

fn event(tenant: &Tenant, entry: u64, place: usize) -> NewEvent {
    let key = format!("{entry}-{place}");
    NewEvent {
        tenant: tenant.number,
        event_type: "order.paid".parse().unwrap(),
        content_type: "application/json".to_owned(),
        payload: Payload {
            encoding: Encoding::Identity,
            bytes: Bytes::from(vec![b'x'; PAYLOAD_BYTES]),
            plain_bytes: u32::try_from(PAYLOAD_BYTES).unwrap(),
        },
        idempotency: Some(IdempotencyKey {
            key_hash: xxhash_rust::xxh3::xxh3_128(key.as_bytes()),
            content_hash: 7,
            key,
        }),
        routing_revision: tenant.routing_revision,
        decisions: Vec::new(),
        destinations: vec![DestinationNo(1)],
        door: NodeId(1),
    }
}

fn attempt(partition: Partition, tenant: &Tenant, seq: EventSeq, start: Timestamp) -> Attempt {
    let dies = u64::from(seq.position) % DEATHS == 0;
    let outcome = match dies {
        false => Outcome::Delivered,
        true => Outcome::Failed(Failure {
            class: FailureClass::Permanent,
            cause: Cause::Auth,
            disables: false,
            floors: false,
            why: "the receiver said no".to_owned(),
        }),
    };
    Attempt {
        delivery: DeliveryKey {
            partition,
            tenant: tenant.number,
            destination: DestinationNo(1),
            seq,
        },
        place: Some(0),
        run: Run(1),
        number: AttemptNumber(1),
        epoch: Epoch(0),
        node: NodeId(1),
        start,
        took: Span::from_millis(20),
        verdict: match dies {
            false => Verdict::Settle,
            true => Verdict::Bury(DeathReason::Permanent),
        },
        outcome,
        observed: Observed {
            status: Some(200),
            excerpt: Bytes::from_static(b"a few words from the receiver"),
            remote: "127.0.0.1:9".to_owned(),
            ..Observed::default()
        },
    }
}
