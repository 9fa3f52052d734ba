//! What time it is in the state, as the leader says it: the one who stamps entries and answers leases asks here.
//!
//! A leader hears the members' wall clocks with their questions for leases. It says no time before those of a majority
//! were heard in its term and the state of its predecessors is applied, and none while its own clock and a majority's
//! differ beyond the bound. Every time is one of a term: an entry is stamped and proposed in that term or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pushrail_model::ids::NodeId;
use pushrail_model::time::{Span, Timestamp};
use tokio::sync::watch;

use crate::agreement::{Agreement, Clocks, Lead};
use crate::clock::Clock;
use crate::course::{self, Course};

/// A clock that was heard before this node led is believed for so long: its lead is as true as one heard since.
const HEARD_LATELY: Duration = Duration::from_secs(3);

/// The leader's sense of time; every node has one, which says nothing while that node does not lead.
pub(crate) struct Timekeeper {
    me: NodeId,
    clock: Arc<dyn Clock>,
    bound: Span,
    // What counting begins at.
    origin: Instant,
    kept: Mutex<Kept>,
    // Moves when something may have become sayable, or unsayable.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    term: Option<u64>,
    voters: BTreeSet<NodeId>,
    heard: BTreeMap<NodeId, Heard>,
    predecessors: Option<Predecessors>,
    course: Option<Course>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    lead: Lead,
    at: Instant,
}

/// What a new leader found.
#[derive(Clone, Copy, Debug)]
struct Predecessors {
    state: Timestamp,
    // How far the time that this node followed until now is ahead of its counting clock.
    followed: Option<Lead>,
}

/// Why there is no time to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoTime {
    /// This node does not lead, or not in the term asked for.
    NotLeading,
    /// It has just begun to lead.
    NotYet { why: String },
    /// Its clock and those of a majority differ too far.
    Apart { why: String },
}

impl std::fmt::Display for NoTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotLeading => f.write_str("the node does not lead"),
            Self::NotYet { why } | Self::Apart { why } => f.write_str(why),
        }
    }
}

/// The time of one term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) term: u64,
    pub(crate) time: Timestamp,
}

/// What the leader knows of the clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) term: u64,
    pub(crate) agreement: Agreement,
    /// How far each member's clock is ahead of the majority's median, in microseconds.
    pub(crate) ahead: BTreeMap<NodeId, i64>,
    /// Those that are further off than the bound.
    pub(crate) off: BTreeMap<NodeId, i64>,
    /// How far the state's time is ahead of the median, in microseconds.
    pub(crate) time_ahead: Option<i64>,
    /// Why nothing may be proposed, where the clocks are the reason.
    pub(crate) apart: Option<String>,
}

