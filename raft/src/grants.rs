//! The leader's half of the conversation: who reported what, and until when each may start attempts.
//!
//! Invariant: whoever this calls *over* has no lease, of this leader or of one before; so nothing is known about
//! anybody in the first moments of a leadership. Only as true as the leadership itself: confirm that where it counts.
//! And nobody is granted a lease while its shards are being given away: it would start on terms that others end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pushrail_model::ids::{LogIndex, NodeId};
use tokio::sync::watch;

use crate::config::{LEASE, LEASE_MARGIN};
use crate::status::MemberReport;

/// Reports and leases of one leadership after another.
pub(crate) struct Grants {
    leading: Mutex<Option<Leading>>,
    // Moves whenever a report came or a leadership began or ended.
    changes: watch::Sender<u64>,
    // How often giving shards away began or ended, in whatever term; moved under the lock.
    givings: AtomicU64,
}

struct Leading {
    term: u64,
    since: Instant,
    members: BTreeMap<NodeId, Granted>,
    // Whose shards are being given away.
    losing: BTreeSet<NodeId>,
}

/// How far giving away had come when a question was taken up: a grant is refused where it has moved since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken(u64);

/// What is known of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// What it said.
    pub report: MemberReport,
    /// When.
    pub at: Instant,
    /// When its lease is certainly over.
    pub over_at: Instant,
}

impl Grants {
    pub(crate) fn new() -> Self {
        Self {
            leading: Mutex::new(None),
            changes: watch::Sender::new(0),
            givings: AtomicU64::new(0),
        }
    }

    /// This node leads in `term`, since `now` at the latest.
    pub(crate) fn lead(&self, term: u64, now: Instant) {
        let mut leading = self.lock();
        if leading.as_ref().is_some_and(|present| present.term == term) {
            return;
        }
        *leading = Some(Leading {
            term,
            since: now,
            members: BTreeMap::new(),
            losing: BTreeSet::new(),
        });
        drop(leading);
        self.moved();
    }

    /// This node does not lead.
    pub(crate) fn resign(&self) {
        let led = self.lock().take().is_some();
        if led {
            self.moved();
        }
    }

    /// In which term it leads, and since when.
    pub(crate) fn leading(&self) -> Option<(u64, Instant)> {
        let leading = self.lock();
        leading.as_ref().map(|present| (present.term, present.since))
    }

    /// Takes a question up. Order: before the leadership is confirmed for it.
    pub(crate) fn take_up(&self) -> Taken {
        Taken(self.givings.load(Ordering::Acquire))
    }

    /// From now on none of these is granted a lease, until what is returned is dropped. `None`: one of them may hold
    /// a lease by now, or this node does not lead in `term` any more.
    ///
    /// Order: before their shards are given away, and until that is applied here: then a grant brings a commit index
    /// that holds it, and whoever comes back applies that first.
    pub(crate) fn give_away(
        self: &Arc<Self>,
        term: u64,
        owners: &BTreeSet<NodeId>,
        now: Instant,
    ) -> Option<GivingAway> {
        let mut leading = self.lock();
        let present = leading.as_mut().filter(|present| present.term == term)?;
        if !owners.iter().all(|owner| present.is_over(*owner, now)) {
            return None;
        }
        present.losing.clone_from(owners);
        self.givings.fetch_add(1, Ordering::AcqRel);
        Some(GivingAway {
            grants: Arc::clone(self),
            term,
        })
    }

    fn given_away(&self, term: u64) {
        let mut leading = self.lock();
        if let Some(present) = leading.as_mut().filter(|present| present.term == term) {
            present.losing.clear();
            self.givings.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Leading>> {
        self.leading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a report, and that a lease is granted for it. `false`: no lease may be granted, since the leadership of
    /// `term` is over, the report comes from a start of the node that has passed, or shards were being given away
    /// after the question was taken up.
    ///
    /// Order: noted before the answer leaves, else a lease could be running that nobody knows of.
    pub(crate) fn grant(
        &self,
        term: u64,
        node: NodeId,
        report: MemberReport,
        taken: Taken,
        now: Instant,
    ) -> bool {
        let mut leading = self.lock();
        let Some(present) = leading.as_mut().filter(|present| present.term == term) else {
            return false;
        };
        // Who holds a lease goes on: nothing of it is given away.
        let moved = self.givings.load(Ordering::Acquire) != taken.0;
        if present.losing.contains(&node) || (moved && present.is_over(node, now)) {
            return false;
        }
        let before = present.members.get(&node);
        if before.is_some_and(|before| before.report.boot > report.boot) {
            return false;
        }
        let over_at = now + LEASE + LEASE_MARGIN;
        present.members.insert(
            node,
            Granted {
                report,
                at: now,
                over_at,
            },
        );
        drop(leading);
        self.moved();
        true
    }

    /// Notes a report for which no lease is granted; what was granted before runs on.
    pub(crate) fn note(&self, term: u64, node: NodeId, report: MemberReport, now: Instant) {
        let mut leading = self.lock();
        let Some(present) = leading.as_mut().filter(|present| present.term == term) else {
            return;
        };
        // A lease of an earlier leader may still run.
        let earlier = present.since + LEASE + LEASE_MARGIN;
        let before = present.members.get(&node);
        if before.is_some_and(|before| before.report.boot > report.boot) {
            return;
        }
        let over_at = before.map_or(earlier, |before| before.over_at);
        present.members.insert(
            node,
            Granted {
                report,
                at: now,
                over_at,
            },
        );
        drop(leading);
        self.moved();
    }

    /// What is known of each member that reported.
    pub(crate) fn members(&self) -> BTreeMap<NodeId, Granted> {
        let leading = self.lock();
        leading
            .as_ref()
            .map(|present| present.members.clone())
            .unwrap_or_default()
    }

    /// Whether `node` certainly holds no lease: its last one is over, or it asked for none since leases of an
    /// earlier leader must have run out.
    pub(crate) fn is_over(&self, node: NodeId, now: Instant) -> bool {
        let leading = self.lock();
        leading.as_ref().is_some_and(|present| present.is_over(node, now))
    }

    /// Whether the leadership has lasted longer than any lease of an earlier leader.
    pub(crate) fn is_settled(&self, now: Instant) -> bool {
        self.leading()
            .is_some_and(|(_, since)| now >= since + LEASE + LEASE_MARGIN)
    }

    /// The fence that `node` last reported to this leader.
    pub(crate) fn fence(&self, node: NodeId) -> Option<LogIndex> {
        let leading = self.lock();
        leading
            .as_ref()
            .and_then(|present| present.members.get(&node))
            .map(|granted| granted.report.fence)
    }

    /// Tells when something here has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn moved(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Leading {
    fn is_over(&self, node: NodeId, now: Instant) -> bool {
        let over_at = self
            .members
            .get(&node)
            .map_or(self.since + LEASE + LEASE_MARGIN, |granted| granted.over_at);
        now >= over_at
    }
}

/// That shards of some nodes are being given away; it ends when this is dropped.
pub struct GivingAway {
    grants: Arc<Grants>,
    term: u64,
}

impl Drop for GivingAway {
    fn drop(&mut self) {
        self.grants.given_away(self.term);
    }
}

#[cfg(test)]
mod tests;
