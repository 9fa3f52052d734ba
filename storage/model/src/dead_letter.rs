//! A delivery that gave up or failed permanently, waiting for somebody to deal with it.

use crate::delivery::DeliveryKey;
use crate::ids::Run;
use crate::outcome::Cause;
use crate::time::Timestamp;
use crate::verdict::DeathReason;

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which delivery.
    pub delivery: DeliveryKey,
    /// Place in the event's list of destinations.
    pub place: u16,
    /// When it died, in the state's time.
    pub died: Timestamp,
    /// In which run.
    pub run: Run,
    /// Why.
    pub reason: DeathReason,
    /// What its last attempt failed of.
    pub cause: Cause,
    /// That attempt's status.
    pub status: Option<u16>,
    /// That attempt's detail.
    pub detail: String,
    /// Attempts made in that run.
    pub attempts_made: u32,
}
