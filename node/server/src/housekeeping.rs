//! Figures that nobody moves by acting: looked up now and then, for whoever reads the metrics.

use std::time::Duration;

use ::metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use pushrail_machine::query;
use pushrail_machine::store::StoreError;
use pushrail_model::ids::LogIndex;
use pushrail_raft::replica::Replica;
use tracing::warn;

use crate::metrics as figures;
use crate::telemetry::chain;

/// How often: a row for each destination is read, if anything has changed.
const INTERVAL: Duration = Duration::from_secs(5);

/// Looks after the figures until it is dropped.
pub(crate) async fn run(replica: Replica, handle: &'static PrometheusHandle) {
    let mut seen = LogIndex(0);
    loop {
        // Figures of sizes gather until they are put into their buckets.
        handle.run_upkeep();
        let replica = replica.clone();
        // The store may block.
        match tokio::task::spawn_blocking(move || look(&replica, seen)).await {
            Ok(Ok(index)) => seen = index,
            Ok(Err(error)) => warn!(error = %chain(&error), "figures of the state could not be read"),
            Err(_) => {}
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn look(replica: &Replica, seen: LogIndex) -> Result<LogIndex, StoreError> {
    let properties = replica.store_properties()?;
    gauge!(figures::ROCKSDB_MEMTABLE_BYTES).set(properties.memtable_bytes as f64);
    gauge!(figures::ROCKSDB_CACHE_BYTES).set(properties.cache_bytes as f64);
    gauge!(figures::ROCKSDB_TABLE_BYTES).set(properties.table_bytes as f64);
    gauge!(figures::ROCKSDB_BLOB_BYTES).set(properties.blob_bytes as f64);
    gauge!(figures::ROCKSDB_COMPACTION_PENDING_BYTES).set(properties.compaction_pending_bytes as f64);
    gauge!(figures::ROCKSDB_LEVEL0_FILES).set(properties.level0_files as f64);
    for (level, files) in properties.level_files.iter().enumerate() {
        gauge!(figures::ROCKSDB_LEVEL_FILES, "level" => level.to_string()).set(*files as f64);
    }
    gauge!(figures::ROCKSDB_BACKGROUND_JOBS).set(properties.background_jobs as f64);
    gauge!(figures::ROCKSDB_BACKGROUND_ERRORS).set(properties.background_errors as f64);
    let stalled = properties.write_stopped || properties.delayed_write_rate > 0;
    gauge!(figures::ROCKSDB_WRITES_STALLED).set(if stalled { 1.0 } else { 0.0 });

    let view = replica.view();
    if view.applied() != seen || seen == LogIndex(0) {
        gauge!(figures::DEAD_LETTERS).set(query::counts::totals(&view)?.dead as f64);
    }
    Ok(view.applied())
}
