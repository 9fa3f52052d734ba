//! What publishing needs of replication, and no more: so that a door can be tested over a state in memory, one that
//! lags behind its cluster included.

use std::time::Duration;

use pushrail_machine::store::Read;
use pushrail_model::command::Command;
use pushrail_model::ids::LogIndex;
use pushrail_raft::error::{ProposeError, ReadError};
use pushrail_raft::replica::{Proposed, Replica};
use pushrail_raft::view::{Freshness, View};

/// The replicated log, as a door meets it.
pub(crate) trait Log: Sync {
    /// One sight of this node's own state.
    type View: Read + Send;

    /// This node's present state.
    fn view(&self) -> Self::View;

    /// Has the cluster carry out a command.
    fn propose(&self, command: Command) -> impl Future<Output = Result<Proposed, ProposeError>> + Send;

    /// Waits until this node has applied `index`.
    fn await_applied(
        &self,
        index: LogIndex,
        within: Duration,
    ) -> impl Future<Output = Result<(), ReadError>> + Send;

    /// Waits until this node has applied all that was acknowledged before the call.
    fn catch_up(&self) -> impl Future<Output = Result<(), ReadError>> + Send;
}

impl Log for Replica {
    type View = View;

    fn view(&self) -> View {
        Self::view(self)
    }

    async fn propose(&self, command: Command) -> Result<Proposed, ProposeError> {
        // Boxed: the futures of replication are large, and the compiler would lay them out inside every caller.
        Box::pin(Self::propose(self, command)).await
    }

    async fn await_applied(&self, index: LogIndex, within: Duration) -> Result<(), ReadError> {
        Box::pin(Self::await_applied(self, index, within)).await
    }

    async fn catch_up(&self) -> Result<(), ReadError> {
        Box::pin(self.read(Freshness::Linearizable, |_| ()))
            .await
            .map(|_| ())
    }
}
