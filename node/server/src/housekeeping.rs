//! Figures that nobody moves by acting: looked up now and then, for whoever reads the metrics.

use std::sync::Arc;
use std::time::Duration;

use ::metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use pushrail_machine::query;
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::ids::LogIndex;
use pushrail_raft::replica::Replica;
use tracing::{error, warn};

use crate::keyring::{Keyring, Standing};
use crate::metrics as figures;
use crate::telemetry::chain;

/// How often: a row for each destination is read, if anything has changed.
const INTERVAL: Duration = Duration::from_secs(5);

/// Destinations read at a time.
const PAGE: usize = 1000;

/// Looks after the figures until it is dropped.
pub(crate) async fn run(replica: Replica, keyring: Arc<Keyring>, handle: &'static PrometheusHandle) {
    let mut seen = LogIndex(0);
    let mut locked_before = 0;
    loop {
        // Figures of sizes gather until they are put into their buckets.
        handle.run_upkeep();
        let (replica, keyring) = (replica.clone(), Arc::clone(&keyring));
        // The store may block.
        match tokio::task::spawn_blocking(move || look(&replica, &keyring, seen)).await {
            Ok(Ok((index, locked))) => {
                seen = index;
                if let Some(locked) = locked {
                    if locked > 0 && locked != locked_before {
                        error!(
                            destinations = locked,
                            "credentials are sealed by keys that this node has not got; what is owed there waits \
                             while its shards are here (credentials.keys_file)"
                        );
                    }
                    locked_before = locked;
                }
            }
            Ok(Err(error)) => warn!(error = %chain(&error), "figures of the state could not be read"),
            Err(_) => {}
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The index looked at, and, where the state has changed, how many destinations' credentials cannot be read here.
fn look(replica: &Replica, keyring: &Keyring, seen: LogIndex) -> Result<(LogIndex, Option<u64>), StoreError> {
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
    let mut locked = None;
    if view.applied() != seen || seen == LogIndex(0) {
        gauge!(figures::DEAD_LETTERS).set(query::counts::totals(&view)?.dead as f64);
        locked = Some(count_credentials(&view, keyring)?);
    }
    Ok((view.applied(), locked))
}

/// Says under which keys credentials lie; gives the number of those that cannot be read here.
fn count_credentials(view: &dyn Read, keyring: &Keyring) -> Result<u64, StoreError> {
    let mut counts = [0_u64; Standing::ALL.len()];
    let mut contested = false;
    let mut after = None;
    loop {
        let (rows, next) = query::config::all_destinations(view, after.as_deref(), PAGE)?;
        for (_, _, destination) in rows {
            let previous = destination.previous.iter().map(|previous| &previous.credential);
            let all = std::iter::once(&destination.spec.credential).chain(previous);
            contested |= all.clone().any(|stored| keyring.contests(stored));
            // The worst of them speaks for the destination.
            if let Some(standing) = all.map(|stored| keyring.standing(stored)).max() {
                counts[standing as usize] += 1;
            }
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    keyring.contest(contested);
    for standing in Standing::ALL {
        gauge!(figures::CREDENTIALS, "state" => standing.name()).set(counts[standing as usize] as f64);
    }
    Ok(counts[Standing::Locked as usize])
}
