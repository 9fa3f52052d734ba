//! The wish to deliver again.

use crate::time::Timestamp;

/// A replay of chosen dead letters, done in the command that started it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The request that made it: a repeat is answered alike.
    pub request_id: String,
    /// When, in the state's time.
    pub started: Timestamp,
    /// Of the list of deliveries: the same request with another is refused.
    pub content_hash: u128,
    /// One answer for each delivery chosen, in order.
    pub answers: Vec<ReplayAnswer>,
}

/// What became of one delivery that was chosen to be discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardAnswer {
    /// It is discarded, now or before.
    Discarded,
    /// It is neither dead nor discarded, so there is nothing to give up.
    NotDead,
    /// There is no such delivery.
    Unknown,
}

/// What became of one delivery that was chosen for a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayAnswer {
    /// It runs again.
    Started,
    /// It is not dead, so there is nothing to replay.
    NotDead,
    /// There is no such delivery.
    Unknown,
}
