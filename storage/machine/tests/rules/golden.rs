//! Golden bytes: every command, answer and stored row as it was first written. A difference here means that an old
//! log or an old state would be read as something else. `UPDATE=1` adds what is new; nothing may change.

mod asking_world;
mod full_world;
mod kept_world;
mod recorded;
mod settings;

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use bytes::{Buf, BufMut, Bytes};

use pushrail_machine::codec::{
    decode_answers, decode_batch, decode_entry, encode_answers, encode_batch, encode_entry_payload,
};
use pushrail_machine::digest::digest;
use pushrail_machine::memory::MemoryStore;
use pushrail_machine::store::{Change, Changes, KeyRange, Read, Table};
use pushrail_machine::{Answers, invariants, query};
use pushrail_model::command::{Batch, Command, ReleaseShards};
use pushrail_model::ids::{
    BatchNumber, BootId, Epoch, EventId, EventSeq, JobNo, LogIndex, NodeId, RouteNo, TenantNo,
};
use pushrail_model::job::JobState;
use pushrail_model::payload::Encoding;
use pushrail_model::replay::{DiscardAnswer, ReplayAnswer};
use pushrail_model::response::{AttemptAnswer, EventAnswer, Rejection, Response};
use pushrail_model::retention::Retention;
use pushrail_model::shard::{Partition, ShardId};
use pushrail_model::time::{Span, Timestamp};

use crate::golden::asking_world::asking_world;
use crate::golden::full_world::full_world;
use crate::golden::kept_world::kept_world;
use crate::golden::recorded::recorded_world;
use crate::samples;
use crate::world::{BEGINNING, World};

/// The bytes kept under `name`; with `UPDATE=1` those that come now.
fn golden(name: &str, comes: &[u8]) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name);
    if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
        fs::write(&path, comes).unwrap();
    }
    let kept =
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; UPDATE=1 writes it", path.display()));
    assert_eq!(
        kept, comes,
        "{name}: what was written once must be written so for good"
    );
    kept.into()
}

fn batch_of(command: Command) -> Batch {
    Batch {
        node: NodeId(3),
        boot: BootId(1_700_000_000),
        number: BatchNumber(41),
        lowest_open: BatchNumber(38),
        commands: vec![command],
    }
}

/// A kind of command, as its files are named.
fn name_of(command: &Command) -> &'static str {
    match command {
        Command::InitCluster(_) => "init_cluster",
        Command::AcceptEvents(_) => "accept_events",
        Command::RecordAttempts(_) => "record_attempts",
        Command::PutTenant(_) => "put_tenant",
        Command::PutDestination(_) => "put_destination",
        Command::SetDestinationState(_) => "set_destination_state",
        Command::PutRoute(_) => "put_route",
        Command::StartReplay(_) => "start_replay",
        Command::AssignShards(_) => "assign_shards",
        Command::ReleaseShards(_) => "release_shards",
        Command::DropBuckets(_) => "drop_buckets",
        Command::ExpireDeadLetters(_) => "expire_dead_letters",
        Command::DropEvents(_) => "drop_events",
        Command::DropCarried(_) => "drop_carried",
        Command::DropRequests(_) => "drop_requests",
        Command::DiscardDeadLetters(_) => "discard_dead_letters",
        Command::StartJob(_) => "start_job",
        Command::AdvanceJob(_) => "advance_job",
        Command::CancelJob(_) => "cancel_job",
        Command::CountCauses(_) => "count_causes",
        Command::UpdateTenant(_) => "update_tenant",
        Command::UpdateDestination(_) => "update_destination",
        Command::UpdateRoute(_) => "update_route",
        Command::RemoveTenant(_) => "remove_tenant",
        Command::RemoveDestination(_) => "remove_destination",
        Command::RemoveRoute(_) => "remove_route",
        Command::RotateCredential(_) => "rotate_credential",
        Command::RewrapCredentials(_) => "rewrap_credentials",
        Command::CancelDeliveries(_) => "cancel_deliveries",
    }
}

#[test]
fn every_command_is_written_as_it_was() {
    let (world, kept, asking) = (full_world(), kept_world(), asking_world());
    let mut kinds = Vec::new();
    let commands_of = |world: &World| -> Vec<Command> {
        let batches = world.entries.iter().flat_map(|entry| &entry.batches);
        batches.flat_map(|batch| batch.commands.clone()).collect()
    };
    let commands = commands_of(&world);
    let later = commands_of(&kept).into_iter().filter(is_of_upkeep);
    let asked = commands_of(&asking).into_iter().filter(is_of_jobs);
    let release = Command::ReleaseShards(ReleaseShards {
        node: NodeId(1),
        shards: vec![(ShardId::new(1023).unwrap(), Epoch(9))],
    });
    for command in commands.into_iter().chain([release]).chain(later).chain(asked) {
        let name = name_of(&command);
        let place = kinds.iter().filter(|kind| **kind == name).count();
        kinds.push(name);
        let batch = batch_of(command.clone());

        let kept = golden(&format!("command-{name}-{place}.bin"), &encode_batch(&batch));

        assert_eq!(decode_batch(kept).unwrap(), batch);
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds.len(),
        19,
        "a golden file for each kind of command: {kinds:?}"
    );
}

