//! The state's time: microseconds since the Unix epoch, and spans of them. Nothing here reads a clock.

use std::fmt;

/// A moment, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// A length of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

impl Timestamp {
    /// The beginning of all keys.
    pub const ZERO: Self = Self(0);
    /// The end of all keys.
    pub const MAX: Self = Self(u64::MAX);

    /// This moment plus `span`, held at [`Timestamp::MAX`].
    pub fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This moment minus `span`, held at zero.
    pub fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// The day it falls into, counted from the epoch.
    pub fn day(self) -> u32 {
        u32::try_from(self.0 / Span::DAY.0).unwrap_or(u32::MAX)
    }

    /// The hour it falls into, counted from the epoch.
    pub fn hour(self) -> u32 {
        u32::try_from(self.0 / Span::HOUR.0).unwrap_or(u32::MAX)
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// One hour.
    pub const HOUR: Self = Self::from_secs(3600);
    /// One day.
    pub const DAY: Self = Self::from_secs(86_400);

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// As the standard library counts it.
    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0)
    }

    /// From the standard library's, cut to microseconds and held at the largest span.
    pub fn from_duration(duration: std::time::Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }

    /// The two together, held at the largest span.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_duration())
    }
}
