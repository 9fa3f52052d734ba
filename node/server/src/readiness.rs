//! Whether this node is of use to callers, and if not, why. `http` tells supervisors, `services::health` tells gRPC's
//! clients; both look here, so that they never differ on what is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pushrail_model::ids::NodeId;
use pushrail_raft::lease::LeaseView;
use pushrail_raft::replica::Replica;
use pushrail_raft::status::Status;

/// Entries that a node may be behind and still be called caught up: what is in flight at full load.
const CAUGHT_UP_ENTRIES: u64 = 1000;

/// A node, as far as it is of use. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Readiness {
    replica: Replica,
    stopping: Arc<AtomicBool>,
}

impl Readiness {
    pub(crate) fn of(replica: Replica) -> Self {
        Self {
            replica,
            stopping: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Which node it is.
    pub(crate) fn node(&self) -> NodeId {
        self.replica.node()
    }

    /// From now on the node is of no use to new callers.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Why the process cannot go on.
    pub(crate) fn why_dead(&self) -> Option<String> {
        self.replica.status().failed
    }

    /// Why nobody should be sent here.
    pub(crate) fn why_closed(&self) -> Option<String> {
        let stopping = self.stopping.load(Ordering::Acquire);
        why_closed(stopping, &self.replica.status())
    }

    /// Why what needs the cluster cannot be done here. A leader that fell silent is not held against the node while its
    /// lease runs: an election takes less, and calls wait for it.
    pub(crate) fn why_apart(&self) -> Option<String> {
        let stopping = self.stopping.load(Ordering::Acquire);
        why_apart(stopping, &self.replica.status(), &self.replica.lease())
    }

    /// Why the node is not ready at this moment: it has no leader, or has not caught up.
    pub(crate) fn why_not_ready(&self) -> Option<String> {
        let status = self.replica.status();
        let stopping = self.stopping.load(Ordering::Acquire);
        why_apart(stopping, &status, &self.replica.lease()).or_else(|| {
            let without = status.leader.is_none();
            without.then(|| "there is no leader at this moment; the nodes are electing one".to_owned())
        })
    }
}

fn why_closed(stopping: bool, status: &Status) -> Option<String> {
    if let Some(why) = &status.failed {
        return Some(format!("the replica has failed: {why}; its log says more"));
    }
    stopping.then(|| "it is stopping".to_owned())
}

fn why_apart(stopping: bool, status: &Status, lease: &LeaseView) -> Option<String> {
    if let Some(why) = why_closed(stopping, status) {
        return Some(why);
    }
    if !status.initialised {
        return Some("it belongs to no cluster yet; run `pushrail cluster init` once".to_owned());
    }
    let lag = status.committed.0.saturating_sub(status.applied.0);
    if lag > CAUGHT_UP_ENTRIES {
        return Some(format!(
            "its state is {lag} entries behind, and it is catching up"
        ));
    }
    // A lease is only granted by a leader with a majority, and only counts once its state was applied here.
    if lease.is_held() {
        return None;
    }
    Some(match status.leader {
        None => {
            "there is no leader; a majority of the members must run and reach each other: `pushrail cluster \
                 status`"
                .to_owned()
        }
        Some(leader) if leader == status.node => {
            "it leads, and no majority has confirmed it; where the clocks are apart, `pushrail cluster status` says so"
                .to_owned()
        }
        Some(leader) => format!("node {leader}, which it takes for the leader, has not confirmed it"),
    })
}
