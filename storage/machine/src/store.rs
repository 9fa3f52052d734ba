//! The one port to stored bytes. RocksDB and a `BTreeMap` both offer it; `apply` and every query see no more.

use std::ops::ControlFlow;

use bytes::Bytes;

/// One sort of rows; each has keys of one form and lies in one column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The state's clock, the cluster's identity, each partition's next tenant number: one byte, then the partition.
    Meta,
    /// partition, tenant number → tenant.
    Tenants,
    /// tenant id → partition, tenant number.
    TenantNames,
    /// partition, tenant, destination → destination.
    Destinations,
    /// partition, tenant, destination id → destination number.
    DestinationNames,
    /// partition, tenant, route id → route.
    Routes,
    /// shard → ownership.
    Assignment,
    /// partition, tenant, request id → replay.
    Replays,
    /// node → boot, lowest open batch.
    DoorHeads,
    /// node, boot, batch number → log index, answers.
    Doors,
    /// partition, tenant, hash of key → key, content hash, event, when.
    Idempotency,
    /// hour, partition, tenant, hash of key → nothing.
    IdempotencyExpiry,
    /// partition, tenant, seq → event.
    Events,
    /// partition, tenant, destination, seq → delivery.
    Deliveries,
    /// shard, tenant, destination, due time, seq → nothing.
    Due,
    /// partition, tenant, destination, died, seq → dead letter.
    DeadLetters,
    /// day, partition, tenant, destination, died, seq → nothing.
    DeadLetterExpiry,
    /// partition, tenant, destination → counters.
    DestinationCounts,
    /// shard → scheduled deliveries.
    ShardCounts,
    /// day, partition, tenant, destination, start, seq, run, number, epoch → attempt.
    Attempts,
    /// day, partition, tenant, start, destination, seq, run, number, epoch → nothing.
    AttemptsByTenant,
    /// partition, tenant → up to where its events are gone.
    EventCursors,
    /// partition, tenant, seq → an event that outlives its retention.
    CarriedEvents,
    /// partition, tenant, destination, cause → dead letters.
    CauseCounts,
    /// partition, tenant, job number → job.
    Jobs,
    /// partition, tenant, job number → nothing, while it runs.
    RunningJobs,
    /// partition, tenant, route number → a route as it was before it was changed or removed.
    FormerRoutes,
    /// partition, tenant, destination → a removal that is not through.
    Removals,
    /// partition, tenant id, 0, when, seq → change.
    Changes,
    /// when, seq, partition, tenant id → nothing.
    ChangesByTime,
    /// partition, tenant id, 0, sort, object id, 0, act, request id → what the request led to.
    Requests,
    /// hour, partition, tenant id, 0, sort, object id, 0, act, request id → nothing.
    RequestExpiry,
}

impl Table {
    /// All of them, in order.
    pub const ALL: [Self; 32] = [
        Self::Meta,
        Self::Tenants,
        Self::TenantNames,
        Self::Destinations,
        Self::DestinationNames,
        Self::Routes,
        Self::Assignment,
        Self::Replays,
        Self::DoorHeads,
        Self::Doors,
        Self::Idempotency,
        Self::IdempotencyExpiry,
        Self::Events,
        Self::Deliveries,
        Self::Due,
        Self::DeadLetters,
        Self::DeadLetterExpiry,
        Self::DestinationCounts,
        Self::ShardCounts,
        Self::Attempts,
        Self::AttemptsByTenant,
        Self::EventCursors,
        Self::CarriedEvents,
        Self::CauseCounts,
        Self::Jobs,
        Self::RunningJobs,
        Self::FormerRoutes,
        Self::Removals,
        Self::Changes,
        Self::ChangesByTime,
        Self::Requests,
        Self::RequestExpiry,
    ];
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key up.
    Ascending,
    /// From the largest key down.
    Descending,
}

/// Keys from `start` (included) to `end` (excluded); no `end`: to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that may be met.
    pub start: Vec<u8>,
    /// The first key beyond.
    pub end: Option<Vec<u8>>,
    /// Which way.
    pub direction: Direction,
}

impl KeyRange {
    /// All keys that begin with `prefix`, ascending.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self {
            start: prefix.to_vec(),
            end: prefix_end(prefix),
            direction: Direction::Ascending,
        }
    }

    /// The same keys, from the largest down.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.direction = Direction::Descending;
        self
    }

    /// Whether no key can lie in it.
    pub fn is_empty(&self) -> bool {
        self.end
            .as_deref()
            .is_some_and(|end| end <= self.start.as_slice())
    }

    /// Whether `key` lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.end.as_deref().is_none_or(|end| key < end)
    }
}

/// The smallest key above all that begin with `prefix`; `None` where there is none (all bytes 255, or empty).
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 255)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

/// What a scan calls with each key and value; `Break` ends it.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'a;

/// One consistent sight of stored rows.
pub trait Read {
    /// The value at `key`.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Shows the rows of `range` to `visit`, one by one, in the range's direction.
    fn scan(&self, table: Table, range: KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError>;
}

/// One pending write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a row.
    Put {
        /// Where.
        table: Table,
        /// Its key.
        key: Vec<u8>,
        /// Its value.
        value: Bytes,
    },
    /// Removes a row.
    Delete {
        /// Where.
        table: Table,
        /// Its key.
        key: Vec<u8>,
    },
    /// Removes all rows from `start` (included) to `end` (excluded).
    DeleteRange {
        /// Where.
        table: Table,
        /// The first key removed.
        start: Vec<u8>,
        /// The first key kept.
        end: Vec<u8>,
    },
}

/// What a batch of entries changes; committed in one write with the applied index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(pub Vec<Change>);

/// The node cannot trust or reach its bytes: it stops.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the database failed.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Stored bytes are not what was written.
    #[error("{table:?} row {key} is damaged: {what}")]
    Damaged {
        /// Where.
        table: Table,
        /// Its key, in hex.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// A later version wrote a row that this one does not know: it must stop, never skip.
    #[error(
        "{table:?} row {key} was written by a later version of this program, which must go on with it: {what}"
    )]
    UnknownRow {
        /// Where.
        table: Table,
        /// Its key, in hex.
        key: String,
        /// What is not known.
        what: String,
    },
    /// An entry of the log is not what was proposed.
    #[error("log entry {index} is damaged: {what}")]
    DamagedEntry {
        /// Which entry.
        index: u64,
        /// What is wrong with it.
        what: String,
    },
    /// An entry holds what this version does not know: it must stop, never skip.
    #[error(
        "log entry {index} was proposed by a later version of this program, which must go on with it: {what}"
    )]
    UnknownCommand {
        /// Which entry.
        index: u64,
        /// What is not known.
        what: String,
    },
}
