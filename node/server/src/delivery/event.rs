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
    /// The node is about to stop.
    Stop(Ending),
}

/// How the loop comes to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// From then on whatever other nodes have not taken over rests.
    pub(crate) rest_at: Instant,
    /// From then on nothing at all begins: what is short ends before what hangs is abandoned.
    pub(crate) quiet_at: Instant,
}
