//! The state's time as a leader counts it, from its election on. Pure: times come as numbers.
//!
//! Invariant: it never falls, never jumps, and never stands still. It goes on by the counting clock, a little faster
//! where the clocks of a majority are ahead of it, and slower where they are behind; it never passes them by that.

use pushrail_model::time::{Span, Timestamp};

/// Where a majority's clocks are ahead, a thousandth is added: a window of a day ends 86 s early at most.
const GAIN: u64 = 1000;
/// Where they are behind, a tenth is left out: retries come a little later, but they come.
const LOSS: u64 = 10;
/// The count is begun anew this often, so that fractions of a microsecond are not lost between two looks.
const STRETCH: Span = Span::from_millis(100);

/// A count under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Course {
    from: Timestamp,
    // By the counting clock, in microseconds.
    since: u64,
    last: Timestamp,
}

impl Course {
    /// Begins at `time`, when the counting clock shows `now`.
    pub(crate) fn begin(time: Timestamp, now: u64) -> Self {
        Self {
            from: time,
            since: now,
            last: time,
        }
    }

    /// The time when the counting clock shows `now`; the clocks of a majority show `clocks`, where that is known.
    pub(crate) fn at(&mut self, now: u64, clocks: Option<Timestamp>) -> Timestamp {
        let passed = now.saturating_sub(self.since);
        let straight = self.from.plus(Span(passed));
        let time = match clocks {
            Some(clocks) if clocks > straight => clocks.min(straight.plus(Span(passed / GAIN))),
            Some(clocks) if clocks < straight => clocks.max(straight.minus(Span(passed / LOSS))),
            Some(_) | None => straight,
        };
        self.last = self.last.max(time);
        if passed >= STRETCH.0 {
            self.from = self.last;
            self.since = now;
        }
        self.last
    }
}

/// Where a new leader begins.
///
/// At the later of the state's clock and the clocks of a majority; but who has followed the time of the leader before
/// goes on from there, and takes the clocks' word for `bound` at most. A majority of clocks that were set wrong while
/// the cluster ran expires nothing at the next election either.
pub(crate) fn beginning(
    state: Timestamp,
    clocks: Timestamp,
    followed: Option<Timestamp>,
    bound: Span,
) -> Timestamp {
    let by_clocks = match followed {
        Some(followed) if clocks > followed.plus(bound) => followed,
        Some(followed) => clocks.max(followed),
        None => clocks,
    };
    by_clocks.max(state)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUND: Span = Span::from_secs(10);
    const YEAR: Span = Span::from_secs(365 * 86_400);

    fn noon() -> Timestamp {
        Timestamp(Span::DAY.0 * 20_000)
    }

    #[test]
    fn a_new_leader_takes_the_later_of_the_states_clock_and_the_majoritys() {
        assert_eq!(
            beginning(noon(), noon().plus(YEAR), None, BOUND),
            noon().plus(YEAR)
        );
        assert_eq!(
            beginning(noon().plus(YEAR), noon(), None, BOUND),
            noon().plus(YEAR)
        );
    }

    #[test]
    fn who_has_followed_the_time_goes_on_from_there() {
        let followed = noon().plus(Span::HOUR);

        let a_little_later = followed.plus(Span::from_secs(3));
        assert_eq!(
            beginning(noon(), a_little_later, Some(followed), BOUND),
            a_little_later
        );
        for clocks in [
            noon(),
            noon().minus(YEAR),
            followed.plus(Span::HOUR),
            noon().plus(YEAR),
        ] {
            assert_eq!(beginning(noon(), clocks, Some(followed), BOUND), followed);
        }
    }

    #[test]
    fn a_day_is_a_day_while_the_clocks_agree() {
        let mut course = Course::begin(noon(), 0);

        for second in 0..=86_400_u64 {
            let now = second * 1_000_000;
            course.at(now, Some(noon().plus(Span(now))));
        }

        assert_eq!(course.at(Span::DAY.0, None), noon().plus(Span::DAY));
    }

    #[test]
    fn clocks_a_year_ahead_shorten_a_day_by_a_minute_and_a_half() {
        let mut course = Course::begin(noon(), 0);
        for look in 0..=864_000_u64 {
            let now = look * 100_000;
            course.at(now, Some(noon().plus(YEAR).plus(Span(now))));
        }

        let after = course.at(Span::DAY.0, Some(noon().plus(YEAR).plus(Span::DAY)));

        assert!(after >= noon().plus(Span::DAY).plus(Span::from_secs(86)));
        assert!(after <= noon().plus(Span::DAY).plus(Span::from_secs(87)));
    }

    #[test]
    fn a_state_a_year_ahead_goes_on_a_little_slower() {
        let mut course = Course::begin(noon().plus(YEAR), 0);

        let after = course.at(Span::HOUR.0, Some(noon().plus(Span::HOUR)));

        assert_eq!(after, noon().plus(YEAR).plus(Span::from_secs(3240)));
    }

    proptest! {
        /// However the clocks of the majority are set meanwhile, and however often one looks.
        #[test]
        fn it_never_falls_never_stands_and_never_jumps(
            steps in prop::collection::vec((1_u64..5_000_000, any::<i32>()), 1..200),
        ) {
            let mut course = Course::begin(noon(), 7);
            let (mut now, mut last) = (7, noon());
            for (step, set) in steps {
                now += step;
                let clocks = Timestamp(noon().0.saturating_add_signed(i64::from(set) * 10_000));
                let time = course.at(now, Some(clocks));
                prop_assert!(time >= last, "it never falls");
                last = time;
            }
            let (passed, counted) = (now - 7, last.since(noon()).0);
            // What one stretch gained at most may stand out over the next.
            prop_assert!(counted <= passed + passed / GAIN + STRETCH.0 / GAIN, "{counted} of {passed}");
            prop_assert!(counted + STRETCH.0 >= passed - passed / LOSS, "{counted} of {passed}");
        }

        /// It comes to what the clocks say, and stays there.
        #[test]
        fn it_comes_to_the_clocks_of_the_majority(ahead in -50_000_i64..50_000) {
            let clocks = |now: u64| Timestamp(noon().0.saturating_add_signed(ahead) + now);
            let mut course = Course::begin(noon(), 0);
            for second in 1..=60_u64 {
                course.at(second * 1_000_000, Some(clocks(second * 1_000_000)));
            }

            let now = 60_000_000;
            prop_assert_eq!(course.at(now, Some(clocks(now))), clocks(now));
        }
    }
}
