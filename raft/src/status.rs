//! What a replica knows about itself and, on the leader, about the others.

use std::time::{Duration, Instant};

use pushrail_model::ids::{BootId, LogIndex, NodeId};
use pushrail_model::time::Timestamp;

use crate::types::NodeAddresses;

/// What this node knows by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// This node.
    pub node: NodeId,
    /// Its present start.
    pub boot: BootId,
    /// The cluster it belongs to, once that has a name.
    pub cluster: Option<u128>,
    /// Whether it belongs to a cluster at all.
    pub initialised: bool,
    /// Whether it takes part in elections: it founded its cluster, or has once been level with its leader.
    pub votes: bool,
    /// What it is there.
    pub role: Role,
    /// The present term.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// How far it has applied.
    pub applied: LogIndex,
    /// How far it knows entries to be committed.
    pub committed: LogIndex,
    /// The last entry of its log.
    pub last_log: LogIndex,
    /// All members and where they are reached.
    pub members: Vec<(NodeId, NodeAddresses)>,
    /// Why the consensus core stopped, if it did.
    pub failed: Option<String>,
}

/// What a node is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It orders the log.
    Leader,
    /// It follows, and votes.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It follows, and does not vote.
    Learner,
    /// It has stopped.
    Stopped,
}

/// The leader's view of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// Who leads.
    pub leader: NodeId,
    /// In which term.
    pub term: u64,
    /// How far the leader has applied.
    pub applied: LogIndex,
    /// What is committed.
    pub committed: LogIndex,
    /// The last entry of the leader's log.
    pub last_log: LogIndex,
    /// Every member, by id.
    pub members: Vec<MemberStatus>,
    /// How far the state's time is ahead of the median of a majority's clocks, in microseconds.
    pub time_ahead: Option<i64>,
    /// Why nothing is accepted, where the clocks are the reason: which nodes, and by how much.
    pub clocks_apart: Option<String>,
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Who.
    pub node: NodeId,
    /// Where it is reached.
    pub addresses: NodeAddresses,
    /// Whether it votes.
    pub voter: bool,
    /// What it last reported to this leader, and how long ago.
    pub report: Option<(MemberReport, Duration)>,
    /// Whether it may certainly start no attempt.
    pub lease_over: bool,
    /// What of the leader's log is on its disk, where the leader knows.
    pub matched: Option<LogIndex>,
    /// How far its wall clock is ahead of the median of a majority's, in microseconds, where it was heard.
    pub clock_ahead: Option<i64>,
}

/// What a member says of itself each time it asks for its lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberReport {
    /// Its present start.
    pub boot: BootId,
    /// How far it has applied.
    pub applied: LogIndex,
    /// Its delivery loops start nothing on terms older than this.
    pub fence: LogIndex,
    /// Its wall clock.
    pub clock: Timestamp,
    /// The newest format of the state that it reads.
    pub format: u32,
    /// What its delivery loops say.
    pub work: Work,
    /// It is about to stop: its shards are wanted elsewhere.
    pub leaving: bool,
    /// And all that its attempts brought back is on record.
    pub recorded: bool,
}

/// What the delivery loops of a node have before them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Deliveries scheduled in the shards it owns.
    pub depth: u64,
    /// How long its oldest due delivery has been due; zero where none is.
    pub oldest_due_age: Duration,
    /// Shards it owns, as it sees them.
    pub shards: u32,
}

/// That this node leads, and whom it sees: what the balancer decides upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The term; moves are proposed in it or not at all.
    pub term: u64,
    /// Since when.
    pub since: Instant,
    /// Whether it has led long enough: every lease that an earlier leader may have granted is over, or was
    /// granted anew by this one. Before that nothing may be moved.
    pub settled: bool,
    /// Every member, by id.
    pub members: Vec<MemberView>,
}

/// A member as the balancer needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Who.
    pub node: NodeId,
    /// Whether it votes.
    pub voter: bool,
    /// When it last reported to this leader.
    pub last_seen: Option<Instant>,
    /// Whether it may certainly start no attempt: its shards may be given away at once.
    pub lease_over: bool,
    /// What it last reported.
    pub report: Option<MemberReport>,
}
