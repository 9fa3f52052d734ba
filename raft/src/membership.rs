//! Forming a cluster. Adding and removing members comes later; addresses are those of the beginning.

use std::collections::BTreeMap;
use std::sync::Arc;

use openraft::EntryPayload;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use openraft::storage::RaftLogReader;
use pushrail_model::ids::NodeId;

use crate::error::InitError;
use crate::log_store::LogStore;
use crate::types::{LogPayload, NodeAddresses, Raft, StoredMembership};

/// Makes these the first members; harmless where they are already.
pub(crate) async fn form(raft: &Raft, members: &BTreeMap<NodeId, NodeAddresses>) -> Result<(), InitError> {
    let wanted: BTreeMap<u64, NodeAddresses> = members
        .iter()
        .map(|(node, addresses)| (node.0, addresses.clone()))
        .collect();
    match raft.initialize(wanted.clone()).await {
        Ok(()) => Ok(()),
        Err(RaftError::APIError(InitializeError::NotInMembers(_))) => Err(InitError::Members(
            "this node is not among the members".to_owned(),
        )),
        Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
            // A node that only follows a cluster made through another one is initialised as well.
            let now = present(raft);
            let same = now
                .nodes()
                .map(|(node, addresses)| (*node, addresses.clone()))
                .eq(wanted);
            if same {
                Ok(())
            } else {
                Err(InitError::AlreadyInitialised)
            }
        }
        Err(RaftError::Fatal(fatal)) => Err(InitError::Stopped(fatal.to_string())),
    }
}

/// All members and where they are reached, as this node knows them.
pub(crate) fn members(raft: &Raft) -> Vec<(NodeId, NodeAddresses)> {
    let now = present(raft);
    now.nodes()
        .map(|(node, addresses)| (NodeId(*node), addresses.clone()))
        .collect()
}

/// The membership in force, committed or not.
pub(crate) fn present(raft: &Raft) -> Arc<StoredMembership> {
    Arc::clone(&raft.metrics().borrow_watched().membership_config)
}

/// The first members, as the log has them: its first entry, whatever the state has come to. `None`: there is none.
pub(crate) async fn first_members(
    mut log: LogStore,
) -> std::io::Result<Option<BTreeMap<u64, NodeAddresses>>> {
    let first = log.try_get_log_entries(0..1).await?;
    Ok(first.into_iter().next().and_then(|entry| {
        let payload: LogPayload = entry.payload;
        match payload {
            EntryPayload::Membership(first) => Some(
                first
                    .nodes()
                    .map(|(node, addresses)| (*node, addresses.clone()))
                    .collect(),
            ),
            EntryPayload::Blank | EntryPayload::Normal(_) => None,
        }
    }))
}

/// Whether these make a cluster at all.
pub(crate) fn check(members: &BTreeMap<NodeId, NodeAddresses>) -> Result<(), InitError> {
    if members.is_empty() {
        return Err(InitError::Members("a cluster needs a member".to_owned()));
    }
    let mut seen = BTreeMap::new();
    for (node, addresses) in members {
        if addresses.peer.is_empty() {
            return Err(InitError::Members(format!(
                "node {node} has no address for peers"
            )));
        }
        if let Some(other) = seen.insert(addresses.peer.as_str(), node) {
            return Err(InitError::Members(format!(
                "nodes {other} and {node} have the same address for peers, {}",
                addresses.peer
            )));
        }
    }
    Ok(())
}
