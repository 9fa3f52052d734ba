//! What lies in the log: each payload and vote behind our own header, each log id in a fixed form.
//!
//! The log's crate has checksums of its own, but takes a record that ends too early for one whose writing was
//! interrupted, and cuts it off with all that follows. A flipped length would look like that: so the header has a
//! checksum over itself, and a length that is not what we wrote is damage and never a torn tail.

use std::cmp::Ordering;
use std::io::{self, Read, Write};

use bytes::Bytes;
use openraft::EntryPayload;
use pushrail_model::limits::PEER_MESSAGE_BYTES_MAX;
use raft_log::Types;
use raft_log::codeq::{Decode, Encode};

use crate::flush::Flushing;
use crate::types::{LeaderId, LogEntry, LogId, LogPayload, Payload, Vote};
use crate::wire;

const MAGIC: [u8; 2] = *b"PL";
const VERSION: u8 = 1;
/// Magic, version, kind, length, checksum of the body, checksum of all before.
const HEADER_BYTES: usize = 16;

const BLANK: u8 = 0;
const BATCHES: u8 = 1;
const MEMBERSHIP: u8 = 2;
const VOTE: u8 = 3;

/// The log's crate, told what we keep in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogTypes;

impl Types for LogTypes {
    type LogId = IdRecord;
    type LogPayload = PayloadRecord;
    type Vote = VoteRecord;
    type Callback = Flushing;
    type UserData = ();

    fn log_index(id: &IdRecord) -> u64 {
        id.0.index
    }

    fn payload_size(payload: &PayloadRecord) -> u64 {
        (payload.body.len() + HEADER_BYTES) as u64
    }
}

/// An entry's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IdRecord(pub(crate) LogId);

impl Encode for IdRecord {
    fn encode<W: Write>(&self, mut out: W) -> io::Result<usize> {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.0.leader_id.term.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.0.leader_id.node_id.to_be_bytes());
        bytes[16..].copy_from_slice(&self.0.index.to_be_bytes());
        out.write_all(&bytes)?;
        Ok(bytes.len())
    }
}

impl Decode for IdRecord {
    fn decode<R: Read>(mut from: R) -> io::Result<Self> {
        let mut number = || {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes)?;
            io::Result::Ok(u64::from_be_bytes(bytes))
        };
        Ok(Self(LogId {
            leader_id: LeaderId {
                term: number()?,
                node_id: number()?,
            },
            index: number()?,
        }))
    }
}

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PayloadRecord {
    kind: u8,
    body: Bytes,
}

impl PayloadRecord {
    /// As it will lie in the log; batches are shared, not copied.
    pub(crate) fn of(payload: LogPayload) -> Self {
        match payload {
            EntryPayload::Blank => Self {
                kind: BLANK,
                body: Bytes::new(),
            },
            EntryPayload::Normal(Payload(body)) => Self { kind: BATCHES, body },
            EntryPayload::Membership(membership) => Self {
                kind: MEMBERSHIP,
                body: wire::encode_membership(&membership).into(),
            },
        }
    }

    /// Bytes that it carries, without header.
    pub(crate) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// The entry at `id` that it makes.
    pub(crate) fn into_entry(self, id: LogId) -> io::Result<LogEntry> {
        let payload = match self.kind {
            BLANK => EntryPayload::Blank,
            BATCHES => EntryPayload::Normal(Payload(self.body)),
            MEMBERSHIP => EntryPayload::Membership(
                wire::decode_membership(self.body).map_err(|error| damaged(error.to_string()))?,
            ),
            kind => return Err(damaged(format!("an entry of kind {kind}"))),
        };
        Ok(LogEntry { log_id: id, payload })
    }
}

impl Encode for PayloadRecord {
    fn encode<W: Write>(&self, out: W) -> io::Result<usize> {
        frame(self.kind, &self.body, out)
    }
}

impl Decode for PayloadRecord {
    fn decode<R: Read>(from: R) -> io::Result<Self> {
        let (kind, body) = unframe(from)?;
        match kind {
            BLANK | BATCHES | MEMBERSHIP => Ok(Self { kind, body }),
            kind => Err(damaged(format!("an entry of kind {kind}"))),
        }
    }
}

/// For whom this node voted, and whether that was granted by a majority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VoteRecord(pub(crate) Vote);

