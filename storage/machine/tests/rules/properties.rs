//! Random commands: after each entry everything holds that must; and however the entries are cut into commits, in
//! memory or in RocksDB with restarts between, the same state, answers and hints come out.

mod chance;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use pushrail_machine::digest::{Digest, digest};
use pushrail_machine::memory::MemoryStore;
use pushrail_machine::query;
use pushrail_machine::store::{Changes, KeyRange, Read, Table};
use pushrail_machine::txn::Txn;
use pushrail_machine::{Applied, BatchAnswer, apply};
use pushrail_model::command::{Command, Entry};
use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::ids::{EventId, NodeId, TenantNo};
use pushrail_model::response::{EventAnswer, Rejection, Response};
use pushrail_model::time::{Span, Timestamp};
use pushrail_rocks::{RocksOptions, RocksStore};

use crate::properties::chance::{Op, play};
use crate::samples;
use crate::upkeep::keep_house;
use crate::world::World;

const APPLIED: &[u8] = b"applied";

fn ops(length: usize) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(any::<(u8, u8, u8, u8, u8, u8)>().prop_map(Op::from), 1..length)
}

/// After how many entries each commit comes: from a string of small numbers, used over and over.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..9usize, 1..6)
}

/// The entries, cut into pieces of these sizes.
fn pieces<'a>(entries: &'a [Entry], cuts: &'a [usize]) -> impl Iterator<Item = &'a [Entry]> {
    let mut rest = entries;
    let mut sizes = cuts.iter().cycle();
    std::iter::from_fn(move || {
        let size = (*sizes.next()?).min(rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

fn apply_piece(base: &dyn Read, piece: &[Entry]) -> (Changes, Vec<Applied>) {
    let mut txn = Txn::new(base);
    let applied = piece
        .iter()
        .map(|entry| apply(&mut txn, entry).unwrap())
        .collect();
    (txn.into_changes(), applied)
}

fn in_memory(entries: &[Entry], cuts: &[usize]) -> (Digest, Vec<Applied>) {
    let mut store = MemoryStore::default();
    let mut all = Vec::new();
    for piece in pieces(entries, cuts) {
        let (changes, applied) = apply_piece(&store, piece);
        store.commit(&changes);
        all.extend(applied);
    }
    (digest(&store).unwrap(), all)
}

/// The same on disk. Between some commits the database is closed and opened; each time it goes on behind the entry
/// that its own row names, as a node does.
fn on_disk(entries: &[Entry], cuts: &[usize], restart_every: usize) -> (Digest, Vec<Applied>) {
    let folder = tempfile::tempdir().unwrap();
    let open = || RocksStore::open(folder.path(), &RocksOptions::default()).unwrap();
    let mut store = open();
    let mut all = Vec::new();
    let mut commits = 0;
    loop {
        let applied = store.meta(APPLIED).unwrap();
        let applied = applied.map_or(0, |bytes| u64::from_be_bytes(bytes.as_ref().try_into().unwrap()));
        let rest = &entries[usize::try_from(applied).unwrap()..];
        let Some(piece) = pieces(rest, &cuts[commits % cuts.len()..]).next() else {
            break;
        };
        let (changes, applied) = apply_piece(&store.view(), piece);
        let last = piece.last().unwrap().index.0;
        store
            .commit(&changes, &[(APPLIED, last.to_be_bytes().to_vec())])
            .unwrap();
        all.extend(applied);
        commits += 1;
        if commits % restart_every == 0 {
            store.flush().unwrap();
            drop(store);
            store = open();
        }
    }
    (digest(&store.view()).unwrap(), all)
}

proptest! {
    #![proptest_config(Config { cases: 96, failure_persistence: None, ..Config::default() })]

    #[test]
    fn however_entries_are_cut_into_commits_the_same_state_comes_out(ops in ops(160), cuts in cuts()) {
        let (world, one_by_one) = play(&ops);

        let cut = in_memory(&world.entries, &cuts);

        prop_assert_eq!(cut, (digest(&world.store).unwrap(), one_by_one));
    }
}

proptest! {
    #![proptest_config(Config { cases: 6, failure_persistence: None, ..Config::default() })]

    #[test]
    fn rocksdb_with_restarts_between_holds_the_same_state(
        ops in ops(120),
        cuts in cuts(),
        restart_every in 3..9usize,
    ) {
        let (world, one_by_one) = play(&ops);

        let stored = on_disk(&world.entries, &cuts, restart_every);

        prop_assert_eq!(stored, (digest(&world.store).unwrap(), one_by_one));
    }
}

proptest! {
    #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]

    #[test]
    fn in_the_end_only_what_is_owed_is_left(ops in ops(160)) {
        let (mut world, _) = play(&ops);
        let owed = scheduled(&world);
        world.door = NodeId(9);

        // What is dead expires, and is on record for as long as attempts are kept; then that goes too.
        for _ in 0..2 {
            world.time = world.clock().plus(Span(100 * Span::DAY.0));
            keep_house(&mut world);
        }

        prop_assert_eq!(&scheduled(&world), &owed);
        prop_assert_eq!(deliveries(&world).len(), deliveries_of_events_of(&world, &owed));
        for table in [
            Table::Attempts,
            Table::AttemptsByTenant,
            Table::DeadLetters,
            Table::Idempotency,
            Table::Requests,
            Table::RequestExpiry,
        ] {
            let mut rows = 0;
            world.store.scan(table, KeyRange::prefix(&[]), &mut |_, _| {
                rows += 1;
                Ok(ControlFlow::Continue(()))
            }).unwrap();
            prop_assert_eq!(rows, 0, "{:?}", table);
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_repeat_within_a_day_is_answered_as_then_and_changes_nothing(ops in ops(160)) {
        let (mut world, applied) = play(&ops);
        let granted = granted(&world, &applied);
        world.door = NodeId(9);
        world.time = world.clock();
        let before = rows(&world);

        for (command, first) in granted {
            let again = world.run(command.clone());

            let gone = matches!(again, Response::Rejected(Rejection::RemovedSince { .. }));
            prop_assert!(gone || again == first, "{:?}: {:?}, then {:?}", command, first, again);
            prop_assert_eq!(&rows(&world), &before, "{:?}", command);
        }
    }
}

/// Requests on settings that were carried out within the last day, each with its answer. How long one is known is
/// counted from there, and not from its repeats.
fn granted(world: &World, applied: &[Applied]) -> Vec<(Command, Response)> {
    let mut found = Vec::new();
    let mut first_times = BTreeMap::new();
    let mut clock = Timestamp::ZERO;
    for (entry, applied) in world.entries.iter().zip(applied) {
        clock = clock.max(entry.time);
        for (batch, answer) in entry.batches.iter().zip(&applied.answers) {
            let BatchAnswer::Answered(answers) = answer else {
                continue;
            };
            // A door's repeat is answered from the door's row, however long ago that was.
            if answers.index != entry.index {
                continue;
            }
            for (command, response) in batch.commands.iter().zip(&answers.responses) {
                let request = samples::request(command);
                let Some(request) = request.filter(|_| !matches!(response, Response::Rejected(_))) else {
                    continue;
                };
                let since = *first_times.entry(request).or_insert(clock);
                if world.clock().since(since) < Span::DAY {
                    found.push((command.clone(), response.clone()));
                }
            }
        }
    }
    found
}

/// All rows, but the clock and what belongs to doors.
fn rows(world: &World) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    for table in Table::ALL {
        let of_doors = [Table::Doors, Table::DoorHeads].contains(&table);
        let mut row = |key: &[u8], value: &[u8]| {
            if !of_doors && (table != Table::Meta || key.len() > 1) {
                found.push((table, key.to_vec(), value.to_vec()));
            }
            Ok(ControlFlow::Continue(()))
        };
        world.store.scan(table, KeyRange::prefix(&[]), &mut row).unwrap();
    }
    found
}

/// All deliveries of all events that the world has ever accepted, as far as they are there.
fn deliveries(world: &World) -> BTreeMap<DeliveryKey, DeliveryState> {
    let mut found = BTreeMap::new();
    for (tenant, id) in &world.events {
        if let Some(explained) = query::event::explain(&world.store, *tenant, *id, usize::MAX).unwrap() {
            found.extend(
                explained
                    .deliveries
                    .into_iter()
                    .map(|one| (one.key, one.delivery.state)),
            );
        }
    }
    found
}

fn scheduled(world: &World) -> BTreeMap<DeliveryKey, DeliveryState> {
    let mut all = deliveries(world);
    all.retain(|_, state| matches!(state, DeliveryState::Scheduled { .. }));
    all
}

/// How many deliveries the events have that something is owed of: they stay together.
fn deliveries_of_events_of(world: &World, owed: &BTreeMap<DeliveryKey, DeliveryState>) -> usize {
    let events: BTreeSet<_> = owed
        .keys()
        .map(|key| {
            (
                key.tenant,
                EventId {
                    partition: key.partition,
                    seq: key.seq,
                },
            )
        })
        .collect();
    let of = |(tenant, id): &(TenantNo, EventId)| {
        let event = query::event::event(&world.store, *tenant, *id).unwrap();
        event.unwrap().new.destinations.len()
    };
    events.iter().map(of).sum()
}

/// Chance that never meets a rule proves nothing about it.
#[test]
fn chance_meets_every_answer() {
    let mut runner = TestRunner::deterministic();
    let mut met = BTreeSet::new();
    for _ in 0..40 {
        let ops = ops(160).new_tree(&mut runner).unwrap().current();
        for applied in play(&ops).1 {
            for answer in applied.answers {
                match answer {
                    BatchAnswer::Retired => {
                        met.insert("retired".to_owned());
                    }
                    BatchAnswer::Answered(answers) => met.extend(answers.responses.iter().flat_map(words)),
                }
            }
        }
    }
    let wanted = [
        "accepted",
        "duplicate",
        "conflict",
        "moved",
        "Effective",
        "Late",
        "Repeated",
        "Unknown",
        "Started",
        "NotDead",
        "AlreadyExists",
        "NotFound",
        "VersionMoved",
        "NotEmpty",
        "RemovedSince",
        "advanced",
        "shards",
        "retired",
        "dropped",
        "carried",
        "discard Discarded",
        "discard NotDead",
        "discard Unknown",
        "job Running",
        "job Done",
        "job Cancelled",
    ];
    for word in wanted {
        assert!(met.contains(word), "{word} is not among {met:?}");
    }
}

fn words(response: &Response) -> Vec<String> {
    match response {
        Response::Events(answers) => answers
            .iter()
            .map(|answer| event_word(answer).to_owned())
            .collect(),
        Response::Attempts(answers) => answers.iter().map(|answer| format!("{answer:?}")).collect(),
        Response::Replay(answers) => answers.iter().map(|answer| format!("{answer:?}")).collect(),
        Response::Discards(answers) => answers
            .iter()
            .map(|answer| format!("discard {answer:?}"))
            .collect(),
        Response::Job { state, .. } => vec![format!("job {state:?}")],
        Response::Shards(1..) => vec!["shards".to_owned()],
        Response::Swept { dropped, carried, .. } => {
            let words = [(*dropped > 0, "dropped"), (*carried > 0, "carried")];
            let met = words.into_iter().filter(|(met, _)| *met);
            met.map(|(_, word)| word.to_owned()).collect()
        }
        Response::Advanced { rows: 1.., .. } => vec!["advanced".to_owned()],
        Response::Rejected(rejection) => {
            let text = format!("{rejection:?}");
            vec![text.split(' ').next().unwrap_or_default().to_owned()]
        }
        Response::Done
        | Response::Tenant { .. }
        | Response::Destination { .. }
        | Response::Route { .. }
        | Response::Advanced { rows: 0, .. }
        | Response::Shards(0) => Vec::new(),
    }
}

fn event_word(answer: &EventAnswer) -> &'static str {
    match answer {
        EventAnswer::Accepted { duplicate: true, .. } => "duplicate",
        EventAnswer::Accepted { .. } => "accepted",
        EventAnswer::KeyConflict { .. } => "conflict",
        EventAnswer::RoutingMoved(_) => "moved",
        EventAnswer::UnknownTenant => "unknown tenant",
    }
}
