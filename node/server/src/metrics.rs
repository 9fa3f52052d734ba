//! What the process counts and measures: every name once, with its meaning. `node/docs/metrics.md` is this table as a
//! page, and a test holds the two together.

mod page;

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use pushrail_raft::metrics as raft;

pub use page::{ALL, Figure, Sort};

use crate::services::reasons;

/// Deliveries that came to an end, by `kind` and `outcome` (`delivered`, `dead`).
pub const DELIVERIES_TOTAL: &str = "pushrail_deliveries_total";
/// Attempts made, by `kind`, `outcome`, `class` and `cause`.
pub const ATTEMPTS_TOTAL: &str = "pushrail_attempts_total";
/// How long an attempt took, by `kind` and `outcome`.
pub const ATTEMPT_DURATION_SECONDS: &str = "pushrail_attempt_duration_seconds";
/// Retries that were scheduled.
pub const RETRIES_SCHEDULED_TOTAL: &str = "pushrail_retries_scheduled_total";
/// From the arrival of a publish at this door to its acknowledgement.
pub const PUBLISH_ACK_DURATION_SECONDS: &str = "pushrail_publish_ack_duration_seconds";
/// Events not accepted, by `reason`.
pub const PUBLISH_REJECTED_TOTAL: &str = "pushrail_publish_rejected_total";
/// Events that this door acknowledged, by `outcome` (`accepted`, `duplicate`).
pub const PUBLISH_ACKNOWLEDGED_TOTAL: &str = "pushrail_publish_acknowledged_total";
/// From the acceptance of an event to its receiver's yes, where the first attempt got it.
pub const PUBLISH_TO_RECEIVER_SECONDS: &str = "pushrail_publish_to_receiver_seconds";
/// Deliveries scheduled in the shards that this node owns.
pub const PENDING: &str = "pushrail_pending";
/// How long the oldest due delivery of this node's shards has been due.
pub const OLDEST_PENDING_AGE_SECONDS: &str = "pushrail_oldest_pending_age_seconds";
/// Dead letters in the cluster, as this node's state has them.
pub const DEAD_LETTERS: &str = "pushrail_dead_letters";
/// What went because its retention had ended, by `what`; counted by the leader.
pub const RETENTION_DROPPED_TOTAL: &str = "pushrail_retention_dropped_total";
/// Attempts under way on this node.
pub const ATTEMPTS_IN_FLIGHT: &str = "pushrail_attempts_in_flight";
/// Deliveries started here whose attempt is not on record yet.
pub const UNRECORDED: &str = "pushrail_unrecorded";
/// Shards that this node delivers for.
pub const SHARDS_OWNED: &str = "pushrail_shards_owned";
/// Destinations whose credential is `sealed` by this node's first key, lies under another of its keys (`retiring`), lies
/// there `unsealed`, or cannot be read here (`locked`), by `state`.
pub const CREDENTIALS: &str = "pushrail_credentials";
/// Destinations whose credentials this node sealed anew while it led.
pub const CREDENTIALS_SEALED_ANEW_TOTAL: &str = "pushrail_credentials_sealed_anew_total";
/// Bytes in the state's memtables.
pub const ROCKSDB_MEMTABLE_BYTES: &str = "pushrail_rocksdb_memtable_bytes";
/// Bytes in the state's block cache.
pub const ROCKSDB_CACHE_BYTES: &str = "pushrail_rocksdb_cache_bytes";
/// Bytes of the state's table files.
pub const ROCKSDB_TABLE_BYTES: &str = "pushrail_rocksdb_table_bytes";
/// Bytes of the state's blob files.
pub const ROCKSDB_BLOB_BYTES: &str = "pushrail_rocksdb_blob_bytes";
/// Bytes that compaction still has to rewrite.
pub const ROCKSDB_COMPACTION_PENDING_BYTES: &str = "pushrail_rocksdb_compaction_pending_bytes";
/// Files of level 0 in the column family that has most.
pub const ROCKSDB_LEVEL0_FILES: &str = "pushrail_rocksdb_level0_files";
/// Files of each level, by `level`.
pub const ROCKSDB_LEVEL_FILES: &str = "pushrail_rocksdb_level_files";
/// Flushes and compactions under way.
pub const ROCKSDB_BACKGROUND_JOBS: &str = "pushrail_rocksdb_background_jobs";
/// Flushes and compactions that failed since the start.
pub const ROCKSDB_BACKGROUND_ERRORS: &str = "pushrail_rocksdb_background_errors";
/// Whether writes are held back.
pub const ROCKSDB_WRITES_STALLED: &str = "pushrail_rocksdb_writes_stalled";
/// 1, by `version`.
pub const BUILD_INFO: &str = "pushrail_build_info";

/// Seconds, from what an idle loopback takes to an attempt's whole time.
const SECONDS: &[f64] = &[
    0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0,
];
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
const BYTES: &[f64] = &[
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    2_097_152.0,
];

/// Starts to count, once for the process: several nodes in one share their figures.
pub fn start() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder = builder
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Full(raft::ENTRY_BATCHES.to_owned()), COUNTS)
            })
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Full(raft::ENTRY_BYTES.to_owned()), BYTES)
            })
            .expect("the buckets above are not empty");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Somebody else in this process counts already: then these figures stay empty, which only tests see.
        metrics::set_global_recorder(recorder).ok();
        describe();
        begin();
        metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        handle
    })
}

fn describe() {
    for figure in ALL {
        match figure.sort {
            Sort::Counter => metrics::describe_counter!(figure.name, figure.what),
            Sort::Gauge => metrics::describe_gauge!(figure.name, figure.what),
            Sort::Histogram => metrics::describe_histogram!(figure.name, figure.what),
        }
    }
}

/// Counters with one label, and the values of it that somebody will look for.
const CLOSED: &[(&str, &str, &[&str])] = &[
    (
        raft::PROPOSE_FAILED_TOTAL,
        "outcome",
        &["not_accepted", "unknown"],
    ),
    (PUBLISH_ACKNOWLEDGED_TOTAL, "outcome", &["accepted", "duplicate"]),
    (
        PUBLISH_REJECTED_TOTAL,
        "reason",
        &[
            reasons::FIELD_INVALID.name,
            reasons::IDEMPOTENCY_KEY_CONFLICT.name,
            reasons::NO_QUORUM.name,
            reasons::TENANT_NOT_FOUND.name,
        ],
    ),
    (RETRIES_SCHEDULED_TOTAL, "kind", &["webhook"]),
    (
        RETENTION_DROPPED_TOTAL,
        "what",
        &[
            "attempt_days",
            "dead_letters",
            "events",
            "idempotency_keys",
            "requests",
        ],
    ),
];

/// Counters begin at nought and not with the first thing to count: only so does a rate show that first one.
fn begin() {
    for figure in ALL {
        if figure.sort == Sort::Counter && figure.labels.is_empty() {
            metrics::counter!(figure.name).absolute(0);
        }
    }
    for (name, label, values) in CLOSED {
        for value in *values {
            metrics::counter!(*name, *label => *value).absolute(0);
        }
    }
}

#[cfg(test)]
mod tests;
