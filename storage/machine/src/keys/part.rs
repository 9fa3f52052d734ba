//! The parts of keys and how they stand there: numbers big-endian, so that bytes sort as numbers do; a name as its
//! text, which ends the key.

use pushrail_model::ids::{
    AttemptNumber, BatchNumber, BootId, DestinationId, DestinationNo, Epoch, EventSeq, JobNo, NodeId,
    RouteId, RouteNo, Run, TenantId, TenantNo,
};
use pushrail_model::outcome::Cause;
use pushrail_model::shard::{Partition, ShardId};
use pushrail_model::time::Timestamp;

/// A part of a key: of fixed length, or a name that ends the key.
pub(crate) trait Part: Sized {
    /// Appends it.
    fn write(&self, key: &mut Vec<u8>);

    /// Takes it off the front.
    fn read(rest: &mut &[u8]) -> Option<Self>;
}

/// The bytes that all keys with these first parts begin with.
pub(crate) fn prefix(parts: &[&dyn Prefix]) -> Vec<u8> {
    let mut key = Vec::with_capacity(24);
    for part in parts {
        part.append(&mut key);
    }
    key
}

/// A part seen as an object, for [`prefix`].
pub(crate) trait Prefix {
    /// Appends it.
    fn append(&self, key: &mut Vec<u8>);
}

impl<T: Part> Prefix for T {
    fn append(&self, key: &mut Vec<u8>) {
        self.write(key);
    }
}

macro_rules! number_parts {
    ($($type:ty),+) => {$(
        impl Part for $type {
            fn write(&self, key: &mut Vec<u8>) {
                key.extend_from_slice(&self.to_be_bytes());
            }

            fn read(rest: &mut &[u8]) -> Option<Self> {
                let (bytes, after) = rest.split_first_chunk()?;
                *rest = after;
                Some(Self::from_be_bytes(*bytes))
            }
        }
    )+};
}

number_parts!(u8, u16, u32, u64, u128);

macro_rules! newtype_parts {
    ($($type:ident),+) => {$(
        impl Part for $type {
            fn write(&self, key: &mut Vec<u8>) {
                self.0.write(key);
            }

            fn read(rest: &mut &[u8]) -> Option<Self> {
                Some(Self(Part::read(rest)?))
            }
        }
    )+};
}

newtype_parts!(
    TenantNo,
    DestinationNo,
    RouteNo,
    NodeId,
    BootId,
    BatchNumber,
    Epoch,
    Run,
    AttemptNumber,
    JobNo,
    Timestamp
);

macro_rules! checked_parts {
    ($($type:ident),+) => {$(
        impl Part for $type {
            fn write(&self, key: &mut Vec<u8>) {
                self.number().write(key);
            }

            fn read(rest: &mut &[u8]) -> Option<Self> {
                Self::new(Part::read(rest)?)
            }
        }
    )+};
}

checked_parts!(Partition, ShardId);

macro_rules! name_parts {
    ($($type:ty),+) => {$(
        impl Part for $type {
            fn write(&self, key: &mut Vec<u8>) {
                key.extend_from_slice(self.as_str().as_bytes());
            }

            fn read(rest: &mut &[u8]) -> Option<Self> {
                std::str::from_utf8(std::mem::take(rest)).ok()?.parse().ok()
            }
        }
    )+};
}

name_parts!(TenantId, DestinationId, RouteId, String);

/// A name in the middle of a key: a byte that no name holds ends it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ended<T>(pub(crate) T);

impl<T: Part> Part for Ended<T> {
    fn write(&self, key: &mut Vec<u8>) {
        self.0.write(key);
        key.push(0);
    }

    fn read(rest: &mut &[u8]) -> Option<Self> {
        let end = rest.iter().position(|&byte| byte == 0)?;
        let (mut name, after) = rest.split_at_checked(end)?;
        *rest = after.get(1..)?;
        Part::read(&mut name).map(Self)
    }
}

impl Part for EventSeq {
    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.to_bytes());
    }

    fn read(rest: &mut &[u8]) -> Option<Self> {
        let (bytes, after) = rest.split_first_chunk()?;
        *rest = after;
        Some(Self::from_bytes(*bytes))
    }
}

/// Causes stand in keys under fixed numbers, those of their protobuf.
const CAUSES: [(Cause, u8); 11] = [
    (Cause::Duplicate, 1),
    (Cause::Network, 2),
    (Cause::Timeout, 3),
    (Cause::Throttle, 4),
    (Cause::Server, 5),
    (Cause::Auth, 6),
    (Cause::Missing, 7),
    (Cause::Rejected, 8),
    (Cause::TooLarge, 9),
    (Cause::Bystander, 10),
    (Cause::Unknown, 11),
];

impl Part for Cause {
    fn write(&self, key: &mut Vec<u8>) {
        let number = CAUSES.iter().find(|(cause, _)| cause == self);
        key.push(number.expect("every cause has its number").1);
    }

    fn read(rest: &mut &[u8]) -> Option<Self> {
        let number = u8::read(rest)?;
        let found = CAUSES.iter().find(|(_, other)| *other == number);
        found.map(|(cause, _)| *cause)
    }
}
