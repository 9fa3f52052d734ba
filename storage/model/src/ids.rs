//! Who is who: names that callers choose, numbers that the state gives out, and public ids made of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::base32;
use crate::limits;
use crate::shard::Partition;

/// A text is not an id of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is no {kind}: {rule}")]
pub struct InvalidId {
    /// What it should have been: `tenant`, `event id`, …
    pub kind: &'static str,
    /// The rule it breaks.
    pub rule: &'static str,
    /// What was given, cut to a readable length.
    pub value: String,
}

fn invalid(kind: &'static str, rule: &'static str, value: &str) -> InvalidId {
    InvalidId {
        kind,
        rule,
        value: value.chars().take(80).collect(),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidId;

            /// Takes 1 to 64 letters of `[a-z0-9-]`.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let rule = "1 to 64 characters of a-z, 0-9 and -";
                let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                if text.is_empty() || text.len() > limits::NAME_BYTES_MAX || !text.bytes().all(known) {
                    return Err(invalid($kind, rule, text));
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A tenant's public id, chosen by the caller or made.
    TenantId,
    "tenant id"
);
name!(
    /// A destination's public id, unique within its tenant.
    DestinationId,
    "destination id"
);
name!(
    /// A route's public id, unique within its tenant.
    RouteId,
    "route id"
);

macro_rules! number {
    ($(#[$doc:meta])* $type:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub $inner);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A tenant inside keys: given out once by the state within its partition, never again.
    TenantNo, u32
);
number!(
    /// A destination inside keys: given out once within its tenant, never again.
    DestinationNo, u32
);
number!(
    /// A route inside events' decisions: given out once within its tenant, never again.
    RouteNo, u32
);
number!(
    /// A node of the cluster; never reused.
    NodeId, u64
);
number!(
    /// A place in the replicated log.
    LogIndex, u64
);
number!(
    /// One start of a node's process: larger than all before it on that node.
    BootId, u64
);
number!(
    /// A door's own number of one of its batches within one boot, from 1.
    BatchNumber, u64
);
number!(
    /// The number of one ownership of a shard; only rises.
    Epoch, u64
);
number!(
    /// A delivery's life: 1 when accepted, one more for each replay.
    Run, u32
);
number!(
    /// An attempt's number within its run, from 1.
    AttemptNumber, u32
);

number!(
    /// A job inside keys: counted from 1 within its tenant.
    JobNo, u64
);

/// A job's public id, `job_…`: its number within its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub JobNo);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job_{}", self.0)
    }
}

impl FromStr for JobId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = text.strip_prefix("job_").and_then(|digits| digits.parse().ok());
        let number = number.filter(|number| format!("job_{number}") == text);
        number
            .map(|number| Self(JobNo(number)))
            .ok_or_else(|| invalid("job id", "`job_` and its number, as an answer gave it", text))
    }
}

/// Where an event stands in the log: the entry's index, and its place among all events of that entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventSeq {
    /// Index of the entry that accepted it.
    pub index: u64,
    /// Place over the whole entry, from 0.
    pub position: u32,
}

impl EventSeq {
    /// Before every event.
    pub const ZERO: Self = Self {
        index: 0,
        position: 0,
    };

    /// Big-endian, as it stands in keys.
    pub fn to_bytes(self) -> [u8; 12] {
        let mut out = [0; 12];
        out[..8].copy_from_slice(&self.index.to_be_bytes());
        out[8..].copy_from_slice(&self.position.to_be_bytes());
        out
    }

    /// Reads back what [`EventSeq::to_bytes`] wrote.
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self {
            index: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            position: u32::from_be_bytes([i, j, k, l]),
        }
    }
}

/// An event's public id, `evt_…`: its partition and place in the log, so it sorts by acceptance and is found
/// without an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// The tenant's partition.
    pub partition: Partition,
    /// Its place.
    pub seq: EventSeq,
}

impl EventId {
    fn to_bytes(self) -> [u8; 14] {
        let mut out = [0; 14];
        out[..2].copy_from_slice(&self.partition.number().to_be_bytes());
        out[2..].copy_from_slice(&self.seq.to_bytes());
        out
    }

    fn from_slice(bytes: &[u8]) -> Option<Self> {
        let (partition, seq) = bytes.split_first_chunk::<2>()?;
        let seq: [u8; 12] = seq.try_into().ok()?;
        Some(Self {
            partition: Partition::new(u16::from_be_bytes(*partition))?,
            seq: EventSeq::from_bytes(seq),
        })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}", base32::encode(&self.to_bytes()))
    }
}

impl FromStr for EventId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.strip_prefix("evt_")
            .and_then(base32::decode::<14>)
            .and_then(|bytes| Self::from_slice(&bytes))
            .ok_or_else(|| invalid("event id", "`evt_` and 23 base32 characters", text))
    }
}

/// A delivery's public id, `dlv_…`: its event and its place in the event's list of destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// The event owed.
    pub event: EventId,
    /// Place in the event's destinations, from 0.
    pub place: u16,
}

impl DeliveryId {
    fn to_bytes(self) -> [u8; 16] {
        let mut out = [0; 16];
        out[..14].copy_from_slice(&self.event.to_bytes());
        out[14..].copy_from_slice(&self.place.to_be_bytes());
        out
    }

    fn from_slice(bytes: &[u8]) -> Option<Self> {
        let (event, place) = bytes.split_at_checked(14)?;
        Some(Self {
            event: EventId::from_slice(event)?,
            place: u16::from_be_bytes(place.try_into().ok()?),
        })
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dlv_{}", base32::encode(&self.to_bytes()))
    }
}

impl FromStr for DeliveryId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.strip_prefix("dlv_")
            .and_then(base32::decode::<16>)
            .and_then(|bytes| Self::from_slice(&bytes))
            .ok_or_else(|| invalid("delivery id", "`dlv_` and 26 base32 characters", text))
    }
}

/// An attempt's public id, `att_…`: delivery, run, number and the epoch of the owner that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// What was tried.
    pub delivery: DeliveryId,
    /// In which life of it.
    pub run: Run,
    /// The how manyeth time.
    pub number: AttemptNumber,
    /// Under which ownership of the shard.
    pub epoch: Epoch,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.delivery.to_bytes());
        bytes[16..20].copy_from_slice(&self.run.0.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.number.0.to_be_bytes());
        bytes[24..].copy_from_slice(&self.epoch.0.to_be_bytes());
        write!(f, "att_{}", base32::encode(&bytes))
    }
}

/// A change's public id, `chg_…`: its place in the log, so that it sorts by when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(pub EventSeq);

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chg_{}", base32::encode(&self.0.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_ids_come_back_from_their_text() {
        let event = EventId {
            partition: Partition::of(&"acme".parse().unwrap()),
            seq: EventSeq {
                index: 77_000,
                position: 12,
            },
        };
        let delivery = DeliveryId { event, place: 3 };

        assert_eq!(event.to_string().parse::<EventId>(), Ok(event));
        assert_eq!(delivery.to_string().parse::<DeliveryId>(), Ok(delivery));
        assert_eq!(event.to_string().len(), 27);
        assert_eq!("job_17".parse::<JobId>(), Ok(JobId(JobNo(17))));
        for wrong in ["job_", "job_017", "job_+1", "17", "evt_17"] {
            assert!(wrong.parse::<JobId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_short_and_lower_case() {
        assert!("acme-1".parse::<TenantId>().is_ok());
        for wrong in ["", "Acme", "a b", "ä", &"x".repeat(65)] {
            assert!(wrong.parse::<TenantId>().is_err(), "{wrong}");
        }
    }
}
