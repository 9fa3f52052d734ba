//! What a replica is told at its start, and what follows from it for the consensus core.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::SnapshotPolicy;
use pushrail_model::ids::NodeId;

use crate::error::StartError;
use crate::types::NodeAddresses;

/// How long a lease runs from when it was asked for.
pub const LEASE: Duration = Duration::from_secs(2);
/// What the leader adds to a lease before it believes it to be over: clocks may count at different speeds.
pub const LEASE_MARGIN: Duration = Duration::from_millis(200);
/// How often a node asks for its lease.
pub const LEASE_INTERVAL: Duration = Duration::from_millis(300);
/// How long a command may wait for its answer before it is said to have none.
pub const PROPOSE_DEADLINE: Duration = Duration::from_millis(4_800);
/// How far the wall clocks of members may differ, where nothing else is said.
pub const CLOCK_BOUND: Duration = Duration::from_secs(10);
/// The formats of the state that this version reads: all up to this one.
pub const FORMAT: u32 = 1;

/// All that a replica is told.
#[derive(Clone)]
pub struct ReplicaConfig {
    /// Who this is; never changes and is never given again.
    pub node: NodeId,
    /// Where log and state lie.
    pub data_dir: PathBuf,
    /// Where peers are awaited.
    pub peer_listen: SocketAddr,
    /// Where others reach this node.
    pub advertise: NodeAddresses,
    /// The paces of the consensus core.
    pub timings: Timings,
    /// How far the wall clocks of members may differ: beyond it, a leader whose clock a majority does not share
    /// proposes nothing.
    pub clock_bound: Duration,
    /// How the state is read through in the background, to find damage that nobody met.
    pub scrub: ScrubPolicy,
    /// Which peers may be spoken to: all, but in tests of faults.
    pub filter: Arc<dyn PeerFilter>,
}

impl ReplicaConfig {
    /// With the usual timings.
    pub fn new(node: NodeId, data_dir: PathBuf, peer_listen: SocketAddr, advertise: NodeAddresses) -> Self {
        Self {
            node,
            data_dir,
            peer_listen,
            advertise,
            timings: Timings::default(),
            clock_bound: CLOCK_BOUND,
            scrub: ScrubPolicy::default(),
            filter: Arc::new(OpenFilter),
        }
    }
}

/// How the state is read through in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrubPolicy {
    /// Not at all.
    Never,
    /// So many bytes a second, again and again.
    Paced {
        /// Bytes a second.
        bytes_per_second: u64,
    },
}

impl Default for ScrubPolicy {
    /// Gentle: a gigabyte takes a quarter of an hour, and a disk hardly notices.
    fn default() -> Self {
        Self::Paced {
            bytes_per_second: 1024 * 1024,
        }
    }
}

/// The paces of the consensus core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// How often a leader lets its followers hear from it.
    pub heartbeat: Duration,
    /// A follower that hears nothing waits at least so long before it asks for votes.
    pub election_min: Duration,
    /// And less than so long.
    pub election_max: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(500),
            election_max: Duration::from_millis(900),
        }
    }
}

/// Says which node may speak to which; the tests cut nodes off with it.
pub trait PeerFilter: Send + Sync + 'static {
    /// Whether a message from one node may reach the other.
    fn allows(&self, from: NodeId, to: NodeId) -> bool;
}

/// Everybody speaks to everybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenFilter;

impl PeerFilter for OpenFilter {
    fn allows(&self, _from: NodeId, _to: NodeId) -> bool {
        true
    }
}

/// Cuts chosen nodes off from all others, for tests of faults. One is shared by all nodes of a test.
#[derive(Debug, Default)]
pub struct CutFilter {
    cut_off: Mutex<BTreeSet<NodeId>>,
}

impl CutFilter {
    /// Nothing from or to `node` passes any more.
    pub fn cut(&self, node: NodeId) {
        self.cut_off
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node);
    }

    /// `node` is reached again.
    pub fn heal(&self, node: NodeId) {
        self.cut_off
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&node);
    }
}

impl PeerFilter for CutFilter {
    fn allows(&self, from: NodeId, to: NodeId) -> bool {
        let cut_off = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner);
        !cut_off.contains(&from) && !cut_off.contains(&to)
    }
}

/// The consensus core's own configuration.
pub(crate) fn core_config(timings: &Timings) -> Result<openraft::Config, StartError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    openraft::Config {
        cluster_name: "pushrail".to_owned(),
        heartbeat_interval: millis(timings.heartbeat),
        // A follower that acknowledged entries just now needs no heartbeat beside them.
        heartbeat_min_interval: Some(millis(timings.heartbeat) / 2),
        election_timeout_min: millis(timings.election_min),
        election_timeout_max: millis(timings.election_max),
        // A node that comes back does not depose a healthy leader.
        enable_pre_vote: Some(true),
        // A leader that was restarted may have an older state: it must be elected again.
        enable_leader_restore: Some(false),
        allow_log_reversion: Some(false),
        // Where a leader lost its majority but still reaches some, these must get a chance to elect another.
        quorum_loss_probe_interval: Some(millis(timings.election_max) * 4),
        // The log is never purged yet, so no snapshot is needed.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        install_snapshot_timeout: 600_000,
        // Bytes bound a message before this does (`limited_get_log_entries`).
        max_payload_entries: 512,
        api_batch_capacity: 4096,
        api_batch_linger_ms: 0,
        // Soon again: a node that comes back is wanted in the majority.
        backoff: "50ms 100ms 200ms ..500ms".to_owned(),
        ..openraft::Config::default()
    }
    .validate()
    .map_err(|error| StartError::Setting(format!("raft timings: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_timings_satisfy_the_core() {
        assert!(core_config(&Timings::default()).is_ok());
    }

    #[test]
    fn a_node_that_is_cut_off_neither_speaks_nor_is_spoken_to() {
        let filter = CutFilter::default();
        filter.cut(NodeId(1));

        assert!(!filter.allows(NodeId(1), NodeId(2)));
        assert!(!filter.allows(NodeId(2), NodeId(1)));
        assert!(filter.allows(NodeId(2), NodeId(3)));
    }
}
