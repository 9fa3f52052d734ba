//! The one handle through which the rest of the process speaks to replication. Cheap to clone.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pushrail_model::command::Command;
use pushrail_model::ids::{LogIndex, NodeId};
use pushrail_model::response::Response;
use pushrail_model::shard::ShardId;
use pushrail_model::token::Token;

use crate::clock::Clock;
use crate::config::ReplicaConfig;
use crate::error::{InitError, ProposeError, ReadError, StartError};
use crate::hints::{HintSender, HintStream};
use crate::lease::{LeaseKeeper, LeaseView};
use crate::status::{ClusterStatus, Leadership, Status, Work};
use crate::types::NodeAddresses;
use crate::view::{Answered, Freshness, View};

/// What the state answered to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The answer.
    pub response: Response,
    /// The entry that brought it about; an earlier one where the command was a repeat.
    pub index: LogIndex,
    /// A receipt: whoever reads at least this sees what the command did.
    pub token: Token,
}

/// This node's part of the cluster.
#[derive(Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

struct Inner {
    hints: HintSender,
    lease: LeaseKeeper,
    view: View,
    status: Status,
}

impl Replica {
    /// Opens log and state, listens for peers, and takes its place in the cluster where it has one.
    pub async fn start(config: ReplicaConfig, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        drop((config, clock));
        Err(StartError::Core("the core is not wired in yet".to_owned()))
    }

    /// Forms the cluster of these members, of whom this node is one; harmless where it stands already. Returns once
    /// the state carries the cluster's name.
    pub async fn init(&self, members: BTreeMap<NodeId, NodeAddresses>) -> Result<(), InitError> {
        drop(members);
        Err(InitError::AlreadyInitialised)
    }

    /// Has the cluster carry out a command; through whichever node leads. An answer comes within five seconds.
    pub async fn propose(&self, command: Command) -> Result<Proposed, ProposeError> {
        drop(command);
        Err(ProposeError::NotAccepted {
            why: "not wired in yet".to_owned(),
        })
    }

    /// As [`Replica::propose`], but only while this node leads in `term`: a leader's decision dies with its term.
    pub async fn propose_leading(&self, term: u64, command: Command) -> Result<Proposed, ProposeError> {
        drop((term, command));
        Err(ProposeError::NotAccepted {
            why: "not wired in yet".to_owned(),
        })
    }

    /// Runs a query, on a thread that may block, over one view that is as fresh as asked.
    pub async fn read<T: Send + 'static>(
        &self,
        freshness: Freshness,
        query: impl FnOnce(&View) -> T + Send + 'static,
    ) -> Result<Answered<T>, ReadError> {
        let _ = freshness;
        let view = self.view();
        Ok(Answered {
            token: view.token(),
            value: query(&view),
            age: None,
        })
    }

    /// This node's present state, at once.
    pub fn view(&self) -> View {
        self.inner.view.clone()
    }

    /// Waits until this node has applied `index`.
    pub async fn await_applied(&self, index: LogIndex, within: Duration) -> Result<(), ReadError> {
        let _ = (index, within);
        Err(ReadError::Stopped)
    }

    /// Whether this node may start attempts, and what time it is in the state.
    pub fn lease(&self) -> LeaseView {
        self.inner.lease.view(self.view().applied(), 0)
    }

    /// The delivery loops say: from now on nothing starts on terms older than `index`. Until they first do, nobody
    /// waiting for a fence of this node is let go.
    pub fn report_fence(&self, index: LogIndex) {
        self.inner.lease.report_fence(index);
    }

    /// The delivery loops say what is before them.
    pub fn report_work(&self, work: Work) {
        self.inner.lease.report_work(work);
    }

    /// Waits until the owner of `shard` starts nothing on terms older than `index`, or may start nothing at all.
    pub async fn await_fence(
        &self,
        shard: ShardId,
        index: LogIndex,
        within: Duration,
    ) -> Result<(), ReadError> {
        let _ = (shard, index, within);
        Err(ReadError::Stopped)
    }

    /// Hints from now on.
    pub fn hints(&self) -> HintStream {
        self.inner.hints.listen()
    }

    /// What this node knows by itself.
    pub fn status(&self) -> Status {
        self.inner.status.clone()
    }

    /// The leader's view of the cluster, asked of it wherever it is.
    pub async fn cluster_status(&self) -> Result<ClusterStatus, ReadError> {
        Err(ReadError::Stopped)
    }

    /// Whom this node sees, if it leads.
    pub fn leadership(&self) -> Option<Leadership> {
        None
    }

    /// Resolves when the consensus core has failed, with the reason: the process must end, non-zero.
    pub fn failed(&self) -> impl Future<Output = String> + Send + 'static {
        std::future::pending()
    }

    /// Stops in order: no more commands, peers are let go, the core ends, the state is flushed.
    pub async fn stop(self) {}
}
