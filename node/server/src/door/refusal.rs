//! Why a door says no, or cannot say. The services turn these into errors of the API, one for one.

use pushrail_machine::store::StoreError;
use pushrail_model::ids::{EventId, InvalidId};
use pushrail_model::response::{Rejection, Response};
use pushrail_raft::error::{ProposeError, ReadError, Unfit};

/// A field that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Its path in the request.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) why: String,
}

impl Wrong {
    /// This field, for this reason.
    pub(crate) fn new(field: &str, why: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            why: why.into(),
        }
    }

    /// A field that should have held an id.
    pub(crate) fn id(field: &str, invalid: &InvalidId) -> Self {
        Self::new(field, invalid.to_string())
    }
}

/// What somebody asked for that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Tenant,
    Destination,
    Route,
    Event,
    Kind,
    DeadLetter,
    Job,
}

impl Sort {
    /// In a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Destination => "destination",
            Self::Route => "route",
            Self::Event => "event",
            Self::Kind => "kind",
            Self::DeadLetter => "dead letter",
            Self::Job => "job",
        }
    }

    /// From the word that the state uses.
    fn of(word: &str) -> Option<Self> {
        let all = [
            Self::Tenant,
            Self::Destination,
            Self::Route,
            Self::Event,
            Self::Kind,
            Self::DeadLetter,
            Self::Job,
        ];
        all.into_iter().find(|sort| sort.word() == word)
    }
}

/// A no, or no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Fields are not what they must be.
    Invalid(Vec<Wrong>),
    /// The page token belongs to another list.
    PageToken,
    /// There is no such thing.
    NotFound { sort: Sort, id: String },
    /// Another request made one of this id.
    AlreadyExists { sort: String, id: String },
    /// The idempotency key came with another content.
    KeyConflict { event: EventId },
    /// A bound of the state is reached.
    LimitReached { what: String, limit: u64 },
    /// The object has changed in between.
    VersionMoved { present: u64 },
    /// What still has something in it is not removed.
    NotEmpty { sort: String, id: String, holds: String },
    /// It was carried out, and its object has been removed since.
    Removed { what: &'static str },
    /// This node has not got the key by which a credential is sealed, or it does not fit.
    Locked { why: String },
    /// The cluster stands already, with other members.
    ClusterExists,
    /// Members of a cluster to form are not there, or not what they should be.
    MembersUnfit(Vec<Unfit>),
    /// There is no cluster yet.
    NotFormed,
    /// No quorum: certainly not accepted.
    NotAccepted { why: String },
    /// No quorum: perhaps accepted.
    Unknown { why: String },
    /// The change stands, but could not be read back.
    Stands { why: String },
    /// The tenant's routes moved in every round.
    RoutingUnsettled,
    /// The owner has not said that it follows a change that stands.
    FencePending { why: String },
    /// No leader confirmed a read.
    NoLeader { why: String },
    /// The state has not come as far as asked.
    Behind { why: String },
    /// More waits at this node than it has room for.
    Busy,
    /// The node is going down.
    Stopping,
    /// The node's own state could not be read.
    Unreadable { why: String },
}

impl Refusal {
    /// One field is not what it must be.
    pub(crate) fn invalid(field: &str, why: impl Into<String>) -> Self {
        Self::Invalid(vec![Wrong::new(field, why)])
    }

    /// What the replica said, where it said something.
    pub(crate) fn cause(self) -> String {
        if let Self::NotAccepted { why }
        | Self::Unknown { why }
        | Self::FencePending { why }
        | Self::NoLeader { why }
        | Self::Behind { why } = self
        {
            why
        } else if let Self::Locked { why } = self {
            format!("a credential cannot be read on this node: {why}")
        } else {
            "this node could not read its own state".to_owned()
        }
    }

    /// An answer of the state that the command cannot have: other versions of the state machine may give it.
    pub(crate) fn unexpected(response: &Response) -> Self {
        match response {
            Response::Rejected(rejection) => rejection.into(),
            Response::Done
            | Response::Events(_)
            | Response::Attempts(_)
            | Response::Tenant { .. }
            | Response::Destination { .. }
            | Response::Route { .. }
            | Response::Replay(_)
            | Response::Discards(_)
            | Response::Job { .. }
            | Response::Shards(_)
            | Response::Swept { .. }
            | Response::Advanced { .. } => Self::Unknown {
                why: "the state's answer does not belong to the question".to_owned(),
            },
        }
    }
}

/// The change stands, and only the reading back failed: that it was not accepted must never be said.
pub(crate) fn done_but(refusal: Refusal) -> Refusal {
    Refusal::Stands { why: refusal.cause() }
}

impl From<&Rejection> for Refusal {
    fn from(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::NotFound { kind, id } => match Sort::of(kind) {
                Some(sort) => Self::NotFound { sort, id: id.clone() },
                None => Self::NotAccepted {
                    why: rejection.to_string(),
                },
            },
            Rejection::RemovedSince { kind, .. } => match Sort::of(kind) {
                Some(sort) => Self::Removed { what: sort.word() },
                None => Self::NotAccepted {
                    why: rejection.to_string(),
                },
            },
            Rejection::AlreadyExists { kind, id } => Self::AlreadyExists {
                sort: kind.clone(),
                id: id.clone(),
            },
            Rejection::LimitReached { what, limit } => Self::LimitReached {
                what: what.clone(),
                limit: *limit,
            },
            Rejection::NotEmpty { kind, id, holds } => Self::NotEmpty {
                sort: kind.clone(),
                id: id.clone(),
                holds: holds.clone(),
            },
            Rejection::VersionMoved { present } => Self::VersionMoved { present: *present },
            Rejection::AlreadyInitialised => Self::ClusterExists,
        }
    }
}

impl From<ProposeError> for Refusal {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NotAccepted { why } => Self::NotAccepted { why },
            ProposeError::Unknown { why } => Self::Unknown { why },
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoLeader { why } => Self::NoLeader { why },
            ReadError::Behind { .. } => Self::Behind {
                why: error.to_string(),
            },
            ReadError::Fence { .. } => Self::FencePending {
                why: error.to_string(),
            },
            ReadError::ForeignToken => {
                Self::invalid("consistency.at_least", "the token belongs to another cluster")
            }
            ReadError::State(why) => Self::Unreadable { why },
            ReadError::Stopped => Self::Stopping,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Unreadable {
            why: error.to_string(),
        }
    }
}
