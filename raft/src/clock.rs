//! The clocks of a node. What they say together, and what time it is in the state, is decided elsewhere: see
//! `agreement`, `course` and `timekeeper`.

use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// The machine's clocks, moved at will: hours of waiting pass in no time, and wall clocks go wrong.
///
/// Time goes on by itself between moves, so that leases and timers keep working.
#[derive(Debug, Default)]
pub struct TestClock {
    ahead: Mutex<Ahead>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    // In microseconds; below zero: it was turned back.
    wall: i64,
    monotonic: Duration,
}

impl TestClock {
    /// A clock that shows the machine's time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `by` pass, on the wall and by the counting clock.
    pub fn advance(&self, by: Duration) {
        let mut ahead = self.lock();
        ahead.wall = ahead.wall.saturating_add(micros(by));
        ahead.monotonic += by;
    }

    /// Sets the wall clock forward alone, as an operator or a time server might.
    pub fn jump_wall(&self, by: Duration) {
        let mut ahead = self.lock();
        ahead.wall = ahead.wall.saturating_add(micros(by));
    }

    /// Turns the wall clock back alone.
    pub fn turn_wall_back(&self, by: Duration) {
        let mut ahead = self.lock();
        ahead.wall = ahead.wall.saturating_sub(micros(by));
    }

    fn lock(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

impl Clock for TestClock {
    fn wall(&self) -> Timestamp {
        let ahead = self.lock().wall;
        Timestamp(SystemClock.wall().0.saturating_add_signed(ahead))
    }

    fn monotonic(&self) -> Instant {
        let ahead = self.lock().monotonic;
        SystemClock.monotonic() + ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_is_moved_alone_or_together_with_the_counting_one() {
        let clock = TestClock::new();
        let (wall, counted) = (clock.wall(), clock.monotonic());

        clock.advance(Duration::from_secs(3600));
        clock.turn_wall_back(Duration::from_secs(7200));

        assert!(clock.wall() <= wall.minus(Span::from_secs(3590)));
        assert!(clock.monotonic() - counted >= Duration::from_secs(3600));
        clock.jump_wall(Duration::from_secs(7200));
        assert!(clock.wall() >= wall.plus(Span::HOUR));
    }
}
