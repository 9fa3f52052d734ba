//! The only place where openraft's generics are spelled: what an entry carries, what it answers, who a member is.
//!
//! An entry's payload is bytes with a small header; they are stored and forwarded as they came, never re-encoded.

use std::fmt;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::impls::leader_id_adv;
use pushrail_machine::answers::BatchAnswer;

use crate::state_machine::StateMachine;

openraft::declare_raft_types!(
    /// Pushrail's choice of openraft's types.
    pub TypeConfig:
        D = Payload,
        R = EntryAnswers,
        NodeId = u64,
        Node = NodeAddresses,
        Term = u64,
        LeaderId = LeaderId,
);

/// Term and node of a leader.
pub type LeaderId = leader_id_adv::LeaderId<u64, u64>;
/// A vote, granted or not.
pub type Vote = openraft::impls::Vote<LeaderId>;
/// Where an entry stands, and under which leader.
pub type LogId = openraft::impls::LogId<LeaderId>;
/// One entry of the log.
pub type LogEntry = openraft::Entry<LeaderId, LogPayload>;
/// What an entry carries: nothing, batches, or a membership.
pub type LogPayload = EntryPayload<Payload, u64, NodeAddresses>;
/// Who votes and who learns.
pub type Membership = openraft::Membership<u64, NodeAddresses>;
/// A membership and the entry that made it so.
pub type StoredMembership = openraft::StoredMembership<LeaderId, u64, NodeAddresses>;

/// The core, over our state machine.
pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;
/// What a snapshot is made of.
pub(crate) type SnapshotData =
    <StateMachine as openraft::storage::RaftStateMachine<TypeConfig>>::SnapshotData;
/// A snapshot as openraft knows it.
pub(crate) type Snapshot = openraft::storage::Snapshot<LeaderId, u64, NodeAddresses, SnapshotData>;

/// The bytes of one entry: header with the state's time, then the doors' batches.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(pub Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Where a member is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeAddresses {
    /// By its peers: `host:port` of the peer gRPC listener.
    pub peer: String,
    /// By callers: `host:port` of the client gRPC listener.
    pub client: String,
    /// By operators: `host:port` of the HTTP listener.
    pub http: String,
}

/// What applying one entry answers: one for each batch, in order; none for an entry that carries no batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryAnswers(pub Vec<BatchAnswer>);
