//! Every figure of a node with its labels and its meaning, in the order of `node/docs/metrics.md`.

use pushrail_raft::metrics as raft;

use super::{
    ATTEMPT_DURATION_SECONDS, ATTEMPTS_IN_FLIGHT, ATTEMPTS_TOTAL, BUILD_INFO, CREDENTIALS,
    CREDENTIALS_SEALED_ANEW_TOTAL, DEAD_LETTERS, DELIVERIES_TOTAL, OLDEST_PENDING_AGE_SECONDS, PENDING,
    PUBLISH_ACK_DURATION_SECONDS, PUBLISH_ACKNOWLEDGED_TOTAL, PUBLISH_REJECTED_TOTAL,
    PUBLISH_TO_RECEIVER_SECONDS, RETENTION_DROPPED_TOTAL, RETRIES_SCHEDULED_TOTAL, ROCKSDB_BACKGROUND_ERRORS,
    ROCKSDB_BACKGROUND_JOBS, ROCKSDB_BLOB_BYTES, ROCKSDB_CACHE_BYTES, ROCKSDB_COMPACTION_PENDING_BYTES,
    ROCKSDB_LEVEL_FILES, ROCKSDB_LEVEL0_FILES, ROCKSDB_MEMTABLE_BYTES, ROCKSDB_TABLE_BYTES,
    ROCKSDB_WRITES_STALLED, SHARDS_OWNED, UNRECORDED,
};

/// What sort of figure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// How often which size was met.
    Histogram,
}

impl Sort {
    /// As the page names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// Of what sort.
    pub sort: Sort,
    /// Its labels, all from closed sets.
    pub labels: &'static [&'static str],
    /// What it says.
    pub what: &'static str,
}

const fn figure(
    name: &'static str,
    sort: Sort,
    labels: &'static [&'static str],
    what: &'static str,
) -> Figure {
    Figure {
        name,
        sort,
        labels,
        what,
    }
}