impl Timekeeper {
    pub(crate) fn new(me: NodeId, clock: Arc<dyn Clock>, bound: Duration) -> Self {
        Self {
            me,
            origin: clock.monotonic(),
            clock,
            bound: Span::from_duration(bound),
            kept: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// This node leads in `term`, with these voters.
    pub(crate) fn lead(&self, term: u64, voters: BTreeSet<NodeId>) {
        let now = self.clock.monotonic();
        let mut kept = self.lock();
        if kept.term != Some(term) {
            kept.heard
                .retain(|_, heard| now.saturating_duration_since(heard.at) < HEARD_LATELY);
            kept.predecessors = None;
            kept.course = None;
        }
        kept.term = Some(term);
        kept.voters = voters;
        drop(kept);
        self.moved();
    }

    /// This node does not lead.
    pub(crate) fn resign(&self) {
        let led = self.lock().term.take().is_some();
        if led {
            self.moved();
        }
    }

    /// `node` said that its wall clock shows `wall`; its words came at `at`.
    pub(crate) fn hear(&self, node: NodeId, wall: Timestamp, at: Instant) {
        let lead = lead(wall, self.counted(at));
        self.lock().heard.insert(node, Heard { lead, at });
        self.moved();
    }

    /// Whether [`Timekeeper::begin`] was called in this term.
    pub(crate) fn has_begun(&self, term: u64) -> bool {
        let kept = self.lock();
        kept.term == Some(term) && kept.predecessors.is_some()
    }

    /// All entries before `term` are applied: the state's clock shows `state`, and by the time that this node has
    /// followed until now it is `followed`.
    pub(crate) fn begin(&self, term: u64, state: Timestamp, followed: Option<Timestamp>) {
        let now = self.now();
        let mut kept = self.lock();
        if kept.term == Some(term) && kept.predecessors.is_none() {
            kept.predecessors = Some(Predecessors {
                state,
                followed: followed.map(|time| lead(time, now)),
            });
        }
        drop(kept);
        self.moved();
    }

    /// The state's time, if it can be said now; in `term`, if one is given.
    pub(crate) fn stamp(&self, term: Option<u64>) -> Result<Stamp, NoTime> {
        let now = self.now();
        let mut kept = self.lock();
        let leads_in = kept.term.ok_or(NoTime::NotLeading)?;
        if term.is_some_and(|term| term != leads_in) {
            return Err(NoTime::NotLeading);
        }
        let clocks = self.clocks(&kept, now);
        let median = match clocks.agreement() {
            Agreement::Agreed { median } => median,
            Agreement::Unheard { heard, needed } => {
                return Err(NoTime::NotYet {
                    why: format!("a new leader has heard {heard} of {needed} clocks that it needs"),
                });
            }
            Agreement::Apart { .. } => {
                return Err(NoTime::Apart { why: apart(&clocks) });
            }
        };
        let said = shown(median, now);
        let course = match (kept.course, kept.predecessors) {
            (Some(course), _) => course,
            (None, Some(found)) => self.begin_course(found, said, now),
            (None, None) => {
                return Err(NoTime::NotYet {
                    why: "a new leader has not applied what was before it".to_owned(),
                });
            }
        };
        let time = kept.course.insert(course).at(now, Some(said));
        Ok(Stamp { term: leads_in, time })
    }

    fn begin_course(&self, found: Predecessors, said: Timestamp, now: u64) -> Course {
        let followed = found.followed.map(|followed| shown(followed, now));
        let time = course::beginning(found.state, said, followed, self.bound);
        let apart = Span(time.0.abs_diff(said.0));
        if apart > self.bound {
            tracing::warn!(
                %apart,
                state_is_ahead = time > said,
                "the state's time and the clocks of a majority differ; it goes on without a jump"
            );
        }
        Course::begin(time, now)
    }

    /// As [`Timekeeper::stamp`], but a leader that has just begun is given a moment.
    pub(crate) async fn stamp_within(&self, term: Option<u64>, within: Duration) -> Result<Stamp, NoTime> {
        let deadline = tokio::time::Instant::now() + within;
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            match self.stamp(term) {
                Err(NoTime::NotYet { why }) => {
                    // The sender lives as long as this.
                    if tokio::time::timeout_at(deadline, changes.changed())
                        .await
                        .is_err()
                    {
                        return Err(NoTime::NotYet { why });
                    }
                }
                other => return other,
            }
        }
    }

    /// What is known of the clocks; `None` where this node does not lead.
    pub(crate) fn sight(&self) -> Option<Sight> {
        let now = self.now();
        let mut kept = self.lock();
        let term = kept.term?;
        let clocks = self.clocks(&kept, now);
        let agreement = clocks.agreement();
        let median = agreement.median();
        let ahead = |lead: Lead| median.map(|median| lead.saturating_sub(median));
        let time_ahead = match (&mut kept.course, median) {
            (Some(course), Some(median)) => {
                Some(lead(course.at(now, Some(shown(median, now))), now) - median)
            }
            _ => None,
        };
        Some(Sight {
            term,
            ahead: clocks
                .leads
                .iter()
                .filter_map(|(node, lead)| Some((*node, ahead(*lead)?)))
                .collect(),
            off: clocks.off(),
            time_ahead,
            apart: matches!(agreement, Agreement::Apart { .. }).then(|| apart(&clocks)),
            agreement,
        })
    }

    /// All clocks that are known, this node's own as it shows now.
    fn clocks(&self, kept: &Kept, now: u64) -> Clocks {
        let mut leads: BTreeMap<NodeId, Lead> = kept
            .heard
            .iter()
            .map(|(node, heard)| (*node, heard.lead))
            .collect();
        leads.insert(self.me, lead(self.clock.wall(), now));
        Clocks {
            leader: self.me,
            voters: kept.voters.clone(),
            leads,
            bound: self.bound.0,
        }
    }

    fn now(&self) -> u64 {
        self.counted(self.clock.monotonic())
    }

    fn counted(&self, at: Instant) -> u64 {
        Span::from_duration(at.saturating_duration_since(self.origin)).0
    }

    fn moved(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a time is ahead of the counting clock.
fn lead(time: Timestamp, counted: u64) -> Lead {
    let apart = i64::try_from(time.0.abs_diff(counted)).unwrap_or(i64::MAX);
    if time.0 >= counted { apart } else { -apart }
}

/// What a clock of this lead shows.
fn shown(lead: Lead, counted: u64) -> Timestamp {
    Timestamp(counted.saturating_add_signed(lead))
}

/// Whose clocks differ, and by how much.
fn apart(clocks: &Clocks) -> String {
    let median = clocks.agreement().median().unwrap_or_default();
    let told: Vec<String> = clocks
        .leads
        .iter()
        .map(|(node, lead)| format!("node {node} {}", signed(lead.saturating_sub(median))))
        .collect();
    format!(
        "the clocks of the nodes differ by more than {:?}, measured from their median: {}; set them right",
        Duration::from_micros(clocks.bound),
        told.join(", ")
    )
}

/// With its sign, to a millisecond.
pub(crate) fn signed(micros: i64) -> String {
    let length = Duration::from_millis(micros.unsigned_abs() / 1000);
    let sign = if micros < 0 { '-' } else { '+' };
    format!("{sign}{length:?}")
}

#[cfg(test)]
mod tests;
