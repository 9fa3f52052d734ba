//! One event owed to one destination: what is queued, retried, dead-lettered and replayed.

use crate::ids::{AttemptNumber, DestinationNo, Epoch, EventSeq, Run, TenantNo};
use crate::shard::Partition;
use crate::time::{Span, Timestamp};
use crate::verdict::DeathReason;

/// Where a delivery stands inside the state: its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The tenant's partition.
    pub partition: Partition,
    /// Whose it is.
    pub tenant: TenantNo,
    /// Where it goes.
    pub destination: DestinationNo,
    /// What is owed.
    pub seq: EventSeq,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Its next attempt is due at this time.
    Scheduled {
        /// In the state's time.
        due: Timestamp,
    },
    /// The receiver took it.
    Delivered {
        /// In the state's time.
        at: Timestamp,
    },
    /// It gave up, or failed permanently, and lies in the dead-letter queue.
    Dead {
        /// In the state's time; part of the dead letter's key.
        at: Timestamp,
        /// Why.
        reason: DeathReason,
    },
    /// It was dead, and its retention ended before anybody dealt with it.
    Expired {
        /// In the state's time.
        at: Timestamp,
        /// When it had died.
        died: Timestamp,
        /// Why it had died.
        reason: DeathReason,
    },
    /// Somebody gave it up: it is never tried again.
    Discarded {
        /// In the state's time.
        at: Timestamp,
    },
    /// Its destination was removed before it was delivered.
    Cancelled {
        /// In the state's time.
        at: Timestamp,
    },
}

/// Remembers an attempt, so that its record is found without an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptMark {
    /// When it began: part of the record's key.
    pub start: Timestamp,
    /// In which run.
    pub run: Run,
    /// Its number there.
    pub number: AttemptNumber,
    /// Under which ownership.
    pub epoch: Epoch,
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Place in the event's list of destinations.
    pub place: u16,
    /// What has become of it.
    pub state: DeliveryState,
    /// Its present life.
    pub run: Run,
    /// Attempts counted in this run: the next one bears the number after it.
    pub attempts_made: u32,
    /// When the first attempt of this run was due: the window counts from here.
    pub first_due: Timestamp,
    /// How long its destination had been held by then: what came later is not counted.
    pub held_before: Span,
    /// How many retries the policy last in force allows; 0 before the first failure.
    pub retries_max: u32,
    /// The attempts of all runs, oldest first, the newest [`crate::limits::ATTEMPT_MARKS_MAX`].
    pub marks: Vec<AttemptMark>,
    /// Who discarded it; empty where nobody said, or nobody did.
    pub discarded_by: String,
}
