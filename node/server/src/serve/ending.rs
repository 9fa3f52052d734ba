//! Takes a node down in order, and waits, in bounds, for others that end at the same time.

use std::time::{Duration, Instant};

use pushrail_raft::config::LEASE;
use pushrail_raft::replica::Replica;
use pushrail_raft::status::MemberStatus;
use tokio::time::{sleep, timeout};
use tracing::info;

use crate::delivery::Others;
use crate::serve::Running;

/// For requests of callers under way when the node stops: longer than any answer takes.
const REQUESTS_LIMIT: Duration = Duration::from_secs(6);
/// For how long at most a node that has nothing left to record helps others that stop at the same time.
const STAND_BY: Duration = Duration::from_secs(5);
/// Without a majority for so long, beyond the lease that was held before, nothing is recorded any more: an election, and
/// as much again.
const APART: Duration = Duration::from_secs(3);
/// Between two looks at that.
const LOOK: Duration = Duration::from_millis(100);
/// For the last questions of operators.
const HTTP_LIMIT: Duration = Duration::from_secs(1);

impl Running {
    /// Stops in order: no new callers, the shards with others, no new attempts, what came back on record, the state on
    /// disk.
    pub async fn stop(self) {
        let (limit, began) = (self.config.shutdown.limit, Instant::now());
        info!(node = %self.config.node_id, ?limit, "node stops");
        self.readiness.stop();
        self.following.abort();
        self.services.stopping().await;
        self.replica.leave();
        let others = if self.replica.status().members.len() > 1 {
            Others::Some
        } else {
            Others::None
        };
        // Order: what callers have under way and what attempts brought back still needs the replica.
        tokio::join!(
            self.callers.stop(REQUESTS_LIMIT.min(limit)),
            self.delivery.stop(limit, others, apart(self.replica.clone()))
        );
        if others == Others::Some {
            stand_by(&self.replica, STAND_BY.min(limit.saturating_sub(began.elapsed()))).await;
        }
        self.balancer.abort();
        self.upkeep.abort();
        self.housekeeping.abort();
        self.dead_letters.abort();
        self.replica.stop().await;
        self.operators.stop(HTTP_LIMIT).await;
        info!(node = %self.config.node_id, "node stopped");
    }
}

/// Stays, as a voter, while other nodes that stop, too, still put on record what came back: without this one they might
/// have no majority for it.
async fn stand_by(replica: &Replica, limit: Duration) {
    replica.recorded();
    let others_record = async {
        // Where no leader answers, there is no majority to be part of.
        while let Ok(status) = replica.cluster_status().await {
            let records = |member: &MemberStatus| {
                let report = member.report.filter(|(_, ago)| *ago < LEASE);
                report.is_some_and(|(report, _)| report.leaving && !report.recorded)
            };
            let me = replica.node();
            if !status
                .members
                .iter()
                .any(|member| member.node != me && records(member))
            {
                return;
            }
            sleep(LOOK).await;
        }
    };
    // What is over is over: the others have their own limits.
    timeout(limit, others_record).await.ok();
}

/// Resolves once this node has been without a majority for so long that waiting for one is in vain.
async fn apart(replica: Replica) {
    let mut since = Instant::now();
    while since.elapsed() < APART {
        sleep(LOOK).await;
        if replica.lease().is_held() {
            since = Instant::now();
        }
    }
}
