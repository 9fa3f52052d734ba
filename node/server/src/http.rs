//! What operators and their tools ask by HTTP: whether the process lives, whether it is of use, and its figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use pushrail_raft::lease::LeaseView;
use pushrail_raft::replica::Replica;
use pushrail_raft::status::Status;

/// Entries that a node may be behind and still be called caught up: what is in flight at full load.
const CAUGHT_UP_ENTRIES: u64 = 1000;

/// What the answers are made of.
#[derive(Clone)]
pub(crate) struct Health {
    replica: Replica,
    figures: &'static PrometheusHandle,
    stopping: Arc<AtomicBool>,
}

impl Health {
    pub(crate) fn new(replica: Replica, figures: &'static PrometheusHandle) -> Self {
        Self {
            replica,
            figures,
            stopping: Arc::new(AtomicBool::new(false)),
        }
    }

    /// From now on the node is of no use to new callers.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

/// The three paths.
pub(crate) fn router(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(health)
}

async fn alive(State(health): State<Health>) -> impl IntoResponse {
    match health.replica.status().failed {
        None => (StatusCode::OK, "alive\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("failed: {why}\n")),
    }
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let stopping = health.stopping.load(Ordering::Acquire);
    match why_not_ready(stopping, &health.replica.status(), &health.replica.lease()) {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

/// Ready is who has a leader that answers it, and has applied what was committed.
fn why_not_ready(stopping: bool, status: &Status, lease: &LeaseView) -> Option<String> {
    if let Some(why) = &status.failed {
        return Some(format!("the replica has failed: {why}"));
    }
    if stopping {
        return Some("stopping".to_owned());
    }
    if !status.initialised {
        return Some("it belongs to no cluster yet; run `pushrail cluster init` once".to_owned());
    }
    if status.leader.is_none() {
        return Some("there is no leader".to_owned());
    }
    let lag = status.committed.0.saturating_sub(status.applied.0);
    if lag > CAUGHT_UP_ENTRIES {
        return Some(format!("it is {lag} entries behind"));
    }
    // A lease is only granted by a leader with a majority, and only counts once its state was applied here.
    (!lease.is_held()).then(|| "the leader has not confirmed this node yet".to_owned())
}

async fn figures(State(health): State<Health>) -> impl IntoResponse {
    let text = health.figures.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
