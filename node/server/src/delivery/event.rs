//! What the delivery loop is told by those who work for it.

use std::time::Instant;

use pushrail_model::command::QueueKey;
use pushrail_model::ids::EventSeq;

use crate::delivery::recorder::Recorded;

/// What happened outside the loop.
#[derive(Debug)]
pub(crate) enum Event {
    /// An attempt is over.
    Ended {
        queue: QueueKey,
        seq: EventSeq,
        /// Whether anything may have gone out.
        sent: bool,
    },
    /// Attempts are on record, and our state shows it.
    Recorded(Recorded),
    /// A proposal to release shards has its answer, or none.
    Released,
    /// The node is about to stop: whatever other nodes have not taken over by then rests.
    Stop {
        /// When.
        rest_at: Instant,
    },
}
