//! The audit trail of people: who changed what, when and from where, with what was there before and after.
//! Invariant: no credential is ever in it.

use crate::destination::{DestinationSpec, DestinationState};
use crate::ids::{DeliveryId, DestinationId, JobNo, NodeId, TenantId};
use crate::job::{JobKind, JobState};
use crate::outcome::Cause;
use crate::retention::Retention;
use crate::route::Pattern;
use crate::time::Timestamp;

/// Who asked for a change, as far as is known: until callers prove who they are, the name is what they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The name that the caller gave; empty where it gave none.
    pub name: String,
    /// From where the call came: address and port.
    pub address: String,
    /// The node that was asked.
    pub door: NodeId,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// A tenant was made.
    TenantCreated,
    /// A tenant was changed.
    TenantUpdated,
    /// A tenant was removed.
    TenantRemoved,
    /// A destination was made.
    DestinationCreated,
    /// A destination was changed.
    DestinationUpdated,
    /// A destination was paused.
    DestinationPaused,
    /// A destination was resumed.
    DestinationResumed,
    /// A destination was removed.
    DestinationRemoved,
    /// The last of a removed destination's open deliveries was cancelled.
    DeliveriesCancelled,
    /// A destination's credential was followed by another.
    CredentialRotated,
    /// A route was made.
    RouteCreated,
    /// A route was changed.
    RouteUpdated,
    /// A route was removed, by itself or with its destination.
    RouteRemoved,
    /// Dead letters were started again.
    DeadLettersReplayed,
    /// Dead letters were given up.
    DeadLettersDiscarded,
    /// Dead letters expired, since nobody had dealt with them in time.
    DeadLettersExpired,
    /// A replay or a discard of all dead letters of a destination was begun.
    JobStarted,
    /// A job has met all that it was started for.
    JobDone,
    /// A job was ended before.
    JobCancelled,
    /// A destination was disabled by what its receiver said.
    DestinationDisabled,
}

/// How an object stood, without its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// A tenant.
    Tenant {
        /// For people.
        description: String,
        /// How long its rows are kept.
        retention: Retention,
    },
    /// A destination.
    Destination {
        /// With an empty credential.
        spec: Box<DestinationSpec>,
        /// Whether it was served.
        state: DestinationState,
    },
    /// A route.
    Route {
        /// Which event types.
        pattern: Pattern,
        /// To which destination.
        destination: DestinationId,
    },
    /// A job.
    Job {
        /// What it does.
        kind: JobKind,
        /// Only with dead letters whose last attempt failed of this.
        cause: Option<Cause>,
        /// How far it was.
        state: JobState,
        /// How many it was started for; unknown where causes were not counted yet.
        total: Option<u64>,
        /// Dead letters that it had replayed or discarded.
        taken: u64,
        /// Dead letters that it had met and left.
        passed: u64,
    },
}

/// What was done to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// Whose.
    pub tenant: TenantId,
    /// The destination or route; empty where it was the tenant itself, or several destinations.
    pub object: String,
    /// What was done.
    pub fact: Fact,
    /// The object's version afterwards; 0 where it has none.
    pub version: u64,
    /// How it stood; `None` where it was not there, or nothing of it changed that is shown.
    pub before: Option<Image>,
    /// How it stands; the same.
    pub after: Option<Image>,
    /// How many deliveries it touched.
    pub count: u64,
    /// Which, where they were chosen one by one.
    pub deliveries: Vec<DeliveryId>,
    /// Until when the credential before counts too.
    pub overlap_until: Option<Timestamp>,
    /// The job that it was about.
    pub job: Option<JobNo>,
}

impl Deed {
    /// This fact of this object, and nothing more to say yet.
    pub fn new(tenant: &TenantId, object: &str, fact: Fact) -> Self {
        Self {
            tenant: tenant.clone(),
            object: object.to_owned(),
            fact,
            version: 0,
            before: None,
            after: None,
            count: 0,
            deliveries: Vec::new(),
            overlap_until: None,
            job: None,
        }
    }
}

/// One change, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, in the state's time.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// The request that asked for it.
    pub request_id: String,
    /// What.
    pub deed: Deed,
}
