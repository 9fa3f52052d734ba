//! The conformance suite of the consensus core on the real stores, and what it does not ask.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use openraft::storage::RaftSnapshotBuilder;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, StorageError};
use pushrail_machine::codec::{encode_batch, encode_entry_payload};
use pushrail_model::command::{Batch, Command, InitCluster};
use pushrail_model::ids::{BatchNumber, BootId, LogIndex, NodeId};
use pushrail_model::time::Timestamp;
use pushrail_rocks::Properties;

use super::*;
use crate::config::ScrubPolicy;
use crate::error::Cause;
use crate::flush::FlushHook;
use crate::hints::HintSender;
use crate::log_store::{LogOptions, LogStore};
use crate::seal::Seals;
use crate::types::{LeaderId, LogEntry, Payload};
use crate::watermark::Watermark;

/// Makes the real stores in a directory of their own, their flushes as slow as asked.
struct Real {
    after_flush: Option<FlushHook>,
}

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Real {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let root = tempfile::tempdir().unwrap();
        let watermark = root.path().join("watermark");
        let log = root.path().join("log");
        fs::create_dir(&log).unwrap();
        let (node, seals) = (NodeId(1), root.path().join("seals"));
        Watermark::create(&watermark, node).unwrap();
        Seals::create(&seals, node).unwrap();
        let mut options = LogOptions::new(node, log, watermark, seals);
        options.after_flush = self.after_flush.clone();
        let log = LogStore::open(options).unwrap();
        let (machine, _) = machine(root.path());
        Ok((root, log, machine))
    }
}

fn machine(root: &Path) -> (StateMachine, State) {
    let options = StateOptions {
        dir: root.join("state"),
        standing: if root.join("state").exists() {
            Standing::Made
        } else {
            Standing::Fresh
        },
        snapshots: root.join("snapshots"),
        rocks: RocksOptions::default(),
        flush: FlushPolicy::default(),
        scrub: ScrubPolicy::Never,
    };
    fs::create_dir_all(&options.dir).unwrap();
    fs::create_dir_all(&options.snapshots).unwrap();
    StateMachine::open(options, HintSender::default()).unwrap()
}

fn entry(index: u64, payload: Payload) -> LogEntry {
    LogEntry {
        log_id: LogId {
            leader_id: LeaderId { term: 1, node_id: 1 },
            index,
        },
        payload: EntryPayload::Normal(payload),
    }
}

/// An entry that names the cluster.
fn naming(index: u64, cluster: u128) -> LogEntry {
    let batch = Batch {
        node: NodeId(1),
        boot: BootId(1),
        number: BatchNumber(index),
        lowest_open: BatchNumber(1),
        commands: vec![Command::InitCluster(InitCluster { cluster, hash_key: 7 })],
    };
    let payload = encode_entry_payload(Timestamp(1_000_000 * index), &[encode_batch(&batch)]);
    entry(index, Payload(payload))
}

async fn apply(machine: &mut StateMachine, entries: impl IntoIterator<Item = LogEntry>) -> io::Result<()> {
    let entries: Vec<_> = entries.into_iter().map(|entry| Ok((entry, None))).collect();
    machine.apply(stream::iter(entries)).await
}

