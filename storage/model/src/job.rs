//! A job: a replay or a discard of all that lay in a destination's dead-letter queue when it began, done in bounded
//! steps that the leader proposes.

use crate::change::Actor;
use crate::ids::{DestinationNo, EventSeq, JobNo};
use crate::outcome::Cause;
use crate::time::Timestamp;

/// What a job does with the dead letters it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// They run again.
    Replay,
    /// They are given up for good.
    Discard,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// The leader moves it on.
    Running,
    /// It has met all that it was started for.
    Done,
    /// Somebody ended it, or its destination went.
    Cancelled,
}

/// A place among the dead letters of a destination: oldest first, in the order of their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobCursor {
    /// When the letter died.
    pub died: Timestamp,
    /// Its event.
    pub seq: EventSeq,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number within its tenant.
    pub number: JobNo,
    /// What it does.
    pub kind: JobKind,
    /// Whose dead letters.
    pub destination: DestinationNo,
    /// Only those whose last attempt failed of this.
    pub cause: Option<Cause>,
    /// Who started it; empty where nobody said.
    pub actor: String,
    /// The request that made it: a repeat is answered alike.
    pub request_id: String,
    /// When, in the state's time. What dies later is none of its business: see `StartJob`.
    pub started: Timestamp,
    /// All up to here have been looked at.
    pub cursor: JobCursor,
    /// How many it was started for; unknown where causes are not counted yet.
    pub total: Option<u64>,
    /// Dead letters that it replayed or discarded.
    pub taken: u64,
    /// Dead letters that it met and left, since they failed of something else.
    pub passed: u64,
    /// How far it is.
    pub state: JobState,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Who cancelled it; empty where nobody said, or nobody did.
    pub ended_by: String,
    /// Who started it, whole, where that is in the change log: its end goes there too.
    pub on_record: Option<Actor>,
}
