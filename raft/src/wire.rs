//! openraft's types as protobuf and back, by hand: its own layouts change between releases, these must not.
//!
//! The log store and the state's meta rows use the same messages, so what is on the wire is also on the disk.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::EntryPayload;
use prost::Message;

use crate::types::{
    LeaderId, LogEntry, LogId, LogPayload, Membership, NodeAddresses, Payload, StoredMembership, Vote,
};

/// The generated messages and services of `proto/raft.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::allow_attributes_without_reason,
    reason = "generated; the .proto file holds the words"
)]
pub mod proto {
    tonic::include_proto!("pushrail.peer.v1");
}

/// Bytes that a peer sent, or that lie on our disk, are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is missing or malformed")]
pub struct WireError {
    /// Which message or field.
    pub what: &'static str,
}

/// That this is not there, or cannot be.
pub(crate) fn missing(what: &'static str) -> WireError {
    WireError { what }
}

/// A vote as a message.
pub fn vote_to(vote: &Vote) -> proto::Vote {
    proto::Vote {
        term: vote.leader_id.term,
        node: vote.leader_id.node_id,
        committed: vote.committed,
    }
}

/// A vote from a message.
pub fn vote_from(vote: proto::Vote) -> Vote {
    Vote {
        leader_id: LeaderId {
            term: vote.term,
            node_id: vote.node,
        },
        committed: vote.committed,
    }
}

/// A log id as a message.
pub fn log_id_to(id: &LogId) -> proto::LogId {
    proto::LogId {
        term: id.leader_id.term,
        node: id.leader_id.node_id,
        index: id.index,
    }
}

/// A log id from a message.
pub fn log_id_from(id: proto::LogId) -> LogId {
    LogId {
        leader_id: LeaderId {
            term: id.term,
            node_id: id.node,
        },
        index: id.index,
    }
}

/// A log id as a message, where there is one.
pub(crate) fn maybe_log_id_to(id: Option<&LogId>) -> Option<proto::LogId> {
    id.map(log_id_to)
}

/// A log id from a message, where there is one.
pub(crate) fn maybe_log_id_from(id: Option<proto::LogId>) -> Option<LogId> {
    id.map(log_id_from)
}

/// A member as a message.
pub fn member_to(node: u64, addresses: &NodeAddresses) -> proto::Member {
    proto::Member {
        node,
        peer: addresses.peer.clone(),
        client: addresses.client.clone(),
        http: addresses.http.clone(),
    }
}

/// A member from a message.
pub fn member_from(member: proto::Member) -> (u64, NodeAddresses) {
    (
        member.node,
        NodeAddresses {
            peer: member.peer,
            client: member.client,
            http: member.http,
        },
    )
}

/// A membership as a message.
pub fn membership_to(membership: &Membership) -> proto::Membership {
    proto::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|voters| proto::Voters {
                nodes: voters.iter().copied().collect(),
            })
            .collect(),
        members: membership
            .nodes()
            .map(|(&node, addresses)| member_to(node, addresses))
            .collect(),
    }
}

/// A membership from a message.
pub fn membership_from(membership: proto::Membership) -> Result<Membership, WireError> {
    let configs: Vec<BTreeSet<u64>> = membership
        .configs
        .into_iter()
        .map(|voters| voters.nodes.into_iter().collect())
        .collect();
    let nodes: BTreeMap<u64, NodeAddresses> = membership.members.into_iter().map(member_from).collect();
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|_| missing("membership"))
}

/// A membership and the entry that made it so, as bytes for a meta row.
pub fn encode_stored_membership(stored: &StoredMembership) -> Vec<u8> {
    proto::StoredMembership {
        log_id: maybe_log_id_to(stored.log_id().as_ref()),
        membership: Some(membership_to(stored.membership())),
    }
    .encode_to_vec()
}

/// What [`encode_stored_membership`] wrote.
pub fn decode_stored_membership(bytes: Bytes) -> Result<StoredMembership, WireError> {
    let stored = proto::StoredMembership::decode(bytes).map_err(|_| missing("stored membership"))?;
    let membership = membership_from(stored.membership.ok_or(missing("membership"))?)?;
    Ok(StoredMembership::new(
        maybe_log_id_from(stored.log_id),
        membership,
    ))
}

