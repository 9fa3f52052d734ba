//! Log and state of one node, opened together in its data directory.

use std::io;
use std::path::Path;

use pushrail_model::ids::NodeId;
use pushrail_rocks::RocksOptions;

use crate::error::StartError;
use crate::hints::HintSender;
use crate::local::DataDir;
use crate::log_store::{LogError, LogOptions, LogStore};
use crate::persist::FlushPolicy;
use crate::state::{Standing, State};
use crate::state_machine::{StateMachine, StateOptions};

/// What lies in a node's data directory.
pub(crate) struct Stores {
    /// Whose it is, and the lock on it: keep it as long as the rest.
    pub(crate) dir: DataDir,
    /// For the core.
    pub(crate) log: LogStore,
    /// For the core.
    pub(crate) machine: StateMachine,
    /// For everybody else.
    pub(crate) state: State,
}

impl Stores {
    /// Opens the data directory `root` of `node`, making it where there is none.
    pub(crate) fn open(root: &Path, node: NodeId, hints: HintSender) -> Result<Self, StartError> {
        let mut dir = DataDir::open(root, node)?;
        let log = LogStore::open(LogOptions::new(dir.log(), dir.watermark()))
            .map_err(|error| refused(root, error))?;
        let options = StateOptions {
            dir: dir.state(),
            standing: if dir.is_fresh() {
                Standing::Fresh
            } else {
                Standing::Made
            },
            snapshots: dir.snapshots(),
            rocks: RocksOptions::default(),
            flush: FlushPolicy::default(),
        };
        let (machine, state) = StateMachine::open(options, hints)?;
        dir.complete()?;
        Ok(Self {
            dir,
            log,
            machine,
            state,
        })
    }
}

/// A log that has lost something makes the node a stranger to what it has promised: it may not come back as itself.
fn refused(root: &Path, error: LogError) -> StartError {
    let damaged = match &error {
        LogError::Io { source, .. } => source.kind() == io::ErrorKind::InvalidData,
        LogError::Watermark(_) | LogError::Lost { .. } => true,
    };
    if !damaged {
        return StartError::Log(io::Error::other(error));
    }
    StartError::Refused {
        path: root.to_path_buf(),
        why: format!(
            "{}. The other nodes hold what is missing: remove this directory and let this machine join under a \
             new node id",
            in_full(&error)
        ),
    }
}

fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