fn is_of_jobs(command: &Command) -> bool {
    matches!(
        command,
        Command::DiscardDeadLetters(_)
            | Command::StartJob(_)
            | Command::AdvanceJob(_)
            | Command::CancelJob(_)
            | Command::CountCauses(_)
    )
}

/// A command of upkeep, or a field that came with it.
fn is_of_upkeep(command: &Command) -> bool {
    let upkeep = matches!(
        command,
        Command::DropBuckets(_)
            | Command::ExpireDeadLetters(_)
            | Command::DropEvents(_)
            | Command::DropCarried(_)
    );
    let keeps = matches!(command, Command::PutTenant(put) if put.retention != Retention::default());
    let placed = matches!(command, Command::RecordAttempts(record) if record.attempts[0].place.is_some());
    upkeep || keeps || placed
}

#[test]
fn an_entry_is_written_as_it_was() {
    let batches: Vec<Bytes> = (0..2)
        .map(|_| encode_batch(&batch_of(samples::tenant("acme", "r1"))))
        .collect();
    let time = Timestamp(1_790_000_000_123_456);

    let kept = golden("entry.bin", &encode_entry_payload(time, &batches));

    let entry = decode_entry(LogIndex(7), &kept).unwrap();
    assert_eq!(
        (entry.index, entry.time, entry.batches.len()),
        (LogIndex(7), time, 2)
    );
}

#[test]
fn every_answer_is_written_as_it_was() {
    let event = EventId {
        partition: Partition::new(33).unwrap(),
        seq: EventSeq {
            index: 77,
            position: 3,
        },
    };
    let (kind, id) = ("tenant".to_owned(), "acme".to_owned());
    let rejections = [
        Rejection::AlreadyInitialised,
        Rejection::AlreadyExists {
            kind: kind.clone(),
            id: id.clone(),
        },
        Rejection::NotFound { kind, id },
        Rejection::LimitReached {
            what: "routes".to_owned(),
            limit: 256,
        },
        Rejection::VersionMoved { present: 4 },
    ];
    let mut responses = vec![
        Response::Done,
        Response::Events(vec![
            EventAnswer::Accepted {
                event,
                deliveries: 2,
                duplicate: true,
            },
            EventAnswer::KeyConflict { event },
            EventAnswer::RoutingMoved(LogIndex(8)),
            EventAnswer::UnknownTenant,
        ]),
        Response::Attempts(vec![
            AttemptAnswer::Effective,
            AttemptAnswer::Late,
            AttemptAnswer::Repeated,
            AttemptAnswer::Unknown,
        ]),
        Response::Tenant {
            number: TenantNo(3),
            version: 1,
        },
        Response::Destination {
            number: pushrail_model::ids::DestinationNo(5),
            version: 2,
            shard: ShardId::new(532).unwrap(),
        },
        Response::Route {
            number: RouteNo(0),
            version: 1,
        },
        Response::Replay(vec![
            ReplayAnswer::Started,
            ReplayAnswer::NotDead,
            ReplayAnswer::Unknown,
        ]),
        Response::Shards(0),
    ];
    responses.extend(rejections.map(Response::Rejected));
    let answers = Answers {
        index: LogIndex(9),
        responses,
    };

    let kept = golden("answers.bin", &encode_answers(&answers));

    assert_eq!(decode_answers(kept).unwrap(), answers);

    let later = Answers {
        index: LogIndex(9),
        responses: vec![Response::Swept {
            dropped: 3,
            carried: 2,
            more: true,
        }],
    };
    let kept = golden("answers-upkeep.bin", &encode_answers(&later));
    assert_eq!(decode_answers(kept).unwrap(), later);
}

#[test]
fn every_answer_about_jobs_is_written_as_it_was() {
    let states = [JobState::Running, JobState::Done, JobState::Cancelled];
    let mut responses: Vec<Response> = states
        .map(|state| Response::Job {
            number: JobNo(7),
            state,
        })
        .to_vec();
    responses.push(Response::Discards(vec![
        DiscardAnswer::Discarded,
        DiscardAnswer::NotDead,
        DiscardAnswer::Unknown,
    ]));
    let answers = Answers {
        index: LogIndex(9),
        responses,
    };

    let kept = golden("answers-jobs.bin", &encode_answers(&answers));

    assert_eq!(decode_answers(kept).unwrap(), answers);
}

