//! What a leader answers to the members' questions. Invariant: nothing is answered on the strength of a leadership
//! that a majority has not confirmed after the question came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{LinearizableReadError, RaftError};
use pushrail_machine::query;
use pushrail_model::ids::{LogIndex, NodeId};
use pushrail_model::shard::{Ownership, ShardId};
use pushrail_model::time::Timestamp;
use tokio::time::{timeout, timeout_at};

use crate::clock::Clock;
use crate::config::LEASE;
use crate::error::ReadError;
use crate::grants::Grants;
use crate::lease::{Grant, LeaseKeeper};
use crate::own_state::OwnState;
use crate::status::{ClusterStatus, MemberReport, MemberStatus};
use crate::timekeeper::Timekeeper;

/// How long a majority may take to confirm the leader.
const CONFIRM: Duration = Duration::from_millis(1_200);
/// How often someone who waits for a fence looks whether a lease is over.
const LOOK: Duration = Duration::from_millis(50);

/// The leader's desk; every node has one, and turns callers away while it does not lead.
pub(crate) struct Desk {
    state: OwnState,
    grants: Arc<Grants>,
    time: Arc<Timekeeper>,
    // What this node itself was told, by the leader before.
    told: Arc<LeaseKeeper>,
    clock: Arc<dyn Clock>,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeskError {
    /// This node does not lead, or cannot show that it does.
    NotLeading {
        /// Why.
        why: String,
    },
    /// Something else went wrong here.
    Failed(ReadError),
}

impl From<ReadError> for DeskError {
    fn from(error: ReadError) -> Self {
        Self::Failed(error)
    }
}

impl DeskError {
    /// As the one who asked learns it.
    pub(crate) fn into_read_error(self) -> ReadError {
        match self {
            Self::NotLeading { why } => ReadError::NoLeader { why },
            Self::Failed(error) => error,
        }
    }
}

/// How a wait for a fence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fenced {
    /// Nothing starts on older terms any more.
    Yes,
    /// This owner has not said so in time.
    SilentOwner(NodeId),
}

