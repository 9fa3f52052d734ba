//! What operators and their tools ask by HTTP: whether the process lives, whether it is of use, and its figures.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::readiness::Readiness;

/// The header in which a node says its number, so that whoever asks knows whom it asked.
pub(crate) const NODE: HeaderName = HeaderName::from_static("pushrail-node");

/// What the answers are made of.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) readiness: Readiness,
    pub(crate) figures: &'static PrometheusHandle,
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
    let (code, text) = match health.readiness.why_dead() {
        None => (StatusCode::OK, "alive\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("failed: {why}\n")),
    };
    (code, [(NODE, health.readiness.node().to_string())], text)
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let (code, text) = match health.readiness.why_not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    };
    (code, [(NODE, health.readiness.node().to_string())], text)
}

async fn figures(State(health): State<Health>) -> impl IntoResponse {
    let text = health.figures.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