impl PartialOrd for VoteRecord {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.0.partial_cmp(&other.0)
    }
}

impl Encode for VoteRecord {
    fn encode<W: Write>(&self, out: W) -> io::Result<usize> {
        frame(VOTE, &wire::encode_vote(&self.0), out)
    }
}

impl Decode for VoteRecord {
    fn decode<R: Read>(from: R) -> io::Result<Self> {
        match unframe(from)? {
            (VOTE, body) => wire::decode_vote(body)
                .map(Self)
                .map_err(|error| damaged(error.to_string())),
            (kind, _) => Err(damaged(format!("a vote of kind {kind}"))),
        }
    }
}

fn frame<W: Write>(kind: u8, body: &[u8], mut out: W) -> io::Result<usize> {
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= PEER_MESSAGE_BYTES_MAX)
        .ok_or_else(|| io::Error::other(format!("a log record of {} bytes is too long", body.len())))?;
    let mut header = [0; HEADER_BYTES];
    header[..2].copy_from_slice(&MAGIC);
    header[2] = VERSION;
    header[3] = kind;
    header[4..8].copy_from_slice(&length.to_le_bytes());
    header[8..12].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    let own = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&own.to_le_bytes());
    out.write_all(&header)?;
    out.write_all(body)?;
    Ok(HEADER_BYTES + body.len())
}

fn unframe<R: Read>(mut from: R) -> io::Result<(u8, Bytes)> {
    let mut header = [0; HEADER_BYTES];
    from.read_exact(&mut header)?;
    let [
        m0,
        m1,
        version,
        kind,
        l0,
        l1,
        l2,
        l3,
        b0,
        b1,
        b2,
        b3,
        h0,
        h1,
        h2,
        h3,
    ] = header;
    if [m0, m1] != MAGIC || crc32c::crc32c(&header[..12]) != u32::from_le_bytes([h0, h1, h2, h3]) {
        return Err(damaged("the header of a log record".into()));
    }
    if version != VERSION {
        return Err(damaged(format!("a log record of version {version}")));
    }
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    let mut body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    from.read_exact(&mut body)?;
    if crc32c::crc32c(&body) != u32::from_le_bytes([b0, b1, b2, b3]) {
        return Err(damaged("the body of a log record".into()));
    }
    Ok((kind, body.into()))
}

/// Anything but `UnexpectedEof`: that would be read as a tail whose writing was interrupted.
fn damaged(what: String) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{what} is damaged, or written by a later version"),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::types::{Membership, NodeAddresses};

    fn bytes_of(record: &impl Encode) -> Vec<u8> {
        let mut out = Vec::new();
        record.encode(&mut out).unwrap();
        out
    }

    #[test]
    fn every_kind_of_payload_comes_back_as_it_was() {
        let nodes: BTreeMap<_, _> = [(1, NodeAddresses::default())].into();
        let membership = Membership::new(vec![BTreeSet::from([1])], nodes).unwrap();
        let id = LogId {
            leader_id: LeaderId { term: 3, node_id: 2 },
            index: 9,
        };

        for payload in [
            EntryPayload::Blank,
            EntryPayload::Normal(Payload(Bytes::from_static(b"batches"))),
            EntryPayload::Membership(membership),
        ] {
            let written = bytes_of(&PayloadRecord::of(payload.clone()));
            let read = PayloadRecord::decode(written.as_slice()).unwrap();
            assert_eq!(read.into_entry(id).unwrap().payload, payload);
        }
        assert_eq!(
            IdRecord::decode(bytes_of(&IdRecord(id)).as_slice()).unwrap().0,
            id
        );
    }

    #[test]
    fn no_flipped_bit_reads_as_a_torn_tail() {
        let record = PayloadRecord::of(EntryPayload::Normal(Payload(Bytes::from_static(b"some batches"))));
        let written = bytes_of(&record);

        for bit in 0..written.len() * 8 {
            let mut flipped = written.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = PayloadRecord::decode(flipped.as_slice()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "bit {bit}");
        }
    }

    #[test]
    fn a_record_that_ends_early_reads_as_a_torn_tail() {
        let written = bytes_of(&PayloadRecord::of(EntryPayload::Normal(Payload(
            Bytes::from_static(b"some batches"),
        ))));

        for length in 0..written.len() {
            let error = PayloadRecord::decode(&written[..length]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length} bytes");
        }
    }
}
