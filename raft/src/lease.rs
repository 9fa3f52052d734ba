//! The node's half of the conversation that keeps nodes honest: asking the leader, and what may be done meanwhile.
//!
//! Invariant: a lease is counted from when the question was sent, by the counting clock, so it is never believed
//! longer than the leader believes it; and whoever comes back, after a start or a lapse, first applies what was
//! committed when it was let in again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pushrail_model::ids::{BootId, LogIndex};
use pushrail_model::time::{Span, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::ask::Questions;
use crate::clock::Clock;
use crate::config::{FORMAT, LEASE_INTERVAL};
use crate::own_state::OwnState;
use crate::status::{MemberReport, Work};
use crate::way::LeaderSeen;

/// Answers remembered, to tell how old a state is: some ten seconds.
const LEVELS: usize = 32;

/// What the leader answers to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The leader's term.
    pub term: u64,
    /// The state's time at the leader.
    pub state_time: Timestamp,
    /// What was committed.
    pub commit: LogIndex,
    /// How long the lease runs from when the question was sent.
    pub length: Duration,
}

/// Whether this node may start attempts, until when, and what time it is in the state. A glance: take a new one
/// before each decision.
#[derive(Clone)]
pub struct LeaseView {
    /// Until when attempts may be started, by the node's counting clock; `None`: none may be.
    pub valid_until: Option<Instant>,
    /// Rises whenever the store is replaced: what was built on an earlier one is void.
    pub store_generation: u64,
    announced: Option<(Timestamp, Instant)>,
    floor: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
}

