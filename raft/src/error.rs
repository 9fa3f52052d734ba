//! What this node could not do, as callers of the replica learn it.

use std::io;
use std::path::PathBuf;

use pushrail_machine::store::StoreError;
use pushrail_model::ids::{LogIndex, NodeId};

/// A replica could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory could not be used.
    #[error("use data directory {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The data directory is not this node's, is in use, or is damaged.
    #[error("data directory {path}: {why}")]
    Refused {
        /// Which.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// The state could not be opened.
    #[error("open the state")]
    State(#[from] StoreError),
    /// The log could not be opened.
    #[error("open the log")]
    Log(#[source] io::Error),
    /// The address for peers could not be bound.
    #[error("listen for peers on {address}")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A setting cannot be.
    #[error("{0}")]
    Setting(String),
    /// The consensus core did not start.
    #[error("start the consensus core: {0}")]
    Core(String),
}

/// The cluster could not be formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// This node belongs to a cluster of other members already.
    #[error("this node belongs to a cluster already")]
    AlreadyInitialised,
    /// The members make no cluster.
    #[error("{0}")]
    Members(String),
    /// The cluster was formed, but its first command had no answer yet: ask again.
    #[error("the cluster is formed, but its first command has no answer yet: {0}")]
    Unfinished(String),
    /// The node has stopped.
    #[error("the node has stopped: {0}")]
    Stopped(String),
}

/// A command has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// It was certainly not accepted and never will be.
    #[error("not accepted: {why}")]
    NotAccepted {
        /// Why.
        why: String,
    },
    /// It may have been accepted, or may yet be.
    #[error("it is unknown whether it was accepted: {why}")]
    Unknown {
        /// Why.
        why: String,
    },
}

impl ProposeError {
    /// Whether the command has certainly not happened.
    pub fn is_certain(&self) -> bool {
        match self {
            Self::NotAccepted { .. } => true,
            Self::Unknown { .. } => false,
        }
    }
}

/// A read or a wait could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader confirmed the read in time.
    #[error("no leader confirmed the read: {why}")]
    NoLeader {
        /// Why.
        why: String,
    },
    /// This node's state has not come as far as was asked.
    #[error("the state has applied {applied}, asked for was {wanted}")]
    Behind {
        /// How far it has come.
        applied: LogIndex,
        /// How far it should have.
        wanted: LogIndex,
    },
    /// The owner of the shard did not report in time.
    #[error("node {owner} has not reported a fence at {wanted}")]
    Fence {
        /// Who owns the shard.
        owner: NodeId,
        /// What it should have reported.
        wanted: LogIndex,
    },
    /// The token was given by another group.
    #[error("the token belongs to another group")]
    ForeignToken,
    /// The state could not be read.
    #[error("read the state: {0}")]
    State(String),
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}
