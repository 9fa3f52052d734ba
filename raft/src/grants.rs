//! The leader's half of the conversation: who reported what, and until when each may start attempts.
//!
//! Invariant: whoever this calls *over* has no lease, of this leader or of one before; so nothing is known about
//! anybody in the first moments of a leadership. Only as true as the leadership itself: confirm that where it counts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
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
}

struct Leading {
    term: u64,
    since: Instant,
    members: BTreeMap<NodeId, Granted>,
}

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
        }
    }

    /// This node leads in `term`, since `now` at the latest.
    pub(crate) fn lead(&self, term: u64, now: Instant) {
        let mut leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
        if leading.as_ref().is_some_and(|present| present.term == term) {
            return;
        }
        *leading = Some(Leading {
            term,
            since: now,
            members: BTreeMap::new(),
        });
        drop(leading);
        self.moved();
    }

    /// This node does not lead.
    pub(crate) fn resign(&self) {
        let led = self
            .leading
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .is_some();
        if led {
            self.moved();
        }
    }

    /// In which term it leads, and since when.
    pub(crate) fn leading(&self) -> Option<(u64, Instant)> {
        let leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
        leading.as_ref().map(|present| (present.term, present.since))
    }

    /// Notes a report, and that a lease is granted for it. `false`: the leadership of `term` is over, or the report
    /// comes from a start of the node that has passed, and no lease may be granted.
    ///
    /// Order: noted before the answer leaves, else a lease could be running that nobody knows of.
    pub(crate) fn grant(&self, term: u64, node: NodeId, report: MemberReport, now: Instant) -> bool {
        let mut leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(present) = leading.as_mut().filter(|present| present.term == term) else {
            return false;
        };
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
        let mut leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
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
        let leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
        leading
            .as_ref()
            .map(|present| present.members.clone())
            .unwrap_or_default()
    }

    /// Whether `node` certainly holds no lease: its last one is over, or it asked for none since leases of an
    /// earlier leader must have run out.
    pub(crate) fn is_over(&self, node: NodeId, now: Instant) -> bool {
        let leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
        leading.as_ref().is_some_and(|present| {
            let over_at = present
                .members
                .get(&node)
                .map_or(present.since + LEASE + LEASE_MARGIN, |granted| granted.over_at);
            now >= over_at
        })
    }

    /// Whether the leadership has lasted longer than any lease of an earlier leader.
    pub(crate) fn is_settled(&self, now: Instant) -> bool {
        self.leading()
            .is_some_and(|(_, since)| now >= since + LEASE + LEASE_MARGIN)
    }

    /// The fence that `node` last reported to this leader.
    pub(crate) fn fence(&self, node: NodeId) -> Option<LogIndex> {
        let leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pushrail_model::ids::BootId;

    use super::*;

    fn report(boot: u64, fence: u64) -> MemberReport {
        MemberReport {
            boot: BootId(boot),
            fence: LogIndex(fence),
            ..MemberReport::default()
        }
    }

    #[test]
    fn a_new_leader_knows_nobodys_lease_to_be_over_until_all_earlier_ones_must_be() {
        let grants = Grants::new();
        let start = Instant::now();
        grants.lead(3, start);

        assert!(!grants.is_over(NodeId(2), start + LEASE));
        assert!(!grants.is_settled(start + LEASE));
        assert!(grants.is_over(NodeId(2), start + LEASE + LEASE_MARGIN));
        assert!(grants.is_settled(start + LEASE + LEASE_MARGIN));
    }

    #[test]
    fn a_lease_is_over_a_margin_after_it_was_granted_for_the_last_time() {
        let grants = Grants::new();
        let start = Instant::now();
        grants.lead(3, start);
        let later = start + Duration::from_secs(60);

        assert!(grants.grant(3, NodeId(2), report(1, 7), later));

        assert!(!grants.is_over(NodeId(2), later + LEASE));
        assert!(grants.is_over(NodeId(2), later + LEASE + LEASE_MARGIN));
        assert_eq!(grants.fence(NodeId(2)), Some(LogIndex(7)));
    }

    #[test]
    fn nothing_is_granted_in_a_term_that_has_passed_or_to_a_start_that_has() {
        let grants = Grants::new();
        let start = Instant::now();
        grants.lead(3, start);
        grants.grant(3, NodeId(2), report(5, 0), start);

        assert!(
            !grants.grant(3, NodeId(2), report(4, 0), start),
            "an earlier start"
        );
        assert!(
            !grants.grant(2, NodeId(2), report(5, 0), start),
            "an earlier term"
        );
        grants.resign();
        assert!(!grants.grant(3, NodeId(2), report(5, 0), start), "no leader");
        assert!(!grants.is_over(NodeId(2), start + Duration::from_secs(60)));
    }

    #[test]
    fn a_report_without_a_lease_is_known_and_makes_no_lease_longer() {
        let grants = Grants::new();
        let start = Instant::now();
        grants.lead(3, start);
        grants.grant(3, NodeId(2), report(5, 7), start);
        let later = start + LEASE;

        grants.note(3, NodeId(2), report(5, 8), later);
        grants.note(3, NodeId(3), report(1, 0), later);

        assert_eq!(grants.fence(NodeId(2)), Some(LogIndex(8)));
        for node in [2, 3] {
            assert!(!grants.is_over(NodeId(node), start + LEASE));
            assert!(grants.is_over(NodeId(node), start + LEASE + LEASE_MARGIN));
        }
    }

    #[test]
    fn another_term_begins_with_an_empty_table() {
        let grants = Grants::new();
        let start = Instant::now();
        grants.lead(3, start);
        grants.grant(3, NodeId(2), report(5, 9), start);

        grants.lead(4, start);

        assert_eq!(grants.fence(NodeId(2)), None);
    }
}
