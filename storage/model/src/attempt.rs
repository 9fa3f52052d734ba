//! One try of a delivery, as the owner reports it and as the attempt log keeps it.

use crate::delivery::DeliveryKey;
use crate::ids::{AttemptNumber, Epoch, NodeId, Run};
use crate::outcome::{Observed, Outcome};
use crate::time::{Span, Timestamp};
use crate::verdict::Verdict;

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What was tried.
    pub delivery: DeliveryKey,
    /// The delivery's place in its event's list of destinations; `None` in what was recorded before it was told.
    pub place: Option<u16>,
    /// In which life of it.
    pub run: Run,
    /// Its number there.
    pub number: AttemptNumber,
    /// Under which ownership of the shard.
    pub epoch: Epoch,
    /// Which node made it.
    pub node: NodeId,
    /// When it began: the state's time as the owner knew it.
    pub start: Timestamp,
    /// How long it took.
    pub took: Span,
    /// What came of it.
    pub outcome: Outcome,
    /// What was seen on the wire.
    pub observed: Observed,
    /// What the owner made of it.
    pub verdict: Verdict,
}

/// An attempt in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// As the owner reported it.
    pub attempt: Attempt,
    /// When it was recorded, in the state's time.
    pub recorded: Timestamp,
    /// Whether the verdict moved the delivery; an attempt that came late is on record all the same.
    pub effective: bool,
    /// When the next attempt became due by it.
    pub next_due: Option<Timestamp>,
}
