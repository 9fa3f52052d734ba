//! On the leader: shows how far the members' clocks are apart, warns, and has a leader with a wrong clock step aside.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use pushrail_model::ids::NodeId;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::agreement::Agreement;
use crate::metrics;
use crate::timekeeper::{Sight, Timekeeper, signed};
use crate::types::Raft;

/// How often the clocks are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// An heir that has not taken over by then is asked again, or another is.
const AGAIN: Duration = Duration::from_secs(2);

/// The watch of one node.
pub(crate) struct ClockWatch {
    me: NodeId,
    raft: Raft,
    time: Arc<Timekeeper>,
    stop: CancellationToken,
    // Whose clocks had a figure, and whose were off, at the last look.
    shown: BTreeSet<NodeId>,
    off: BTreeSet<NodeId>,
    // In which term this node began to step aside, and when it last asked an heir.
    leaving: Option<(u64, Instant)>,
    // Whether it was said that nothing is accepted and nobody could do better.
    stuck: bool,
}

impl ClockWatch {
    pub(crate) fn new(me: NodeId, raft: Raft, time: Arc<Timekeeper>, stop: CancellationToken) -> Self {
        Self {
            me,
            raft,
            time,
            stop,
            shown: BTreeSet::new(),
            off: BTreeSet::new(),
            leaving: None,
            stuck: false,
        }
    }

    /// Watches until it is stopped.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.stop.cancelled() => return,
            }
            let sight = self.time.sight();
            self.show(sight.as_ref());
            let Some(sight) = sight else {
                self.leaving = None;
                self.stuck = false;
                self.off.clear();
                continue;
            };
            self.warn(&sight);
            self.step_aside(&sight).await;
        }
    }

    fn show(&mut self, sight: Option<&Sight>) {
        let known = sight.map(|sight| sight.ahead.clone()).unwrap_or_default();
        for node in &self.shown {
            if !known.contains_key(node) {
                offset(*node, 0);
            }
        }
        for (node, ahead) in &known {
            offset(*node, *ahead);
        }
        self.shown = known.into_keys().collect();
        let time_ahead = sight.and_then(|sight| sight.time_ahead).unwrap_or(0);
        ::metrics::gauge!(metrics::STATE_TIME_OFFSET_SECONDS).set(seconds(time_ahead));
        let apart = sight.is_some_and(|sight| sight.apart.is_some());
        ::metrics::gauge!(metrics::CLOCKS_APART).set(if apart { 1.0 } else { 0.0 });
    }

    /// Says once that a clock is off, and once that it is right again.
    fn warn(&mut self, sight: &Sight) {
        for (node, ahead) in &sight.off {
            if self.off.insert(*node) {
                tracing::warn!(%node, ahead = signed(*ahead), "a clock differs from those of a majority; set it right");
            }
        }
        let right: Vec<NodeId> = self
            .off
            .iter()
            .copied()
            .filter(|node| !sight.off.contains_key(node))
            .collect();
        for node in right {
            self.off.remove(&node);
            tracing::info!(%node, "a clock agrees with those of a majority again");
        }
        let stuck = matches!(&sight.agreement, Agreement::Apart { heirs, .. } if heirs.is_empty());
        if stuck && !self.stuck {
            let why = sight.apart.as_deref().unwrap_or_default();
            tracing::error!(why, "nothing is accepted until the clocks are set right");
        }
        self.stuck = stuck;
    }

    /// A leader whose clock a majority does not share gives way to the furthest of those whose it does.
    ///
    /// Once begun it is gone through with: the core proposes nothing more, whatever the clocks do.
    async fn step_aside(&mut self, sight: &Sight) {
        let begun = self.leaving.filter(|(term, _)| *term == sight.term);
        let heirs = match (&sight.agreement, begun) {
            (_, Some((_, asked))) if asked.elapsed() < AGAIN => return,
            (Agreement::Apart { heirs, .. }, _) => heirs.clone(),
            (_, Some(_)) => sight
                .ahead
                .keys()
                .copied()
                .filter(|node| *node != self.me)
                .collect(),
            (_, None) => return,
        };
        let Some(heir) = self.furthest(&heirs) else {
            return;
        };
        if begun.is_none() {
            let why = sight.apart.as_deref().unwrap_or_default();
            tracing::warn!(node = %self.me, %heir, why, "this leader steps aside");
        }
        self.leaving = Some((sight.term, Instant::now()));
        // The core has ended where it does not take this; others notice that.
        self.raft.trigger().transfer_leader(heir.0).await.ok();
    }

    fn furthest(&self, heirs: &BTreeSet<NodeId>) -> Option<NodeId> {
        let core = self.raft.metrics().borrow_watched().clone();
        let matched = core.replication.unwrap_or_default();
        let heirs = heirs.iter().filter(|heir| **heir != self.me);
        heirs
            .copied()
            .max_by_key(|heir| matched.get(&heir.0).copied().flatten())
    }
}

fn offset(node: NodeId, micros: i64) {
    ::metrics::gauge!(metrics::CLOCK_OFFSET_SECONDS, "node" => node.to_string()).set(seconds(micros));
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a figure on a dashboard may be rounded"
)]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}