/// Every figure of a node, in the order of the page.
pub const ALL: &[Figure] = &[
    figure(
        DELIVERIES_TOTAL,
        Sort::Counter,
        &["kind", "outcome"],
        "deliveries that came to an end here: `delivered` or `dead`",
    ),
    figure(
        ATTEMPTS_TOTAL,
        Sort::Counter,
        &["kind", "outcome", "class", "cause"],
        "attempts made by this node; `class` and `cause` are `none` where it was delivered",
    ),
    figure(
        ATTEMPT_DURATION_SECONDS,
        Sort::Histogram,
        &["kind", "outcome"],
        "how long an attempt took",
    ),
    figure(
        RETRIES_SCHEDULED_TOTAL,
        Sort::Counter,
        &["kind"],
        "retries that attempts of this node led to",
    ),
    figure(
        PUBLISH_ACKNOWLEDGED_TOTAL,
        Sort::Counter,
        &["outcome"],
        "events that this door acknowledged: `accepted`, or `duplicate` where the idempotency key was known",
    ),
    figure(
        PUBLISH_TO_RECEIVER_SECONDS,
        Sort::Histogram,
        &["kind"],
        "from an event's acceptance to its receiver's yes, where the first attempt got one",
    ),
    figure(
        PUBLISH_ACK_DURATION_SECONDS,
        Sort::Histogram,
        &[],
        "from the arrival of a publish at this door to its acknowledgement",
    ),
    figure(
        PUBLISH_REJECTED_TOTAL,
        Sort::Counter,
        &["reason"],
        "events that this door did not accept; the reasons are those of the API's errors",
    ),
    figure(
        PENDING,
        Sort::Gauge,
        &[],
        "deliveries scheduled in the shards that this node owns",
    ),
    figure(
        OLDEST_PENDING_AGE_SECONDS,
        Sort::Gauge,
        &[],
        "how long the oldest due delivery of this node's shards has been due, held destinations aside",
    ),
    figure(
        DEAD_LETTERS,
        Sort::Gauge,
        &[],
        "dead letters of the whole cluster, as this node's state has them; looked up every 5 s, so a scrape may find it that much behind",
    ),
    figure(
        RETENTION_DROPPED_TOTAL,
        Sort::Counter,
        &["what"],
        "what went because its retention had ended: `attempt_days` (of a tenant), `dead_letters`, `events`, `idempotency_keys`, `requests` (what is left of them); counted by the leader",
    ),
    figure(
        ATTEMPTS_IN_FLIGHT,
        Sort::Gauge,
        &[],
        "attempts of this node under way",
    ),
    figure(
        UNRECORDED,
        Sort::Gauge,
        &[],
        "deliveries started here whose attempt is not on record yet",
    ),
    figure(
        SHARDS_OWNED,
        Sort::Gauge,
        &[],
        "shards that this node delivers for",
    ),
    figure(
        raft::LEASE_REMAINING_SECONDS,
        Sort::Gauge,
        &[],
        "how long this node may still start attempts without hearing from the leader",
    ),
    figure(
        raft::CLOCK_OFFSET_SECONDS,
        Sort::Gauge,
        &["node"],
        "on the leader: how far a member's wall clock is ahead of the median of a majority's; elsewhere 0",
    ),
    figure(
        raft::CLOCKS_APART,
        Sort::Gauge,
        &[],
        "1 on a leader that accepts nothing because its clock and those of a majority differ too far, else 0",
    ),
    figure(
        raft::STATE_TIME_OFFSET_SECONDS,
        Sort::Gauge,
        &[],
        "on the leader: how far the state's time is ahead of the median of a majority's clocks; elsewhere 0",
    ),
    figure(
        raft::RAFT_IS_LEADER,
        Sort::Gauge,
        &[],
        "1 while this node leads, else 0",
    ),
    figure(raft::RAFT_TERM, Sort::Gauge, &[], "the present term"),
    figure(
        raft::RAFT_LEADER_CHANGES_TOTAL,
        Sort::Counter,
        &[],
        "how often this node saw another leader than before",
    ),
    figure(
        raft::RAFT_APPLIED_LAG_ENTRIES,
        Sort::Gauge,
        &[],
        "entries known to be committed that this node has not applied",
    ),
    figure(raft::RAFT_LOG_BYTES, Sort::Gauge, &[], "bytes of the log on disk"),
    figure(
        raft::RAFT_FSYNC_DURATION_SECONDS,
        Sort::Histogram,
        &[],
        "how long one fsync of the log took",
    ),
    figure(
        raft::APPLY_DURATION_SECONDS,
        Sort::Histogram,
        &[],
        "how long applying one group of entries took",
    ),
    figure(
        raft::SCRUB_BYTES_TOTAL,
        Sort::Counter,
        &[],
        "bytes of the state that were read and found whole, in the background",
    ),
    figure(
        raft::SCRUB_ROUNDS_TOTAL,
        Sort::Counter,
        &[],
        "times that all of the state was read through; what it finds damaged stops the node",
    ),
    figure(
        raft::SCRUB_PROGRESS_RATIO,
        Sort::Gauge,
        &[],
        "what part of the state the present round has read, 0 to 1",
    ),
    figure(
        raft::PROPOSE_DURATION_SECONDS,
        Sort::Histogram,
        &[],
        "from a command's arrival at the log to its answer",
    ),
    figure(
        raft::PROPOSE_FAILED_TOTAL,
        Sort::Counter,
        &["outcome"],
        "commands without an answer: `not_accepted` or `unknown`",
    ),
    figure(
        raft::PROPOSE_RESENT_TOTAL,
        Sort::Counter,
        &[],
        "batches that were sent again",
    ),
    figure(
        raft::ENTRY_BATCHES,
        Sort::Histogram,
        &[],
        "batches in one entry of this leader",
    ),
    figure(
        raft::ENTRY_BYTES,
        Sort::Histogram,
        &[],
        "bytes of one entry of this leader",
    ),
    figure(
        CREDENTIALS,
        Sort::Gauge,
        &["state"],
        "destinations of the whole cluster by how their credentials lie, as this node sees it: `sealed` by its first \
         key, `retiring` under another of its keys, `unsealed`, or `locked`: by a key that it has not got",
    ),
    figure(
        CREDENTIALS_SEALED_ANEW_TOTAL,
        Sort::Counter,
        &[],
        "destinations whose credentials this node sealed anew while it led",
    ),
    figure(
        ROCKSDB_MEMTABLE_BYTES,
        Sort::Gauge,
        &[],
        "bytes in the memtables of the state's database",
    ),
    figure(ROCKSDB_CACHE_BYTES, Sort::Gauge, &[], "bytes in its block cache"),
    figure(ROCKSDB_TABLE_BYTES, Sort::Gauge, &[], "bytes of its table files"),
    figure(ROCKSDB_BLOB_BYTES, Sort::Gauge, &[], "bytes of its blob files"),
    figure(
        ROCKSDB_COMPACTION_PENDING_BYTES,
        Sort::Gauge,
        &[],
        "bytes that its compaction still has to rewrite",
    ),
    figure(
        ROCKSDB_LEVEL0_FILES,
        Sort::Gauge,
        &[],
        "files of its level 0, in the column family that has most",
    ),
    figure(
        ROCKSDB_LEVEL_FILES,
        Sort::Gauge,
        &["level"],
        "files of each of its levels, 0 to 6",
    ),
    figure(
        ROCKSDB_BACKGROUND_JOBS,
        Sort::Gauge,
        &[],
        "flushes and compactions of it under way",
    ),
    figure(
        ROCKSDB_BACKGROUND_ERRORS,
        Sort::Gauge,
        &[],
        "flushes and compactions of it that failed since the start; the first one ends the node",
    ),
    figure(
        ROCKSDB_WRITES_STALLED,
        Sort::Gauge,
        &[],
        "1 while writes to it are slowed down or stopped, else 0",
    ),
    figure(BUILD_INFO, Sort::Gauge, &["version"], "1"),
];
