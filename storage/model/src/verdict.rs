//! What follows from an outcome; decided by the owner, written into the command, stored by the state.

use crate::time::Span;

/// Why a delivery is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathReason {
    /// The failure was permanent.
    Permanent,
    /// The policy's last retry failed too.
    AttemptsExhausted,
    /// The next retry would have fallen behind the policy's window.
    WindowExhausted,
}

/// What follows from an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Delivered: nothing more to do.
    Settle,
    /// Try again.
    Retry {
        /// From the state's time at which this is recorded.
        after: Span,
        /// The window of the policy in force: a retry beyond it becomes a burial.
        window: Span,
        /// How many retries the policy in force allows, for people.
        retries_max: u32,
    },
    /// Into the dead-letter queue.
    Bury(DeathReason),
}
