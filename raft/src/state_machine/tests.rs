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

use super::*;
use crate::flush::FlushHook;
use crate::hints::HintSender;
use crate::log_store::{LogOptions, LogStore};
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
        Watermark::create(&watermark).unwrap();
        let mut options = LogOptions::new(log, watermark);
        options.after_flush = self.after_flush.clone();
        let log = LogStore::open(options).unwrap();
        let (machine, _) = machine(root.path());
        Ok((root, log, machine))
    }
}

fn machine(root: &Path) -> (StateMachine, State) {
    let options = StateOptions {
        dir: root.join("state"),
        snapshots: root.join("snapshots"),
        rocks: RocksOptions::default(),
        flush: FlushPolicy::default(),
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
    let slow: FlushHook = std::sync::Arc::new(|| std::thread::sleep(Duration::from_millis(3)));

    Suite::test_all(Real {
        after_flush: Some(slow),
    })
    .await
    .unwrap();
}
