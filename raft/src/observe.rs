//! Watches the core: who leads, whether it still runs, and the figures that operators see.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::{RaftMetrics, RaftServerMetrics};
use pushrail_machine::query;
use pushrail_model::ids::NodeId;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::{Failure, StartError};
use crate::grants::Grants;
use crate::lease::LeaseKeeper;
use crate::local::DataDir;
use crate::log_store::LogStore;
use crate::metrics;
use crate::own_state::OwnState;
use crate::peers::Peers;
use crate::timekeeper::Timekeeper;
use crate::types::TypeConfig;
use crate::way::LeaderSeen;

/// How often figures are taken and the core's pulse is felt.
const SAMPLE: Duration = Duration::from_millis(200);

/// What a watcher looks at and tells.
#[derive(Clone)]
pub(crate) struct Watcher {
    pub(crate) state: OwnState,
    pub(crate) log: LogStore,
    pub(crate) grants: Arc<Grants>,
    pub(crate) time: Arc<Timekeeper>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) dir: Arc<Mutex<Option<DataDir>>>,
    pub(crate) failed: watch::Sender<Option<Failure>>,
    pub(crate) stop: CancellationToken,
}

impl Watcher {
    /// Follows who leads, until the core ends.
    pub(crate) async fn leadership(self, seen: watch::Sender<Option<LeaderSeen>>) {
        let mut server = self.state.raft().server_metrics();
        loop {
            let present = server.borrow_watched().clone();
            if present.state == ServerState::Leader {
                self.grants
                    .lead(present.vote.leader_id.term, self.clock.monotonic());
                let voters = present.membership_config.voter_ids().map(NodeId);
                self.time.lead(present.vote.leader_id.term, voters.collect());
            } else {
                self.grants.resign();
                self.time.resign();
            }
            let leader = leader_of(&present);
            seen.send_if_modified(|before| {
            let moved = *before != leader;
            if moved {
                if leader.is_some() {
                    ::metrics::counter!(metrics::RAFT_LEADER_CHANGES_TOTAL).increment(1);
                }
                tracing::info!(leader = ?leader.as_ref().map(|leader| leader.node.0), term = present.vote.leader_id.term, "the leader has changed");
                before.clone_from(&leader);
            }
            moved
        });
            if server.changed().await.is_err() {
                self.grants.resign();
                self.time.resign();
                self.fail(Failure::other("the consensus core has ended"));
                return;
            }
        }
    }

    /// The first reason stays; but where the log or the state has one, that is the reason whatever the core says.
    fn fail(&self, failure: Failure) {
        if self.stop.is_cancelled() {
            return;
        }
        let deeper = self.log.failure().borrow().clone();
        let deeper = deeper.or_else(|| self.state.failure().borrow().clone());
        let failure = deeper.unwrap_or(failure);
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            failed.get_or_insert(failure);
            first
        });
    }

    /// Takes figures, notes the cluster's name once the state knows it, and tells when the core has failed.
    pub(crate) async fn pulse(self) {
        let mut tick = tokio::time::interval(SAMPLE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failure = self.state.failure();
        let mut log_failure = self.log.failure();
        let mut progress = self.state.progress();
        let mut named = false;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                Ok(()) = failure.changed() => {}
                Ok(()) = log_failure.changed() => {}
                // Its name is among the first that a cluster's log tells.
                Ok(()) = progress.changed(), if !named => {}
                () = self.stop.cancelled() => return,
            }
            let core = self.state.raft().metrics().borrow_watched().clone();
            let known = log_failure.borrow_and_update().clone();
            if let Some(failure) = known.or_else(|| failure.borrow_and_update().clone()) {
                self.fail(failure);
                return;
            }
            if let Err(fatal) = &core.running_state {
                self.fail(Failure::other(fatal.to_string()));
                return;
            }
            if let Some(why) = self.peers.outrun() {
                self.fail(Failure::other(why.to_owned()));
                return;
            }
            if let Some(why) = self.misplaced(&core) {
                self.fail(Failure::other(why));
                return;
            }
            match self.join() {
                Ok(joined) => named = joined,
                Err(why) => {
                    self.fail(Failure::other(why));
                    return;
                }
            }
            self.take_figures(&core);
        }
    }

    /// Why this node can never be part of its cluster: another one runs at all addresses of the others.
    fn misplaced(&self, core: &RaftMetrics<TypeConfig>) -> Option<String> {
        let members = core.membership_config.membership().nodes();
        let others: Vec<NodeId> = members
            .map(|(node, _)| NodeId(*node))
            .filter(|node| *node != self.peers.me())
            .collect();
        let theirs = self.peers.stranger_to(&others)?;
        let ours = self.peers.cluster().unwrap_or_default();
        Some(format!(
            "the data directory is of cluster {ours:032x}, and at the addresses of all its other nodes runs cluster \
             {theirs:032x}: start this node on its own directory, or with the addresses of its own cluster"
        ))
    }

    /// Notes the cluster's name once the state knows it, and that this node votes once it has been level with the
    /// leader. `true`: the name is on disk.
    fn join(&self) -> Result<bool, String> {
        let mut dir = self.dir.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(dir) = dir.as_mut() else { return Ok(true) };
        let text = |error: StartError| error.to_string();
        if dir.cluster().is_none() {
            let row = query::cluster(&self.state.view()).map_err(|error| error.to_string())?;
            let Some(row) = row else { return Ok(false) };
            dir.join(row.cluster).map_err(text)?;
            self.peers.name_cluster(row.cluster);
        }
        // A lease counts once this node has applied what was committed when the leader let it in.
        let lease = self.lease.view(self.state.applied(), self.state.generation());
        if !dir.votes() && lease.valid_until.is_some() {
            dir.enfranchise().map_err(text)?;
            self.peers.enfranchise();
            tracing::info!("this node has caught up, and votes from now on");
        }
        Ok(true)
    }

    fn take_figures(&self, core: &RaftMetrics<TypeConfig>) {
        let applied = self.state.applied();
        let committed = core.local_committed.map_or(0, |id| id.index);
        gauge(
            metrics::RAFT_IS_LEADER,
            u64::from(core.state == ServerState::Leader),
        );
        gauge(metrics::RAFT_TERM, core.current_term);
        gauge(
            metrics::RAFT_APPLIED_LAG_ENTRIES,
            committed.saturating_sub(applied.0),
        );
        gauge(metrics::RAFT_LOG_BYTES, self.log.bytes());
        let remaining = self.lease.view(applied, self.state.generation()).remaining();
        ::metrics::gauge!(metrics::LEASE_REMAINING_SECONDS).set(remaining.as_secs_f64());
    }
}

fn leader_of(server: &RaftServerMetrics<TypeConfig>) -> Option<LeaderSeen> {
    let node = server.current_leader?;
    let addresses = server.membership_config.get_node(&node)?;
    Some(LeaderSeen {
        node: NodeId(node),
        peer: addresses.peer.clone(),
        term: server.vote.leader_id.term,
    })
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a figure on a dashboard may be rounded"
)]
fn gauge(name: &'static str, value: u64) {
    ::metrics::gauge!(name).set(value as f64);
}