#[test]
fn every_table_is_written_as_it_was_and_read_as_it_was_meant() {
    // The first world stands as it was first written; what came later has rows in the others.
    let worlds = [
        ("", full_world()),
        ("kept-", kept_world()),
        ("asking-", asking_world()),
        ("recorded-", recorded_world()),
    ];
    let mut written = BTreeSet::new();
    for (prefix, world) in &worlds {
        let mut changes = Vec::new();
        for table in Table::ALL {
            let comes = rows_of(&world.store, table);
            if comes.is_empty() {
                continue;
            }
            written.insert(table);
            let kept = golden(&format!("{prefix}table-{table:?}.bin").to_lowercase(), &comes);
            changes.extend(puts(table, kept));
        }
        let mut read_back = MemoryStore::default();
        read_back.commit(&Changes(changes));
        assert_eq!(invariants::check(&read_back), Ok(()));
        assert_eq!(digest(&read_back).unwrap(), digest(&world.store).unwrap());
        assert_eq!(query::clock(&read_back).unwrap(), world.clock());
    }
    written.extend(settings::TABLES);
    assert_eq!(written, BTreeSet::from(Table::ALL), "every table has a row");
    assert_eq!(worlds[0].1.time, BEGINNING.plus(Span::from_secs(3)));
}

/// All rows of a table: length and bytes of each key and value.
fn rows_of(store: &MemoryStore, table: Table) -> Vec<u8> {
    let mut comes = Vec::new();
    store
        .scan(table, KeyRange::prefix(&[]), &mut |key, value| {
            comes.put_u32(u32::try_from(key.len()).unwrap());
            comes.put_slice(key);
            comes.put_u32(u32::try_from(value.len()).unwrap());
            comes.put_slice(value);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    comes
}

/// The same rows, to be put again.
fn puts(table: Table, mut kept: Bytes) -> Vec<Change> {
    let mut changes = Vec::new();
    while kept.has_remaining() {
        let length = usize::try_from(kept.get_u32()).unwrap();
        let key = kept.split_to(length).to_vec();
        let length = usize::try_from(kept.get_u32()).unwrap();
        let value = kept.split_to(length);
        changes.push(Change::Put { table, key, value });
    }
    changes
}

#[test]
fn a_payload_is_a_slice_of_its_entry() {
    let world = full_world();
    let entry = world
        .entries
        .iter()
        .find(|entry| matches!(entry.batches[0].commands[0], Command::AcceptEvents(_)))
        .unwrap();
    let bytes = encode_entry_payload(entry.time, &[encode_batch(&entry.batches[0])]);

    let read = decode_entry(entry.index, &bytes).unwrap();

    let Command::AcceptEvents(accept) = &read.batches[0].commands[0] else {
        panic!("an event was accepted");
    };
    let payload = &accept.events[0].payload;
    assert_eq!(
        (payload.encoding, payload.bytes.as_ref()),
        (Encoding::Identity, b"one".as_ref())
    );
    assert!(
        bytes.as_ptr_range().contains(&payload.bytes.as_ptr()),
        "no copy was made"
    );
}

#[test]
fn damaged_or_unknown_entries_are_errors_and_never_panics() {
    let world = full_world();
    for entry in &world.entries {
        let bytes = encode_entry_payload(entry.time, &[encode_batch(&entry.batches[0])]);
        for length in 0..bytes.len() {
            assert!(
                decode_entry(entry.index, &bytes.slice(..length)).is_err(),
                "cut at {length}"
            );
        }
        for place in 0..bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[place] ^= 0x41;
            if let Ok(read) = decode_entry(entry.index, &flipped.into()) {
                assert_eq!(read.index, entry.index);
            }
        }
    }
}

#[test]
fn a_command_of_tomorrow_stops_the_node() {
    let mut batch = encode_batch(&Batch {
        commands: Vec::new(),
        ..batch_of(samples::tenant("acme", "r1"))
    })
    .to_vec();
    // Field 5 of the batch: a command whose one choice has number 99.
    batch.extend_from_slice(&[0x2a, 3, 0x9a, 0x06, 0]);

    let error = decode_entry(LogIndex(12), &encode_entry_payload(BEGINNING, &[batch.into()])).unwrap_err();

    let text = error.to_string();
    assert!(
        text.contains("log entry 12") && text.contains("a later version"),
        "{text}"
    );
}
