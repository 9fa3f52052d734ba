//! What this node could not do, as callers of the replica learn it.

use std::io;
use std::path::PathBuf;

use pushrail_machine::store::StoreError;
use pushrail_model::ids::{LogIndex, NodeId};

/// What to do about a data directory that does not hold any more what it must.
pub const RECOVERY: &str = "the other nodes hold what is missing: put this directory aside, start the node on an empty \
                            one, and where `pushrail cluster status` does not show it live within a minute, restart \
                            the leader: the next one fills it";

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
    /// The data directory does not hold what was written there.
    #[error("data directory {path}: {why}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is damaged and where, and what to do.
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

/// What keeps a node from going on, as whoever supervises it should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The disk refused to write, to sync or to read.
    Disk,
    /// Bytes on the disk are not what was written.
    Damage,
    /// Anything else.
    Other,
}

/// A node cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// What sort of thing it is.
    pub cause: Cause,
    /// What happened, with all its causes.
    pub why: String,
}

impl Failure {
    /// Neither the disk nor what lies on it.
    pub fn other(why: impl Into<String>) -> Self {
        Self {
            cause: Cause::Other,
            why: why.into(),
        }
    }

    /// The state's.
    pub(crate) fn of_store(error: &StoreError) -> Self {
        let cause = match error {
            StoreError::Io { source, .. } => Cause::of_io(source),
            StoreError::Damaged { .. } | StoreError::DamagedEntry { .. } => Cause::Damage,
            StoreError::UnknownRow { .. } | StoreError::UnknownCommand { .. } => Cause::Other,
        };
        Self {
            cause,
            why: in_full(error),
        }
    }
}

impl Cause {
    /// An error of a file.
    pub(crate) fn of_io(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::InvalidData {
            Self::Damage
        } else {
            Self::Disk
        }
    }
}

impl StartError {
    /// What sort of thing it is.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Damaged { .. } => Cause::Damage,
            Self::Directory { source, .. } | Self::Log(source) => Cause::of_io(source),
            Self::State(error) => Failure::of_store(error).cause,
            Self::Refused { .. } | Self::Listen { .. } | Self::Setting(_) | Self::Core(_) => Cause::Other,
        }
    }
}

/// An error and all its causes.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
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
    /// Some members are not there, or are not what they should be; nothing was formed.
    #[error("nothing was formed: {}", in_words(.0))]
    Unfit(Vec<Unfit>),
    /// The cluster was formed, but its first command had no answer yet: ask again.
    #[error("the cluster is formed, but its first command has no answer yet: {0}")]
    Unfinished(String),
    /// The node has stopped.
    #[error("the node has stopped: {0}")]
    Stopped(String),
}

/// A member that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {node} at {address} {why}")]
pub struct Unfit {
    /// Which was asked for.
    pub node: NodeId,
    /// Where it was asked.
    pub address: String,
    /// What it answered, and what helps.
    pub why: String,
}

fn in_words(unfit: &[Unfit]) -> String {
    let words: Vec<String> = unfit.iter().map(Unfit::to_string).collect();
    words.join("; ")
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
