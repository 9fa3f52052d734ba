//! A node's data directory as a whole: over kills, and where it is not what it should be.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use futures::StreamExt;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage, RaftStateMachine, StorageHelper};
use openraft::type_config::TypeConfigExt;
use openraft::{EntryPayload, Membership};
use pushrail_machine::codec::encode_entry_payload;
use pushrail_model::ids::LogIndex;
use pushrail_model::time::Timestamp;

use super::*;
use crate::types::{LeaderId, LogEntry, LogId, LogPayload, NodeAddresses, Payload, TypeConfig};

const NODE: NodeId = NodeId(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_a_later_term_than_the_log_is_made_again_though_the_log_is_longer() {
    let root = tempfile::tempdir().unwrap();
    let mut stores = open(root.path()).unwrap();
    for index in 0..5 {
        live(&mut stores, index).await;
    }
    // Never committed; the next leader's entries took their places, and were not flushed here.
    for index in 5..9 {
        append(&mut stores, entry(index)).await;
    }
    let ahead = (5..7).map(|index| {
        let mut entry = entry(index);
        entry.log_id.leader_id.term = 2;
        Ok((entry, None))
    });
    let ahead: Vec<_> = ahead.collect();
    stores.machine.apply(futures::stream::iter(ahead)).await.unwrap();
    stores.state.flush().unwrap();
    drop(stores);

    let mut found = open(root.path()).unwrap();
    assert_eq!(found.state.view().unwrap().applied(), LogIndex(0));
    StorageHelper::new(&mut found.log, &mut found.machine)
        .with_id(NODE.0)
        .get_initial_state()
        .await
        .unwrap();
}

fn open(root: &Path) -> Result<Stores, StartError> {
    Stores::open(root, NODE, ScrubPolicy::Never, HintSender::default())
}

fn refusal(root: &Path) -> String {
    match open(root) {
        Err(StartError::Refused { why, .. } | StartError::Damaged { why, .. }) => why,
        Err(other) => panic!("failed otherwise: {other:?}"),
        Ok(_) => panic!("it was opened"),
    }
}

fn entry(index: u64) -> LogEntry {
    let payload: LogPayload = if index == 0 {
        let nodes = [(NODE.0, NodeAddresses::default())];
        EntryPayload::Membership(
            Membership::new(
                vec![[NODE.0].into()],
                nodes.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            )
            .unwrap(),
        )
    } else {
        let time = Timestamp(1000 * index);
        EntryPayload::Normal(Payload(encode_entry_payload(time, &[] as &[Bytes])))
    };
    LogEntry {
        log_id: LogId {
            leader_id: LeaderId { term: 1, node_id: 1 },
            index,
        },
        payload,
    }
}

async fn append(stores: &mut Stores, entry: LogEntry) {
    let (told, hears) = TypeConfig::oneshot();
    stores.log.append([entry], IOFlushed::signal(told)).await.unwrap();
    hears.await.unwrap().unwrap();
}

/// What the core does with an entry of a cluster of one: on disk, committed, applied.
async fn live(stores: &mut Stores, index: u64) {
    append(stores, entry(index)).await;
    stores
        .log
        .save_committed(Some(entry(index).log_id))
        .await
        .unwrap();
    let stream = stores.log.entries_stream(index..=index).await;
    let stream = Box::pin(stream.map(|entry| entry.map(|entry| (entry, None))));
    stores.machine.apply(stream).await.unwrap();
}

/// All files under `from`, as a killed process leaves them; nothing writes meanwhile but background work.
fn image(from: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    let mut left: Vec<PathBuf> = vec![from.to_path_buf()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let to = image.path().join(path.strip_prefix(from).unwrap());
            if path.is_dir() {
                fs::create_dir(&to).unwrap();
                left.push(path);
            } else {
                fs::copy(&path, to).unwrap();
            }
        }
    }
    image
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_comes_back_with_all_that_was_acknowledged_applied() {
    let root = tempfile::tempdir().unwrap();
    let mut stores = open(root.path()).unwrap();
    for index in 0..40 {
        live(&mut stores, index).await;
        if index % 15 == 14 {
            stores.state.flush().unwrap();
        }
        if index % 7 != 3 {
            continue;
        }
        let killed = image(root.path());

        let mut found = open(killed.path()).unwrap();
        StorageHelper::new(&mut found.log, &mut found.machine)
            .with_id(NODE.0)
            .get_initial_state()
            .await
            .unwrap();

        let last = found.log.get_log_state().await.unwrap().last_log_id;
        assert_eq!(last, Some(entry(index).log_id));
        // The commit mark is not synced of itself; it lags by what came after the last flush.
        let applied = found.state.view().unwrap().applied();
        assert!(
            applied >= LogIndex(index.saturating_sub(1)),
            "{applied} of {index}"
        );
        let clock = pushrail_machine::query::clock(&found.state.view().unwrap()).unwrap();
        assert_eq!(clock, Timestamp(1000 * applied.0));
        assert!(found.dir.boot() > stores.dir.boot());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stopped_in_order_has_nothing_to_apply_again() {
    let root = tempfile::tempdir().unwrap();
    let mut stores = open(root.path()).unwrap();
    for index in 0..5 {
        live(&mut stores, index).await;
    }
    drop(stores);

    let found = open(root.path()).unwrap();

    assert_eq!(found.state.view().unwrap().applied(), LogIndex(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_refused_with_advice() {
    let root = tempfile::tempdir().unwrap();
    let mut stores = open(root.path()).unwrap();
    for index in 0..5 {
        live(&mut stores, index).await;
    }
    drop(stores);
    fs::remove_dir_all(root.path().join("log")).unwrap();
    fs::create_dir(root.path().join("log")).unwrap();

    let why = refusal(root.path());

    assert!(
        why.contains("what was acknowledged is gone") && why.contains(".wal"),
        "{why}"
    );
    assert!(why.contains("start the node on an empty one"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut stores = open(root.path()).unwrap();
    live(&mut stores, 0).await;
    drop(stores);
    fs::remove_dir_all(root.path().join("state/db-1")).unwrap();

    assert!(refusal(root.path()).contains("db-1"));
    fs::remove_file(root.path().join("state/CURRENT")).unwrap();
    assert!(refusal(root.path()).contains("CURRENT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_died_while_making_the_directory_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(DataDir::open(root.path(), NODE).unwrap());

    assert!(refusal(root.path()).contains("interrupted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_flushed_ahead_of_the_log_is_made_again_from_the_log() {
    let root = tempfile::tempdir().unwrap();
    let mut stores = open(root.path()).unwrap();
    for index in 0..5 {
        live(&mut stores, index).await;
    }
    // The others had these on their disks, so they were committed and applied here; our log was not flushed.
    let ahead: Vec<_> = (5..8).map(|index| Ok((entry(index), None))).collect();
    stores.machine.apply(futures::stream::iter(ahead)).await.unwrap();
    stores.state.flush().unwrap();
    drop(stores);

    let mut found = open(root.path()).unwrap();
    assert_eq!(found.state.view().unwrap().applied(), LogIndex(0));
    StorageHelper::new(&mut found.log, &mut found.machine)
        .with_id(NODE.0)
        .get_initial_state()
        .await
        .unwrap();

    let log = found.log.get_log_state().await.unwrap();
    assert_eq!(log.last_log_id, Some(entry(4).log_id));
    assert_eq!(log.last_purged_log_id, None);
    assert!(found.state.view().unwrap().applied() >= LogIndex(3));
}
