//! A configured place to deliver to.

use bytes::Bytes;

use crate::ids::{DestinationId, DestinationNo};
use crate::retry::RetryPolicy;
use crate::shard::ShardId;
use crate::time::{Span, Timestamp};

/// Whether a destination is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationState {
    /// Deliveries start as they become due.
    Active,
    /// Stopped by a person until resumed.
    Paused,
    /// Stopped by what a receiver said (HTTP 410), until resumed.
    Disabled {
        /// In words.
        why: String,
    },
    /// Gone, and its name free; its row stays for those of its deliveries that are on record.
    Removed {
        /// When, in the state's time.
        at: Timestamp,
        /// The name of who removed it.
        by: String,
    },
}

impl DestinationState {
    /// Whether its queue rests.
    pub fn holds(&self) -> bool {
        !matches!(self, Self::Active)
    }
}

/// What a caller says about a destination. Settings and credential are opaque here: the kind's adapter has
/// checked them at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationSpec {
    /// `webhook`, …
    pub kind: String,
    /// JSON object of the kind's settings.
    pub settings: Bytes,
    /// The kind's credential: a JSON object, or one sealed by a key of the nodes. Never shown, never logged.
    pub credential: Bytes,
    /// When to retry.
    pub retry: RetryPolicy,
    /// Attempts at a time.
    pub concurrency: u32,
    /// For people.
    pub description: String,
}

/// A credential that was followed by another and still counts for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousCredential {
    /// As it was.
    pub credential: Bytes,
    /// It counts up to here, in the state's time.
    pub until: Timestamp,
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its public id.
    pub id: DestinationId,
    /// Its number inside keys.
    pub number: DestinationNo,
    /// The shard whose owner delivers to it.
    pub shard: ShardId,
    /// What the caller said.
    pub spec: DestinationSpec,
    /// Whether it is served.
    pub state: DestinationState,
    /// How long it has been held in all, closed intervals only.
    pub held: Span,
    /// Since when it is held, if it is.
    pub held_since: Option<Timestamp>,
    /// Above all that was ever removed from its tenant when made, one more with each change.
    pub version: u64,
    /// When it was made, in the state's time.
    pub created: Timestamp,
    /// The version with which the present credential came: only the request that led to it is shown it.
    pub credential_version: u64,
    /// One more with each credential, and with each other key that it is sealed by.
    pub credential_revision: u64,
    /// Credentials before the present one, newest first; at most [`crate::limits::PREVIOUS_CREDENTIALS_MAX`].
    pub previous: Vec<PreviousCredential>,
}

impl Destination {
    /// Whether it has been removed.
    pub fn is_removed(&self) -> bool {
        matches!(self.state, DestinationState::Removed { .. })
    }

    /// How long it has been held up to `now`, the present interval included.
    pub fn held_until(&self, now: Timestamp) -> Span {
        match self.held_since {
            Some(since) => self.held.plus(now.since(since)),
            None => self.held,
        }
    }
}
