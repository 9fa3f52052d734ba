//! The clocks of a node, and the time that a leader stamps on entries.
//!
//! Deciding what time it is in the state has one seam, `Stamper`: today the leader's own wall clock made
//! monotonic. Invariant: a stamper's time never falls and never stands still for long.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pushrail_model::time::{Span, Timestamp};

/// What time it is, on the wall and since whenever.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock; may jump either way.
    fn wall(&self) -> Timestamp;

    /// A clock that only counts; leases are measured by it.
    fn monotonic(&self) -> Instant;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(Span::from_duration(since).0)
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// The machine's clocks, moved forward at will: hours of waiting pass in no time.
///
/// Time goes on by itself between moves, so that leases and timers keep working.
#[derive(Debug, Default)]
pub struct TestClock {
    ahead: Mutex<Ahead>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    wall: Duration,
    monotonic: Duration,
}

impl TestClock {
    /// A clock that shows the machine's time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `by` pass, on the wall and by the counting clock.
    pub fn advance(&self, by: Duration) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.wall += by;
        ahead.monotonic += by;
    }

    /// Sets the wall clock forward alone, as an operator or a time server might.
    pub fn jump_wall(&self, by: Duration) {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).wall += by;
    }

    fn ahead(&self) -> Ahead {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TestClock {
    fn wall(&self) -> Timestamp {
        SystemClock.wall().plus(Span::from_duration(self.ahead().wall))
    }

    fn monotonic(&self) -> Instant {
        SystemClock.monotonic() + self.ahead().monotonic
    }
}

/// The state's time as a leader counts it.
#[derive(Debug, Default)]
pub(crate) struct Stamper {
    last: Mutex<Option<(Timestamp, Instant)>>,
}

impl Stamper {
    /// The state's time now.
    ///
    /// It follows the wall clock. Where it is ahead of that (the state was, or the wall clock fell back) it goes on
    /// at half speed until the wall clock has caught up: retries must not freeze.
    pub(crate) fn now(&self, clock: &dyn Clock) -> Timestamp {
        let (wall, monotonic) = (clock.wall(), clock.monotonic());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let time = match *last {
            None => wall,
            Some((time, at)) => {
                let slowly = time.plus(Span::from_duration(monotonic.saturating_duration_since(at) / 2));
                wall.max(slowly)
            }
        };
        *last = Some((time, monotonic));
        time
    }

    /// Begins at the state's clock where that is ahead: what was stamped before is never undercut.
    pub(crate) fn raise(&self, state: Timestamp, clock: &dyn Clock) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = last.is_none_or(|(time, _)| time < state);
        if behind {
            *last = Some((state, clock.monotonic()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_follows_the_wall_clock() {
        let clock = TestClock::new();
        let stamper = Stamper::default();
        let first = stamper.now(&clock);

        clock.advance(Duration::from_secs(3600));

        assert!(stamper.now(&clock) >= first.plus(Span::HOUR));
    }

    #[test]
    fn a_stamp_behind_the_state_goes_on_at_half_speed() {
        let clock = TestClock::new();
        let stamper = Stamper::default();
        let state = clock.wall().plus(Span::DAY);
        stamper.raise(state, &clock);

        clock.advance(Duration::from_secs(3600));
        let later = stamper.now(&clock);

        assert!(later >= state.plus(Span::from_secs(1800)), "it does not stop");
        assert!(later < state.plus(Span::from_secs(1860)), "it does not run ahead");
    }

    #[test]
    fn a_stamp_never_falls() {
        let clock = TestClock::new();
        let stamper = Stamper::default();
        let state = clock.wall().plus(Span::DAY);
        stamper.raise(state, &clock);
        let first = stamper.now(&clock);

        stamper.raise(Timestamp::ZERO, &clock);

        assert!(stamper.now(&clock) >= first);
    }
}
