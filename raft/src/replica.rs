//! The one handle through which the rest of the process speaks to replication. Cheap to clone.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use pushrail_machine::store::StoreError;
use pushrail_model::command::{Command, InitCluster};
use pushrail_model::ids::{BootId, LogIndex, NodeId};
use pushrail_model::response::{Rejection, Response};
use pushrail_model::shard::ShardId;
use pushrail_model::token::Token;
pub use pushrail_rocks::Properties;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::{PROPOSE_DEADLINE, ReplicaConfig};
use crate::error::{Failure, InitError, ProposeError, ReadError, StartError};
pub use crate::grants::GivingAway;
use crate::hints::HintStream;
use crate::lease::LeaseView;
use crate::membership;
use crate::start::Parts;
use crate::status::{ClusterStatus, Leadership, MemberView, Role, Status, Work};
use crate::types::NodeAddresses;
use crate::view::{Answered, Freshness, View};

/// How long a read may wait for the leader and for the state.
const READ_DEADLINE: Duration = Duration::from_secs(4);
/// How long a leader is looked for that can say how the cluster stands: an election, but no longer. Whoever asks wants to
/// see soon that there is none.
const STATUS_DEADLINE: Duration = Duration::from_millis(1_500);

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
    parts: Arc<Parts>,
}

impl Replica {
    /// Opens log and state, listens for peers, and takes its place in the cluster where it has one.
    pub async fn start(config: ReplicaConfig, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let parts = Parts::start(config, clock).await?;
        Ok(Self {
            parts: Arc::new(parts),
        })
    }

    /// Forms the cluster of these members, of whom this node is one; harmless where it stands already. Nothing is
    /// formed unless each of them answers at its address and agrees. Returns once this node's state carries the
    /// cluster's name, all within five seconds.
    pub async fn init(&self, members: BTreeMap<NodeId, NodeAddresses>) -> Result<(), InitError> {
        let deadline = Instant::now() + PROPOSE_DEADLINE;
        membership::check(&members)?;
        self.parts.founder.gather(&members).await?;
        membership::form(self.parts.state.raft(), &members).await?;
        let command = Command::InitCluster(InitCluster {
            cluster: rand::random(),
            hash_key: rand::random(),
        });
        let proposed = self
            .propose_by(command, deadline)
            .await
            .map_err(|error| InitError::Unfinished(error.to_string()))?;
        if !matches!(
            proposed.response,
            Response::Done | Response::Rejected(Rejection::AlreadyInitialised)
        ) {
            return Err(InitError::Unfinished(format!(
                "it was answered {:?}",
                proposed.response
            )));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        self.await_applied(proposed.index, left)
            .await
            .map_err(|error| InitError::Unfinished(error.to_string()))?;
        // From now on strangers are refused.
        self.parts.cluster();
        Ok(())
    }

    /// Has the cluster carry out a command, through whichever node leads. An answer comes within five seconds.
    ///
    /// A command larger than [`pushrail_model::limits::ENTRY_BYTES_MAX`] is refused.
    pub async fn propose(&self, command: Command) -> Result<Proposed, ProposeError> {
        self.propose_by(command, Instant::now() + PROPOSE_DEADLINE).await
    }

    /// As [`Replica::propose`], with an answer by `deadline`, where that comes earlier.
    pub async fn propose_by(&self, command: Command, deadline: Instant) -> Result<Proposed, ProposeError> {
        let deadline = deadline.min(Instant::now() + PROPOSE_DEADLINE);
        self.parts.door.propose(command, None, deadline).await
    }

    /// As [`Replica::propose`], but only while this node leads in `term`: a leader's decision dies with its term.
    pub async fn propose_leading(&self, term: u64, command: Command) -> Result<Proposed, ProposeError> {
        let deadline = Instant::now() + PROPOSE_DEADLINE;
        self.parts.door.propose(command, Some(term), deadline).await
    }

    /// Runs a query, on a thread that may block, over one view that is as fresh as asked.
    pub async fn read<T: Send + 'static>(
        &self,
        freshness: Freshness,
        query: impl FnOnce(&View) -> T + Send + 'static,
    ) -> Result<Answered<T>, ReadError> {
        self.read_by(freshness, Instant::now() + READ_DEADLINE, query)
            .await
    }