fn clock(state: &State) -> Timestamp {
    pushrail_machine::query::clock(&state.view().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stores_pass_the_conformance_suite() {
    Suite::test_all(Real { after_flush: None }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stores_pass_the_conformance_suite_while_flushes_are_slow() {
    let slow: FlushHook = std::sync::Arc::new(|| {
        std::thread::sleep(Duration::from_millis(3));
        Ok(())
    });

    Suite::test_all(Real {
        after_flush: Some(slow),
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_is_seen_by_views_with_its_index() {
    let root = tempfile::tempdir().unwrap();
    let (mut machine, state) = machine(root.path());
    let before = state.view().unwrap();
    let mut progress = state.progress();

    apply(&mut machine, (1..=3).map(|index| naming(index, 9)))
        .await
        .unwrap();

    let after = state.view().unwrap();
    assert_eq!((before.applied(), after.applied()), (LogIndex(0), LogIndex(3)));
    assert_eq!((clock(&state), after.token().term), (Timestamp(3_000_000), 1));
    assert!(progress.has_changed().unwrap());
    assert_eq!(progress.borrow_and_update().applied.map(|id| id.index), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_entry_stops_the_node_and_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let (mut machine, state) = machine(root.path());
    apply(&mut machine, [naming(1, 9)]).await.unwrap();

    let unknown = entry(3, Payload(Bytes::from_static(b"not an entry at all")));
    let refused = apply(&mut machine, [naming(2, 9), unknown]).await;

    assert!(refused.is_err());
    assert_eq!(state.view().unwrap().applied(), LogIndex(1));
    assert_eq!(clock(&state), Timestamp(1_000_000));
    assert!(state.failure().borrow().is_some());
    // Nothing goes on over it, either.
    assert!(apply(&mut machine, [naming(4, 9)]).await.is_err());
}

/// An entry that changes a row for each of its batches and little else: a door's answers.
fn touching(index: u64, rows: u64) -> LogEntry {
    let batches: Vec<Bytes> = (0..rows)
        .map(|place| BatchNumber(index * rows + place))
        .map(|number| {
            encode_batch(&Batch {
                node: NodeId(1),
                boot: BootId(1),
                number,
                lowest_open: number,
                commands: Vec::new(),
            })
        })
        .collect();
    entry(
        index,
        Payload(encode_entry_payload(Timestamp(1_000_000 * index), &batches)),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_change_many_rows_are_not_one_write_however_small_they_are() {
    let root = tempfile::tempdir().unwrap();
    let (mut machine, state) = machine(root.path());
    let entries: Vec<_> = (1..=10).map(|index| touching(index, 4096)).collect();
    assert!(entries.iter().map(payload_bytes).sum::<usize>() < GROUP_BYTES);

    // What was written before the node stopped shows where the first writes ended.
    let unknown = entry(11, Payload(Bytes::from_static(b"not an entry at all")));
    let refused = apply(&mut machine, entries.into_iter().chain([unknown])).await;

    assert!(refused.is_err());
    let applied = state.view().unwrap().applied();
    assert!(LogIndex(6) <= applied && applied <= LogIndex(8), "{applied:?}");
    assert_eq!(clock(&state), Timestamp(1_000_000 * applied.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_entry_is_applied_twice() {
    let root = tempfile::tempdir().unwrap();
    let (mut machine, state) = machine(root.path());
    apply(&mut machine, [naming(1, 9), naming(2, 9)]).await.unwrap();

    assert!(apply(&mut machine, [naming(2, 9)]).await.is_err());
    assert_eq!(state.view().unwrap().applied(), LogIndex(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_brought_to_disk_once_enough_was_applied() {
    let root = tempfile::tempdir().unwrap();
    let options = StateOptions {
        dir: root.path().join("state"),
        standing: Standing::Fresh,
        snapshots: root.path().join("snapshots"),
        rocks: RocksOptions::default(),
        flush: FlushPolicy {
            bytes: 1,
            age: Duration::from_secs(3600),
        },
        scrub: ScrubPolicy::Never,
    };
    fs::create_dir(&options.dir).unwrap();
    fs::create_dir(&options.snapshots).unwrap();
    let (mut machine, state) = StateMachine::open(options, HintSender::default()).unwrap();
    assert_eq!(state.properties().unwrap().table_bytes, 0);

    apply(&mut machine, [naming(1, 9)]).await.unwrap();
    // The flush goes on beside; closing the machine waits for it.
    drop(machine);

    assert!(state.properties().unwrap().table_bytes > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_failed_in_the_background_stops_the_node_when_the_figures_are_sampled() {
    let root = tempfile::tempdir().unwrap();
    let (_machine, state) = machine(root.path());
    let sound = state.properties().unwrap();
    assert_eq!(*state.failure().borrow(), None);

    state.look_at(&Properties {
        background_errors: 1,
        ..sound
    });

    let failure = state.failure().borrow().clone().unwrap();
    assert_eq!(failure.cause, Cause::Disk);
    assert!(failure.why.contains("in the background"), "{}", failure.why);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_outlives_a_restart_and_an_unfinished_one_does_not() {
    let root = tempfile::tempdir().unwrap();
    let (mut first, _) = machine(root.path());
    apply(&mut first, [naming(1, 9)]).await.unwrap();
    let built = first.get_snapshot_builder().await.build_snapshot().await.unwrap();
    apply(&mut first, [naming(2, 9)]).await.unwrap();
    let newer = first.get_snapshot_builder().await.build_snapshot().await.unwrap();
    assert!(!built.snapshot.path.exists());
    drop(first);
    fs::create_dir(root.path().join("snapshots/next.half")).unwrap();

    let (mut second, _) = machine(root.path());

    let found = second.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!((found.meta, found.snapshot), (newer.meta, newer.snapshot));
    assert!(!root.path().join("snapshots/next.half").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installed_snapshot_is_a_new_generation_and_old_views_stay() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut source, _) = machine(from.path());
    apply(&mut source, (1..=5).map(|index| naming(index, 9)))
        .await
        .unwrap();
    let snapshot = source
        .get_snapshot_builder()
        .await
        .build_snapshot()
        .await
        .unwrap();
    let (mut target, state) = machine(to.path());
    apply(&mut target, [naming(1, 9)]).await.unwrap();
    let old = state.view().unwrap();
    let generation = state.progress().borrow().generation;

    target
        .install_snapshot(&snapshot.meta, snapshot.snapshot.clone())
        .await
        .unwrap();

    let progress = *state.progress().borrow();
    assert!(progress.generation > generation);
    assert_eq!(progress.applied, snapshot.meta.last_log_id);
    assert_eq!(
        (old.applied(), state.view().unwrap().applied()),
        (LogIndex(1), LogIndex(5))
    );
    assert_eq!(
        pushrail_machine::query::clock(&old).unwrap(),
        Timestamp(1_000_000)
    );
    assert!(to.path().join("state/db-1").exists());
    drop(old);
    state.sweep();
    assert!(!to.path().join("state/db-1").exists());
    // It goes on from there, also after a restart.
    apply(&mut target, [naming(6, 9)]).await.unwrap();
    drop((target, state));
    let (_, again) = machine(to.path());
    assert_eq!(again.view().unwrap().applied(), LogIndex(6));
    assert_eq!(again.progress().borrow().generation, progress.generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_shows_something_else_is_not_installed() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut source, _) = machine(from.path());
    apply(&mut source, [naming(1, 9)]).await.unwrap();
    let snapshot = source
        .get_snapshot_builder()
        .await
        .build_snapshot()
        .await
        .unwrap();
    let (mut target, state) = machine(to.path());
    let mut other = snapshot.meta.clone();
    other.last_log_id = Some(naming(7, 9).log_id);

    let refused = target.install_snapshot(&other, snapshot.snapshot).await;

    assert!(refused.is_err());
    assert_eq!(state.view().unwrap().applied(), LogIndex(0));
}
