//! This node's own state as the rest of the crate sees it: views, and waiting until something is applied.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pushrail_machine::store::{KeyRange, Read, StoreError, Table, Visit};
use pushrail_model::ids::LogIndex;
use pushrail_rocks::Properties;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::error::{Failure, ReadError};
use crate::state::{Progress, State};
use crate::types::Raft;
use crate::view::View;

/// The state and the core that moves it.
#[derive(Clone)]
pub(crate) struct OwnState {
    raft: Raft,
    state: State,
}

impl OwnState {
    pub(crate) fn new(raft: Raft, state: State) -> Self {
        Self { raft, state }
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.raft
    }

    /// A view at the present index. One that cannot be made fails the node, and every read of it.
    pub(crate) fn view(&self) -> View {
        self.state.view().unwrap_or_else(|error| {
            let failure = Failure::of_store(&error);
            let why = failure.why.clone();
            self.state.fail(failure);
            View::new(Arc::new(Unreadable { why }), 0, LogIndex(0))
        })
    }

    /// How far this node has applied.
    pub(crate) fn applied(&self) -> LogIndex {
        let progress = *self.state.progress().borrow();
        LogIndex(progress.applied.map_or(0, |id| id.index))
    }

    /// Rises whenever the store is replaced.
    pub(crate) fn generation(&self) -> u64 {
        self.state.progress().borrow().generation
    }

    /// Why the state can no longer be trusted or written, once that is so.
    pub(crate) fn failure(&self) -> watch::Receiver<Option<Failure>> {
        self.state.failure()
    }

    /// How far this node has applied, and when it comes further.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.state.progress()
    }

    /// Brings all that was applied to disk.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        self.state.flush()
    }

    /// Figures of the database.
    pub(crate) fn properties(&self) -> Result<Properties, StoreError> {
        self.state.properties()
    }

    /// Waits until `index` is applied.
    pub(crate) async fn await_applied(&self, index: LogIndex, within: Duration) -> Result<(), ReadError> {
        let deadline = Instant::now() + within;
        let mut progress = self.state.progress();
        let reached = progress.wait_for(|progress| progress.applied.map_or(0, |id| id.index) >= index.0);
        match timeout_at(deadline, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ReadError::Stopped),
            Err(_) => Err(ReadError::Behind {
                applied: self.applied(),
                wanted: index,
            }),
        }
    }
}

/// Stands for a state that could not be looked at.
struct Unreadable {
    why: String,
}

impl Unreadable {
    fn error(&self) -> StoreError {
        StoreError::Io {
            what: "look at the state".to_owned(),
            source: std::io::Error::other(self.why.clone()),
        }
    }
}

impl Read for Unreadable {
    fn get(&self, _table: Table, _key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Err(self.error())
    }

    fn scan(&self, _table: Table, _range: KeyRange, _visit: &mut Visit<'_>) -> Result<(), StoreError> {
        Err(self.error())
    }
}
