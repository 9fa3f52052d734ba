//! One slot of the watermark, as it lies on disk: fixed places for all numbers, a checksum over all of them.

use pushrail_model::ids::NodeId;

use crate::seal::Sealed;
use crate::types::{LeaderId, LogId, Vote};
use crate::watermark::Mark;

const MAGIC: [u8; 4] = *b"PRWM";
const VERSION: u8 = 2;
pub(super) const SLOT_BYTES: usize = 128;
/// Magic, version, what is there.
const HEAD_BYTES: usize = 8;
const NUMBERS: usize = 10;

/// A mark, whose it is, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) sequence: u64,
    pub(super) node: NodeId,
    pub(super) mark: Mark,
}

/// Why a slot cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Damaged,
    Version(u8),
}

impl Slot {
    pub(super) fn encode(&self) -> [u8; SLOT_BYTES] {
        let Mark { log, vote, sealed } = self.mark;
        let mut slot = [0; SLOT_BYTES];
        slot[..4].copy_from_slice(&MAGIC);
        slot[4] = VERSION;
        slot[5] = u8::from(log.is_some());
        slot[6] = u8::from(vote.is_some());
        slot[7] = u8::from(vote.is_some_and(|vote| vote.committed));
        let of_log = |of: fn(LogId) -> u64| log.map_or(0, of);
        let of_vote = |of: fn(Vote) -> u64| vote.map_or(0, of);
        let numbers: [u64; NUMBERS] = [
            self.sequence,
            self.node.0,
            of_log(|id| id.leader_id.term),
            of_log(|id| id.leader_id.node_id),
            of_log(|id| id.index),
            of_vote(|vote| vote.leader_id.term),
            of_vote(|vote| vote.leader_id.node_id),
            sealed.chunk,
            sealed.upto,
            u64::from(sealed.sum),
        ];
        for (place, number) in slot[HEAD_BYTES..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let sum = crc32c::crc32c(&slot[..SLOT_BYTES - 4]);
        slot[SLOT_BYTES - 4..].copy_from_slice(&sum.to_le_bytes());
        slot
    }

    /// `None`: it was never written.
    pub(super) fn decode(slot: &[u8; SLOT_BYTES]) -> Result<Option<Self>, Unreadable> {
        if slot.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let (checked, sum) = slot.split_last_chunk::<4>().ok_or(Unreadable::Damaged)?;
        if checked[..4] != MAGIC {
            return Err(Unreadable::Damaged);
        }
        if crc32c::crc32c(checked) != u32::from_le_bytes(*sum) {
            return Err(Unreadable::Damaged);
        }
        if checked[4] != VERSION {
            return Err(Unreadable::Version(checked[4]));
        }
        Ok(Some(read(checked).ok_or(Unreadable::Damaged)?))
    }
}

fn read(checked: &[u8]) -> Option<Slot> {
    let mut numbers = checked[HEAD_BYTES..].chunks_exact(8).filter_map(|number| {
        let bytes: [u8; 8] = number.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    });
    let sequence = numbers.next()?;
    let node = NodeId(numbers.next()?);
    let log = LogId {
        leader_id: LeaderId {
            term: numbers.next()?,
            node_id: numbers.next()?,
        },
        index: numbers.next()?,
    };
    let vote = Vote {
        leader_id: LeaderId {
            term: numbers.next()?,
            node_id: numbers.next()?,
        },
        committed: checked[7] == 1,
    };
    let sealed = Sealed {
        chunk: numbers.next()?,
        upto: numbers.next()?,
        sum: u32::try_from(numbers.next()?).ok()?,
    };
    let mark = Mark {
        log: (checked[5] == 1).then_some(log),
        vote: (checked[6] == 1).then_some(vote),
        sealed,
    };
    Some(Slot { sequence, node, mark })
}
