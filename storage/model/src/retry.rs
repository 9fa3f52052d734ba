//! How long a delivery waits between attempts, and when it gives up. Pure: the jitter comes as an argument.

use crate::ids::AttemptNumber;
use crate::time::Span;

/// A fraction in [0.5, 1.0] by which a wait is shortened, in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter(u32);

impl Jitter {
    /// No shortening.
    pub const FULL: Self = Self(1_000_000);

    /// From any random number: spread evenly over [0.5, 1.0].
    pub fn from_random(random: u32) -> Self {
        Self(500_000 + random % 500_001)
    }

    fn of(self, span: Span) -> Span {
        let micros = u128::from(span.0) * u128::from(self.0) / 1_000_000;
        Span(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// The waits before the retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// `first × factorⁿ` before retry n (from 0), at most `cap`, shortened by jitter; at most `retries` of them.
    Exponential {
        /// Before the first retry.
        first: Span,
        /// Growth from one to the next.
        factor: u32,
        /// No wait is longer.
        cap: Span,
        /// How many retries.
        retries: u32,
    },
    /// One wait for each retry, as listed, without jitter.
    Explicit(Vec<Span>),
}

/// A destination's policy for retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The waits.
    pub waits: Waits,
    /// No retry is scheduled later than this after the first attempt was due (held time not counted).
    pub window: Span,
    /// The least wait after a 429, a 503 or a time-out that named no wait of its own.
    pub floor: Span,
}

impl Default for RetryPolicy {
    /// 5 s × 4ⁿ, at most 6 h each, 10 retries, within 24 h; 60 s of floor.
    fn default() -> Self {
        Self {
            waits: Waits::Exponential {
                first: Span::from_secs(5),
                factor: 4,
                cap: Span(6 * Span::HOUR.0),
                retries: 10,
            },
            window: Span::DAY,
            floor: Span::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// How many retries there are after the first attempt.
    pub fn retries_max(&self) -> u32 {
        match &self.waits {
            Waits::Exponential { retries, .. } => *retries,
            Waits::Explicit(waits) => u32::try_from(waits.len()).unwrap_or(u32::MAX),
        }
    }

    /// The wait after attempt `number` failed, or `None` where it was the last.
    pub fn delay(&self, number: AttemptNumber, jitter: Jitter) -> Option<Span> {
        let retry = number.0.checked_sub(1)?;
        match &self.waits {
            Waits::Exponential {
                first,
                factor,
                cap,
                retries,
            } => {
                if retry >= *retries {
                    return None;
                }
                let wait = u64::from(*factor)
                    .saturating_pow(retry)
                    .saturating_mul(first.0)
                    .min(cap.0);
                Some(jitter.of(Span(wait)))
            }
            Waits::Explicit(waits) => waits.get(usize::try_from(retry).ok()?).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_fourfold_from_five_seconds_to_six_hours_and_end_after_ten() {
        let policy = RetryPolicy::default();
        let waits: Vec<u64> = (1..=11)
            .map_while(|number| policy.delay(AttemptNumber(number), Jitter::FULL))
            .map(|wait| wait.0 / 1_000_000)
            .collect();

        assert_eq!(
            waits,
            [5, 20, 80, 320, 1280, 5120, 20_480, 21_600, 21_600, 21_600]
        );
    }

    #[test]
    fn jitter_shortens_by_at_most_half() {
        let policy = RetryPolicy::default();
        for random in [0, 1, 499_999, 500_000, 500_001, u32::MAX] {
            let wait = policy
                .delay(AttemptNumber(1), Jitter::from_random(random))
                .unwrap();
            assert!((2_500_000..=5_000_000).contains(&wait.0), "{random}: {wait}");
        }
    }

    #[test]
    fn an_explicit_list_is_followed_to_the_letter() {
        let waits = vec![Span::from_secs(1), Span::from_secs(7)];
        let policy = RetryPolicy {
            waits: Waits::Explicit(waits),
            ..RetryPolicy::default()
        };
        let jitter = Jitter::from_random(0);

        assert_eq!(policy.delay(AttemptNumber(2), jitter), Some(Span::from_secs(7)));
        assert_eq!(policy.delay(AttemptNumber(3), jitter), None);
    }
}
