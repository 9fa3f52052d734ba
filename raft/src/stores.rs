//! Log and state of one node, opened together in its data directory.

use std::io;
use std::path::Path;

use pushrail_machine::store::StoreError;
use pushrail_model::ids::NodeId;
use pushrail_rocks::RocksOptions;

use crate::config::ScrubPolicy;
use crate::error::{Cause, Failure, RECOVERY, StartError, in_full};
use crate::hints::HintSender;
use crate::local::DataDir;
use crate::log_check::{LogDamage, LogError};
use crate::log_store::{LogOptions, LogStore};
use crate::persist::FlushPolicy;
use crate::seal::SealsError;
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
    pub(crate) fn open(
        root: &Path,
        node: NodeId,
        scrub: ScrubPolicy,
        hints: HintSender,
    ) -> Result<Self, StartError> {
        Self::open_with(root, node, scrub, hints, |_| {})
    }

    /// As [`Stores::open`], with another log: tests want one of many small files.
    fn open_with(
        root: &Path,
        node: NodeId,
        scrub: ScrubPolicy,
        hints: HintSender,
        change: impl FnOnce(&mut LogOptions),
    ) -> Result<Self, StartError> {
        let mut dir = DataDir::open(root, node)?;
        let mut log = LogOptions::new(node, dir.log(), dir.watermark(), dir.seals());
        change(&mut log);
        let log = LogStore::open(log).map_err(|error| refused(root, error))?;
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
            scrub,
        };
        let (machine, state) = StateMachine::open(options, hints).map_err(|error| unusable(root, error))?;
        rewind(root, &log, &state)?;
        dir.complete()?;
        Ok(Self {
            dir,
            log,
            machine,
            state,
        })
    }
}

/// A state may have come to disk ahead of this node's log: what the others had on theirs was committed and applied
/// here before our own log was flushed. The core takes such a log for one that was purged, and would cut it off; so
/// the state begins anew, and is made again from the log, which is whole.
fn rewind(root: &Path, log: &LogStore, state: &State) -> Result<(), StartError> {
    let applied = state.progress().borrow().applied;
    let last = log.last();
    // By term, too: a longer tail of an older term, which was never committed, does not hold what was applied.
    if applied <= last {
        return Ok(());
    }
    if let Some(purged) = log.purged() {
        let why = format!("the state is ahead of the log, and the log begins only after {purged}");
        return Err(StartError::Log(io::Error::new(io::ErrorKind::InvalidData, why)));
    }
    tracing::warn!(
        applied = applied.map(|id| id.index),
        last_log = last.map(|id| id.index),
        "the state was flushed ahead of the log, and is made again from it"
    );
    state.begin_anew().map_err(|error| unusable(root, error))
}

/// A log that has lost something makes the node a stranger to what it has promised: it may not come back as itself.
fn refused(root: &Path, error: LogError) -> StartError {
    let damaged = match &error {
        LogError::Io { source, .. } => source.kind() == io::ErrorKind::InvalidData,
        LogError::Damage(LogDamage::Io { .. }) | LogError::Seals(SealsError::Io { .. }) => false,
        LogError::Watermark(_) | LogError::Seals(_) | LogError::Damage(_) | LogError::Lost { .. } => true,
    };
    if !damaged {
        return StartError::Log(io::Error::other(error));
    }
    damaged_directory(root, &error)
}

/// A state that cannot be read is no better; what is not damaged may be cured without losing the directory.
fn unusable(root: &Path, error: StoreError) -> StartError {
    match Failure::of_store(&error).cause {
        Cause::Damage => damaged_directory(root, &error),
        Cause::Disk | Cause::Other => StartError::State(error),
    }
}

/// The core met `failure` in log or state while it started.
pub(crate) fn not_started(root: &Path, failure: Failure) -> StartError {
    match failure.cause {
        Cause::Damage => damaged_directory(root, &failure),
        Cause::Disk => StartError::Log(io::Error::other(failure)),
        Cause::Other => StartError::Core(failure.why),
    }
}

fn damaged_directory(root: &Path, error: &dyn std::error::Error) -> StartError {
    StartError::Damaged {
        path: root.to_path_buf(),
        why: format!("{}; {RECOVERY}", in_full(error)),
    }
}

#[cfg(test)]
mod damage;
#[cfg(test)]
mod tests;
