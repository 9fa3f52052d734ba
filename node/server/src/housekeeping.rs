//! Figures that nobody moves by acting: looked up now and then, for whoever reads the metrics.

use std::time::Duration;

use ::metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use pushrail_machine::query;
use pushrail_model::ids::LogIndex;
use pushrail_raft::replica::Replica;
use tracing::warn;

use crate::metrics::DEAD_LETTERS;
use crate::telemetry::chain;

/// How often: a row for each destination is read, if anything has changed.
const INTERVAL: Duration = Duration::from_secs(15);

/// Looks after the figures until it is dropped.
pub(crate) async fn run(replica: Replica, figures: &'static PrometheusHandle) {
    let mut seen = None;
    loop {
        // Figures of sizes gather until they are put into their buckets.
        figures.run_upkeep();
        let view = replica.view();
        if seen != Some(view.applied()) {
            seen = count(view).await;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn count(view: pushrail_raft::view::View) -> Option<LogIndex> {
    let applied = view.applied();
    // The store may block.
    match tokio::task::spawn_blocking(move || query::counts::totals(&view)).await {
        Ok(Ok(totals)) => {
            gauge!(DEAD_LETTERS).set(totals.dead as f64);
            Some(applied)
        }
        Ok(Err(error)) => {
            warn!(error = %chain(&error), "dead letters could not be counted");
            None
        }
        Err(_) => None,
    }
}