impl LeaseView {
    /// Whether an attempt may be started now.
    pub fn is_held(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// How long attempts may still be started.
    pub fn remaining(&self) -> Duration {
        let now = self.clock.monotonic();
        self.valid_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// The state's time: as last announced, plus what this node has counted since. Never falls. Zero before the
    /// first announcement.
    pub fn state_now(&self) -> Timestamp {
        let counted = self.announced.map_or(0, |(time, at)| {
            let since = self.clock.monotonic().saturating_duration_since(at);
            time.plus(Span::from_duration(since)).0
        });
        let floor = self.floor.fetch_max(counted, Ordering::AcqRel);
        Timestamp(floor.max(counted))
    }
}

/// What the delivery loops last said; sent with every question.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reported {
    /// Nothing starts on terms older than this.
    pub fence: LogIndex,
    /// What is before them.
    pub work: Work,
    /// This node is about to stop.
    pub leaving: bool,
    /// And has nothing left to put on record.
    pub recorded: bool,
}

/// Keeps what the leader granted.
pub(crate) struct LeaseKeeper {
    clock: Arc<dyn Clock>,
    floor: Arc<AtomicU64>,
    held: Mutex<Held>,
    reported: Mutex<Reported>,
    // Something is to be told at once.
    urgent: Notify,
}

#[derive(Clone, Debug, Default)]
struct Held {
    valid_until: Option<Instant>,
    // The lease counts only once this has been applied.
    apply_first: LogIndex,
    announced: Option<(Timestamp, Instant)>,
    // What was committed when, as the last answers told.
    levels: VecDeque<(LogIndex, Instant)>,
}

impl LeaseKeeper {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            floor: Arc::new(AtomicU64::new(0)),
            held: Mutex::default(),
            reported: Mutex::default(),
            urgent: Notify::new(),
        }
    }

    /// Takes a grant for a question sent at `sent`.
    pub(crate) fn take(&self, grant: &Grant, sent: Instant) {
        let now = self.clock.monotonic();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // While no lease was held another node may have been given our shards: whatever was committed by now is
        // applied before anything starts again.
        if held.valid_until.is_none_or(|until| until <= now) {
            held.apply_first = held.apply_first.max(grant.commit);
        }
        let until = sent + grant.length;
        held.valid_until = Some(held.valid_until.map_or(until, |before| before.max(until)));
        // Counted from now, not from when it was sent: so never ahead of the leader, and nothing is due too early.
        held.announced = Some((grant.state_time, now));
        held.levels.push_back((grant.commit, sent));
        if held.levels.len() > LEVELS {
            held.levels.pop_front();
        }
    }

    /// A glance, for a node that has applied up to `applied`.
    pub(crate) fn view(&self, applied: LogIndex, store_generation: u64) -> LeaseView {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        LeaseView {
            valid_until: held.valid_until.filter(|_| applied >= held.apply_first),
            store_generation,
            announced: held.announced,
            floor: Arc::clone(&self.floor),
            clock: Arc::clone(&self.clock),
        }
    }

    /// How old a state that has applied up to `applied` may be at most, as far as the last answer tells.
    pub(crate) fn age(&self, applied: LogIndex) -> Option<Duration> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, at) = held.levels.iter().rfind(|(commit, _)| *commit <= applied)?;
        Some(self.clock.monotonic().saturating_duration_since(*at))
    }

    pub(crate) fn report_fence(&self, fence: LogIndex) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        reported.fence = reported.fence.max(fence);
    }

    pub(crate) fn report_work(&self, work: Work) {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).work = work;
    }

    pub(crate) fn leave(&self) {
        self.reported
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .leaving = true;
        self.urgent.notify_one();
    }

    pub(crate) fn recorded(&self) {
        self.reported
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recorded = true;
        self.urgent.notify_one();
    }

    pub(crate) fn reported(&self) -> Reported {
        *self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks whoever leads, again and again, until `stop` is called.
pub(crate) async fn keep_asking(
    questions: Arc<Questions>,
    keeper: Arc<LeaseKeeper>,
    state: OwnState,
    boot: BootId,
    clock: Arc<dyn Clock>,
    mut leader: watch::Receiver<Option<LeaderSeen>>,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(LEASE_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            // A new leader is asked at once.
            Ok(()) = leader.changed() => {}
            () = keeper.urgent.notified() => {}
            () = stop.cancelled() => return,
        }
        let reported = keeper.reported();
        let report = MemberReport {
            boot,
            applied: state.applied(),
            fence: reported.fence,
            clock: clock.wall(),
            format: FORMAT,
            work: reported.work,
            leaving: reported.leaving,
            recorded: reported.recorded,
        };
        // Order: the time is taken before the question leaves.
        let sent = clock.monotonic();
        let answer = tokio::select! {
            answer = questions.lease(report) => answer,
            // Whoever was asked leads no more.
            Ok(()) = leader.changed() => {
                tick.reset_immediately();
                continue;
            }
            () = stop.cancelled() => return,
        };
        match answer {
            Ok(grant) => keeper.take(&grant, sent),
            Err(error) => tracing::debug!(%error, "no lease was granted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;
    use crate::config::LEASE;

    fn keeper() -> (Arc<TestClock>, LeaseKeeper) {
        let clock = Arc::new(TestClock::new());
        let shared: Arc<dyn Clock> = Arc::<TestClock>::clone(&clock);
        (clock, LeaseKeeper::new(shared))
    }

    fn grant(commit: u64, state_time: Timestamp) -> Grant {
        Grant {
            term: 1,
            state_time,
            commit: LogIndex(commit),
            length: LEASE,
        }
    }

    #[test]
    fn a_lease_runs_from_when_the_question_was_sent() {
        let (clock, keeper) = keeper();
        let sent = clock.monotonic();
        clock.advance(Duration::from_millis(1500));

        keeper.take(&grant(0, Timestamp(1)), sent);

        let lease = keeper.view(LogIndex(0), 0);
        assert!(lease.is_held());
        clock.advance(Duration::from_millis(500));
        assert!(!lease.is_held(), "two seconds after the question it is over");
    }

    #[test]
    fn no_lease_counts_before_what_was_committed_is_applied() {
        let (clock, keeper) = keeper();

        keeper.take(&grant(10, Timestamp(1)), clock.monotonic());

        assert!(!keeper.view(LogIndex(9), 0).is_held());
        assert!(keeper.view(LogIndex(10), 0).is_held());
    }

    #[test]
    fn a_running_lease_does_not_wait_for_what_was_committed_meanwhile() {
        let (clock, keeper) = keeper();
        keeper.take(&grant(10, Timestamp(1)), clock.monotonic());

        keeper.take(&grant(20, Timestamp(2)), clock.monotonic());

        assert!(keeper.view(LogIndex(10), 0).is_held());
    }

    #[test]
    fn a_lapsed_lease_comes_back_only_with_the_present_state() {
        let (clock, keeper) = keeper();
        keeper.take(&grant(10, Timestamp(1)), clock.monotonic());
        clock.advance(LEASE);

        keeper.take(&grant(20, Timestamp(2)), clock.monotonic());

        assert!(!keeper.view(LogIndex(19), 0).is_held());
        assert!(keeper.view(LogIndex(20), 0).is_held());
    }

    #[test]
    fn a_state_is_as_old_as_the_last_answer_that_it_has_caught_up_with() {
        let (clock, keeper) = keeper();
        assert_eq!(keeper.age(LogIndex(9)), None);
        keeper.take(&grant(5, Timestamp(1)), clock.monotonic());
        clock.advance(Duration::from_secs(3));
        keeper.take(&grant(9, Timestamp(1)), clock.monotonic());

        assert!(keeper.age(LogIndex(8)).unwrap() >= Duration::from_secs(3));
        assert!(keeper.age(LogIndex(9)).unwrap() < Duration::from_secs(1));
        assert_eq!(keeper.age(LogIndex(4)), None, "nothing is known");
    }

    #[test]
    fn the_states_time_is_counted_on_and_never_falls() {
        let (clock, keeper) = keeper();
        let hour = Timestamp(Span::HOUR.0);
        keeper.take(&grant(0, hour), clock.monotonic());
        clock.advance(Duration::from_secs(60));
        let before = keeper.view(LogIndex(0), 0).state_now();
        assert!(before >= hour.plus(Span::from_secs(60)));

        // Another leader's time is behind.
        keeper.take(&grant(0, hour), clock.monotonic());

        assert!(keeper.view(LogIndex(0), 0).state_now() >= before);
    }
}
