//! What came of an attempt, and what an adapter makes of it.

use bytes::Bytes;

use crate::time::Span;

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// It can: the delivery is retried.
    Transient,
    /// It cannot: the delivery is dead at once.
    Permanent,
}

/// Of what sort a failure is; its scope (destination, event, nobody) follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The receiver had it already.
    Duplicate,
    /// No connection, DNS, TLS, reset.
    Network,
    /// No answer in time.
    Timeout,
    /// Asked to slow down.
    Throttle,
    /// The receiver's own fault.
    Server,
    /// Credential refused.
    Auth,
    /// The target is not there.
    Missing,
    /// This event refused.
    Rejected,
    /// This event is too large.
    TooLarge,
    /// Failed along with another event of its batch.
    Bystander,
    /// None of these.
    Unknown,
}

/// A failure: class and cause as the adapter's rules gave them, and why in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether to try again.
    pub class: FailureClass,
    /// Of what sort.
    pub cause: Cause,
    /// Whether the same rule also disables the destination (HTTP 410).
    pub disables: bool,
    /// Whether without a wait named by the receiver at least the policy's floor applies (429, 503, time-outs).
    pub floors: bool,
    /// The rule's words.
    pub why: String,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver took it.
    Delivered,
    /// It did not.
    Failed(Failure),
}

/// What was seen on the wire: for the record, never for a decision of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The protocol's status, where there was one.
    pub status: Option<u16>,
    /// The error in words, at most [`crate::limits::DETAIL_BYTES_MAX`].
    pub detail: String,
    /// The beginning of the response.
    pub excerpt: Bytes,
    /// Whether the response went on.
    pub excerpt_cut: bool,
    /// How long the receiver asked to wait.
    pub retry_after: Option<Span>,
    /// The address that was dialled, where there was one.
    pub remote: String,
}