impl Desk {
    pub(crate) fn new(
        state: OwnState,
        grants: Arc<Grants>,
        time: Arc<Timekeeper>,
        told: Arc<LeaseKeeper>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            state,
            grants,
            time,
            told,
            clock,
        }
    }

    /// The term of this leadership and the index that a read must have applied, once a majority has confirmed it.
    pub(crate) async fn confirm(&self) -> Result<(u64, LogIndex), DeskError> {
        let confirming = self.state.raft().get_read_linearizer(ReadPolicy::ReadIndex);
        let linearizer = match timeout(CONFIRM, confirming).await {
            Ok(Ok(linearizer)) => linearizer,
            Ok(Err(error)) => return Err(not_leading(error)),
            Err(_) => {
                return Err(DeskError::NotLeading {
                    why: "no majority confirmed the leader in time".to_owned(),
                });
            }
        };
        let id = linearizer.read_log_id().log_id();
        Ok((id.leader_id.term, LogIndex(id.index)))
    }

    /// Grants `node` a lease, if a majority confirms this leader now, and the clocks of a majority agree.
    ///
    /// Without a time nothing can be recorded, so nothing may be sent either.
    pub(crate) async fn lease(&self, node: NodeId, report: MemberReport) -> Result<Grant, DeskError> {
        // Order: heard before anything is waited for, which would make the clock look slow.
        self.time.hear(node, report.clock, self.clock.monotonic());
        let taken = self.grants.take_up();
        let (term, commit) = self.confirm().await?;
        self.begin_time(term, commit).await?;
        let state_time = match self.time.stamp_within(Some(term), CONFIRM).await {
            Ok(stamp) => stamp.time,
            Err(why) => {
                self.grants.note(term, node, report, self.clock.monotonic());
                return Err(DeskError::NotLeading { why: why.to_string() });
            }
        };
        if !self
            .grants
            .grant(term, node, report, taken, self.clock.monotonic())
        {
            return Err(DeskError::NotLeading {
                why: format!(
                    "the leadership of term {term} has just begun or ended, or the node's shards are being given away"
                ),
            });
        }
        Ok(Grant {
            term,
            state_time,
            commit,
            length: LEASE,
        })
    }

    /// Once a term: no time is said that lies before the state's, or before what the last leader said.
    async fn begin_time(&self, term: u64, commit: LogIndex) -> Result<(), DeskError> {
        if self.time.has_begun(term) {
            return Ok(());
        }
        self.state.await_applied(commit, CONFIRM).await?;
        let state_clock = query::clock(&self.state.view()).map_err(unreadable)?;
        let followed = self.told.view(self.state.applied(), self.state.generation());
        let followed = Some(followed.state_now()).filter(|time| *time > Timestamp::ZERO);
        self.time.begin(term, state_clock, followed);
        Ok(())
    }

    /// Waits until the owner of `shard` starts nothing on terms older than `index`, or may start nothing at all.
    pub(crate) async fn await_fence(
        &self,
        shard: ShardId,
        index: LogIndex,
        within: Duration,
    ) -> Result<Fenced, DeskError> {
        let deadline = tokio::time::Instant::now() + within;
        self.confirm().await?;
        self.state.await_applied(index, within).await?;
        let mut changes = self.grants.changes();
        let Some(first) = self.owner(shard)? else {
            return Ok(Fenced::Yes);
        };
        loop {
            // Whoever may start anything is asked, not the owner alone: a lease that was renewed while its shards
            // were being given away belongs to a node that still takes itself for their owner.
            if !self.may_start_before(index, first.owner).await? {
                return Ok(Fenced::Yes);
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(Fenced::SilentOwner(first.owner));
            }
            // Time alone may end a lease, so this looks again by itself; a closed channel only means the same.
            let look = (tokio::time::Instant::now() + LOOK).min(deadline);
            timeout_at(look, changes.changed()).await.ok();
        }
    }

    /// Whether the owner, or any node that holds a lease, may still start something on terms older than `index`.
    async fn may_start_before(&self, index: LogIndex, owner: NodeId) -> Result<bool, DeskError> {
        let mut nodes: BTreeSet<NodeId> = self.grants.members().into_keys().collect();
        nodes.insert(owner);
        for node in nodes {
            let fenced = self.grants.fence(node).is_some_and(|fence| fence >= index);
            if !fenced && !self.is_silenced(node).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether `node` certainly may start nothing. A majority must confirm that this node still leads: an earlier
    /// leader hears from nobody, and would believe every lease to be over.
    async fn is_silenced(&self, node: NodeId) -> Result<bool, DeskError> {
        // Order: the term, then the lease, then the confirmation. Where both terms are the same, nobody else led in
        // between who could have granted another lease.
        let led = self.grants.leading().map(|(term, _)| term);
        if !self.grants.is_over(node, self.clock.monotonic()) {
            return Ok(false);
        }
        let (term, _) = self.confirm().await?;
        Ok(led == Some(term))
    }

    fn owner(&self, shard: ShardId) -> Result<Option<Owned>, DeskError> {
        let ownership = query::assignment::of(&self.state.view(), shard).map_err(unreadable)?;
        Ok(ownership.map(|Ownership { owner, epoch, .. }| Owned {
            owner,
            epoch: epoch.0,
        }))
    }

    /// The leader's view of all members.
    pub(crate) async fn cluster_status(&self) -> Result<ClusterStatus, DeskError> {
        let (term, _) = self.confirm().await?;
        let now = self.clock.monotonic();
        let metrics = self.state.raft().metrics().borrow_watched().clone();
        let granted = self.grants.members();
        let voters: Vec<u64> = metrics.membership_config.voter_ids().collect();
        let replication = metrics.replication.unwrap_or_default();
        let last_log = LogIndex(metrics.last_log_index.unwrap_or(0));
        let clocks = self.time.sight();
        let members = metrics.membership_config.nodes().map(|(&id, addresses)| {
            let node = NodeId(id);
            let known = granted.get(&node);
            let matched = if id == metrics.id {
                Some(last_log)
            } else {
                replication
                    .get(&id)
                    .and_then(|matched| matched.map(|id| LogIndex(id.index)))
            };
            MemberStatus {
                node,
                addresses: addresses.clone(),
                voter: voters.contains(&id),
                report: known.map(|known| (known.report, age(now, known.at))),
                lease_over: self.grants.is_over(node, now),
                matched,
                clock_ahead: clocks
                    .as_ref()
                    .and_then(|clocks| clocks.ahead.get(&node).copied()),
            }
        });
        Ok(ClusterStatus {
            leader: NodeId(metrics.id),
            term,
            applied: self.state.applied(),
            committed: LogIndex(metrics.cluster_committed.map_or(0, |id| id.index)),
            last_log,
            members: members
                .map(|member| (member.node, member))
                .collect::<BTreeMap<_, _>>()
                .into_values()
                .collect(),
            time_ahead: clocks.as_ref().and_then(|clocks| clocks.time_ahead),
            clocks_apart: clocks.and_then(|clocks| clocks.apart),
        })
    }
}

/// An ownership; a shard that is only asked to move has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owned {
    owner: NodeId,
    epoch: u64,
}

fn age(now: Instant, earlier: Instant) -> Duration {
    now.saturating_duration_since(earlier)
}

fn unreadable(error: pushrail_machine::store::StoreError) -> DeskError {
    DeskError::Failed(ReadError::State(error.to_string()))
}

fn not_leading(
    error: RaftError<crate::types::TypeConfig, LinearizableReadError<crate::types::TypeConfig>>,
) -> DeskError {
    match error {
        RaftError::APIError(error) => DeskError::NotLeading {
            why: error.to_string(),
        },
        RaftError::Fatal(_) => DeskError::Failed(ReadError::Stopped),
    }
}
