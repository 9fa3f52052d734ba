//! The state's answers; equal on every node.

use crate::ids::{DestinationNo, EventId, JobNo, LogIndex, RouteNo, TenantNo};
use crate::job::JobState;
use crate::replay::{DiscardAnswer, ReplayAnswer};
use crate::shard::ShardId;

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Done; nothing to say.
    Done,
    /// One answer for each event, in order.
    Events(Vec<EventAnswer>),
    /// One answer for each attempt, in order.
    Attempts(Vec<AttemptAnswer>),
    /// A tenant stands.
    Tenant {
        /// Its number.
        number: TenantNo,
        /// Its version.
        version: u64,
    },
    /// A destination stands.
    Destination {
        /// Its number.
        number: DestinationNo,
        /// Its version.
        version: u64,
        /// Its shard, whose owner must report a fence before a pause is acknowledged.
        shard: ShardId,
    },
    /// A route stands.
    Route {
        /// The number that it had first.
        number: RouteNo,
        /// Its version.
        version: u64,
    },
    /// One answer for each delivery chosen, in order.
    Replay(Vec<ReplayAnswer>),
    /// One answer for each delivery chosen to be discarded, in order.
    Discards(Vec<DiscardAnswer>),
    /// A job stands.
    Job {
        /// Its number within its tenant.
        number: JobNo,
        /// How far it is.
        state: JobState,
    },
    /// How many shards this changed.
    Shards(u32),
    /// What a step of upkeep did.
    Swept {
        /// What has gone: tenants' days, keys, letters or events.
        dropped: u64,
        /// Events that were over and stay, because something needs them.
        carried: u64,
        /// Whether the step ended at its bound: the same again does more.
        more: bool,
    },
    /// What a bounded step did.
    Advanced {
        /// Rows touched.
        rows: u32,
        /// Whether nothing is left to do.
        done: bool,
    },
    /// No; nothing was changed but the clock.
    Rejected(Rejection),
}

/// The answer to one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventAnswer {
    /// It is kept.
    Accepted {
        /// Under this id: the first event's, if it is a repeat.
        event: EventId,
        /// How many deliveries it made.
        deliveries: u32,
        /// Whether it was a repeat of one accepted before.
        duplicate: bool,
    },
    /// The same idempotency key came with another content before.
    KeyConflict {
        /// The event that holds the key.
        event: EventId,
    },
    /// The tenant's routing revision has moved: decide anew under a state that has applied this index.
    RoutingMoved(LogIndex),
    /// There is no such tenant.
    UnknownTenant,
}

/// The answer to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptAnswer {
    /// On record, and the verdict was followed.
    Effective,
    /// On record; the verdict came too late to move anything.
    Late,
    /// It was on record already.
    Repeated,
    /// There is no such delivery.
    Unknown,
}

/// The state's *no*.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The cluster has been initialised.
    #[error("the cluster has already been initialised")]
    AlreadyInitialised,
    /// Another request made an object of this name, or bore this id.
    #[error("{kind} `{id}` exists already")]
    AlreadyExists {
        /// What.
        kind: String,
        /// Its id.
        id: String,
    },
    /// There is no such object.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// What.
        kind: String,
        /// Its id.
        id: String,
    },
    /// A repeat of what was carried out, and its object has been removed since.
    #[error("{kind} `{id}` has been removed since")]
    RemovedSince {
        /// What.
        kind: String,
        /// Its id.
        id: String,
    },
    /// A bound of the state is reached.
    #[error("the limit of {limit} {what} is reached")]
    LimitReached {
        /// Of what.
        what: String,
        /// How many there may be.
        limit: u64,
    },
    /// The object has changed in between.
    #[error("the object is at version {present}")]
    VersionMoved {
        /// Its version.
        present: u64,
    },
    /// What still has something in it is not removed.
    #[error("{kind} `{id}` still has {holds}")]
    NotEmpty {
        /// What.
        kind: String,
        /// Its id.
        id: String,
        /// What it has.
        holds: String,
    },
}