    /// As [`Replica::read`], waiting no longer than until `deadline`.
    pub async fn read_by<T: Send + 'static>(
        &self,
        freshness: Freshness,
        deadline: Instant,
        query: impl FnOnce(&View) -> T + Send + 'static,
    ) -> Result<Answered<T>, ReadError> {
        let begun = self.parts.clock.monotonic();
        let confirmed = self.catch_up(freshness, deadline).await?;
        let parts = Arc::clone(&self.parts);
        tokio::task::spawn_blocking(move || {
            let view = parts.state.view();
            let age = if confirmed {
                Some(parts.clock.monotonic().saturating_duration_since(begun))
            } else {
                parts.lease.age(view.applied())
            };
            Answered {
                value: query(&view),
                token: view.token(),
                age,
            }
        })
        .await
        .map_err(|error| ReadError::State(error.to_string()))
    }

    /// Waits until this node's state is as fresh as asked. `true`: the leader has confirmed it.
    async fn catch_up(&self, freshness: Freshness, deadline: Instant) -> Result<bool, ReadError> {
        match freshness {
            Freshness::Local => Ok(false),
            Freshness::AtLeast(token) if token.group != 0 => Err(ReadError::ForeignToken),
            Freshness::AtLeast(token) => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.await_applied(token.index, left).await?;
                Ok(false)
            }
            Freshness::Linearizable => {
                let (_, index) = self.parts.questions.read_index(deadline).await?;
                let left = deadline.saturating_duration_since(Instant::now());
                self.await_applied(index, left).await?;
                Ok(true)
            }
        }
    }

    /// This node's present state, at once.
    pub fn view(&self) -> View {
        self.parts.state.view()
    }

    /// Waits until this node has applied `index`.
    pub async fn await_applied(&self, index: LogIndex, within: Duration) -> Result<(), ReadError> {
        self.parts.state.await_applied(index, within).await
    }

    /// Whether this node may start attempts, and what time it is in the state.
    pub fn lease(&self) -> LeaseView {
        let state = &self.parts.state;
        self.parts.lease.view(state.applied(), state.generation())
    }

    /// Whether an attempt may be started that was decided upon a view of `index`. A lease that was let in again asks
    /// for what was committed by then, and it is the view that must hold it: this node may have applied more since.
    pub fn lease_at(&self, index: LogIndex) -> LeaseView {
        self.parts.lease.view(index, self.parts.state.generation())
    }

    /// The delivery loops say: from now on nothing starts on terms older than `index`. Until they first do, nobody
    /// who waits for a fence of this node is let go.
    pub fn report_fence(&self, index: LogIndex) {
        self.parts.lease.report_fence(index);
    }

    /// The delivery loops say what is before them.
    pub fn report_work(&self, work: Work) {
        self.parts.lease.report_work(work);
    }

    /// Waits until the owner of `shard` starts nothing on terms older than `index`, or may start nothing at all.
    pub async fn await_fence(
        &self,
        shard: ShardId,
        index: LogIndex,
        within: Duration,
    ) -> Result<(), ReadError> {
        self.parts
            .questions
            .await_fence(shard, index, Instant::now() + within)
            .await
    }

    /// Hints from now on.
    pub fn hints(&self) -> HintStream {
        self.parts.hints.listen()
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.parts.node
    }

    /// Its present start.
    pub fn boot(&self) -> BootId {
        self.parts.boot
    }

    /// What this node knows by itself.
    pub fn status(&self) -> Status {
        let core = self.parts.state.raft().metrics().borrow_watched().clone();
        let index = |id: Option<crate::types::LogId>| LogIndex(id.map_or(0, |id| id.index));
        let failed = self.parts.failed.borrow().clone().map(|failure| failure.why);
        Status {
            node: self.parts.node,
            boot: self.parts.boot,
            cluster: self.parts.cluster(),
            initialised: core.membership_config.nodes().next().is_some(),
            votes: self.parts.peers.votes(),
            role: if failed.is_some() {
                Role::Stopped
            } else {
                role(core.state)
            },
            term: core.current_term,
            leader: core.current_leader.map(NodeId),
            applied: self.parts.state.applied(),
            committed: index(core.local_committed),
            last_log: LogIndex(core.last_log_index.unwrap_or(0)),
            members: membership::members(self.parts.state.raft()),
            failed,
        }
    }

    /// The leader's view of the cluster, asked of it wherever it is.
    pub async fn cluster_status(&self) -> Result<ClusterStatus, ReadError> {
        self.parts
            .questions
            .cluster_status(Instant::now() + STATUS_DEADLINE)
            .await
    }

    /// Whom this node sees, if it leads. Decide upon it, then use [`Replica::propose_leading`].
    pub fn leadership(&self) -> Option<Leadership> {
        let (term, since) = self.parts.grants.leading()?;
        let now = self.parts.clock.monotonic();
        let known = self.parts.grants.members();
        let membership = membership::present(self.parts.state.raft());
        let voters: Vec<u64> = membership.voter_ids().collect();
        let members = membership.nodes().map(|(&id, _)| {
            let node = NodeId(id);
            let granted = known.get(&node);
            MemberView {
                node,
                voter: voters.contains(&id),
                last_seen: granted.map(|granted| granted.at),
                lease_over: self.parts.grants.is_over(node, now),
                report: granted.map(|granted| granted.report),
            }
        });
        Some(Leadership {
            term,
            since,
            settled: self.parts.grants.is_settled(now),
            members: members.collect(),
        })
    }

    /// Keeps these nodes, whose leases are over, from being granted new ones while their shards are given away in
    /// `term`, until what is returned is dropped; drop it when that is applied here. `None`: decide anew.
    pub fn give_away(&self, term: u64, owners: &BTreeSet<NodeId>) -> Option<GivingAway> {
        let now = self.parts.clock.monotonic();
        self.parts.grants.give_away(term, owners, now)
    }

    /// This node is about to stop: the leader, which learns it at once, has its shards moved to the others.
    pub fn leave(&self) {
        self.parts.lease.leave();
    }

    /// This node is about to stop, and all that its attempts brought back is on record.
    pub fn recorded(&self) {
        self.parts.lease.recorded();
    }

    /// Figures of the state's database, for metrics. Whoever samples them now and then has a replica that ends soon after a
    /// write in the background has failed, however little is applied meanwhile.
    pub fn store_properties(&self) -> Result<Properties, StoreError> {
        self.parts.state.properties()
    }

    /// Resolves when the replica cannot go on, with the reason: the process must end, non-zero. Never, where the
    /// replica is stopped in order.
    pub fn failed(&self) -> impl Future<Output = Failure> + Send + 'static {
        let mut failed = self.parts.failed.subscribe();
        async move {
            loop {
                if let Some(failure) = failed.borrow_and_update().clone() {
                    return failure;
                }
                if failed.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Stops in order: no more commands, peers are let go, the core ends, the state is flushed.
    pub async fn stop(self) {
        self.parts.stop().await;
    }
}

fn role(state: ServerState) -> Role {
    match state {
        ServerState::Leader => Role::Leader,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Learner => Role::Learner,
        ServerState::Shutdown => Role::Stopped,
    }
}