/// A log id as bytes for a meta row or a log record.
pub fn encode_log_id(id: &LogId) -> Vec<u8> {
    log_id_to(id).encode_to_vec()
}

/// What [`encode_log_id`] wrote.
pub fn decode_log_id(bytes: Bytes) -> Result<LogId, WireError> {
    proto::LogId::decode(bytes)
        .map(log_id_from)
        .map_err(|_| missing("log id"))
}

/// A vote as bytes for a log record.
pub fn encode_vote(vote: &Vote) -> Vec<u8> {
    vote_to(vote).encode_to_vec()
}

/// What [`encode_vote`] wrote.
pub fn decode_vote(bytes: Bytes) -> Result<Vote, WireError> {
    proto::Vote::decode(bytes)
        .map(vote_from)
        .map_err(|_| missing("vote"))
}

/// A membership as bytes, for the log record of an entry that carries one.
pub fn encode_membership(membership: &Membership) -> Vec<u8> {
    membership_to(membership).encode_to_vec()
}

/// What [`encode_membership`] wrote.
pub fn decode_membership(bytes: Bytes) -> Result<Membership, WireError> {
    membership_from(proto::Membership::decode(bytes).map_err(|_| missing("membership"))?)
}

/// An entry as a message; the batches' bytes are shared, not copied.
pub fn entry_to(entry: &LogEntry) -> proto::Entry {
    let payload = match &entry.payload {
        EntryPayload::Blank => proto::entry::Payload::Blank(proto::Blank {}),
        EntryPayload::Normal(Payload(bytes)) => proto::entry::Payload::Batches(bytes.clone()),
        EntryPayload::Membership(membership) => proto::entry::Payload::Membership(membership_to(membership)),
    };
    proto::Entry {
        log_id: Some(log_id_to(&entry.log_id)),
        payload: Some(payload),
    }
}

/// An entry from a message.
pub fn entry_from(entry: proto::Entry) -> Result<LogEntry, WireError> {
    let payload: LogPayload = match entry.payload.ok_or(missing("entry payload"))? {
        proto::entry::Payload::Blank(proto::Blank {}) => EntryPayload::Blank,
        proto::entry::Payload::Batches(bytes) => EntryPayload::Normal(Payload(bytes)),
        proto::entry::Payload::Membership(membership) => {
            EntryPayload::Membership(membership_from(membership)?)
        }
    };
    Ok(LogEntry {
        log_id: log_id_from(entry.log_id.ok_or(missing("entry log id"))?),
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u64) -> LogId {
        LogId {
            leader_id: LeaderId { term: 7, node_id: 2 },
            index,
        }
    }

    fn membership() -> Membership {
        let node = |name: &str| NodeAddresses {
            peer: format!("{name}:1"),
            client: format!("{name}:2"),
            http: format!("{name}:3"),
        };
        Membership::new(
            vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 3])],
            BTreeMap::from([(1, node("a")), (2, node("b")), (3, node("c")), (4, node("d"))]),
        )
        .unwrap()
    }

    #[test]
    fn entries_of_every_kind_come_back_as_they_went() {
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(Payload(Bytes::from_static(b"any bytes"))),
            EntryPayload::Membership(membership()),
        ];
        for payload in payloads {
            let entry = LogEntry {
                log_id: id(12),
                payload,
            };

            let bytes = entry_to(&entry).encode_to_vec();
            let back = entry_from(proto::Entry::decode(Bytes::from(bytes)).unwrap()).unwrap();

            assert_eq!(back, entry);
        }
    }

    #[test]
    fn a_stored_membership_comes_back_even_when_it_is_empty() {
        for stored in [
            StoredMembership::default(),
            StoredMembership::new(Some(id(3)), membership()),
        ] {
            let bytes = Bytes::from(encode_stored_membership(&stored));

            assert_eq!(decode_stored_membership(bytes), Ok(stored));
        }
    }

    #[test]
    fn what_a_peer_leaves_out_is_an_error_and_not_a_panic() {
        assert!(entry_from(proto::Entry::default()).is_err());
        assert!(
            membership_from(proto::Membership {
                configs: vec![proto::Voters { nodes: vec![1] }],
                members: Vec::new(),
            })
            .is_err()
        );
    }
}
