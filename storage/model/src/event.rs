//! Something that happened, as the caller told us.

use std::fmt;
use std::str::FromStr;

use crate::ids::{DestinationNo, EventId, InvalidId, LogIndex, NodeId, TenantNo};
use crate::limits;
use crate::payload::Payload;
use crate::route::RoutingDecision;
use crate::time::Timestamp;

/// An event's name, such as `order.paid`: segments of `[A-Za-z0-9_-]` with dots between.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Box<str>);

impl EventType {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventType {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let segments = || text.split('.');
        let known = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if text.len() > limits::EVENT_TYPE_BYTES_MAX
            || segments().count() > limits::EVENT_TYPE_SEGMENTS_MAX
            || !segments().all(|segment| !segment.is_empty() && segment.bytes().all(known))
        {
            return Err(InvalidId {
                kind: "event type",
                rule: "1 to 16 segments of A-Z, a-z, 0-9, _ and -, dots between, at most 256 bytes",
                value: text.chars().take(80).collect(),
            });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a repeat of a publish is recognised. Hashes are made at the door with a key of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's key.
    pub key: String,
    /// Hash of the key: what the row is found by.
    pub key_hash: u128,
    /// Hash of type, content type and payload: what *same content* means.
    pub content_hash: u128,
}

/// An event on its way into the state: everything about it decided, but its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Whose it is.
    pub tenant: TenantNo,
    /// Its type.
    pub event_type: EventType,
    /// What the payload is.
    pub content_type: String,
    /// The body.
    pub payload: Payload,
    /// The caller's key against repeats.
    pub idempotency: Option<IdempotencyKey>,
    /// The tenant's routing revision that the decisions below were made under.
    pub routing_revision: LogIndex,
    /// Every decision, those against it too.
    pub decisions: Vec<RoutingDecision>,
    /// The destinations chosen, each once; a delivery's place is its place here.
    pub destinations: Vec<DestinationNo>,
    /// The node that took it.
    pub door: NodeId,
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its public id.
    pub id: EventId,
    /// What the door made of it.
    pub new: NewEvent,
    /// When it was accepted, in the state's time.
    pub accepted: Timestamp,
    /// When its payload went, if it has: the event stands for the record alone.
    pub stripped: Option<Timestamp>,
}
