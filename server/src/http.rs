//! The HTTP port: is the process alive, does it serve, what does it measure.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sql::session::Sessions;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the pages show.
pub struct Status {
    pub ready: AtomicBool,
    pub sessions: Arc<Sessions>,
}

/// The pages.
pub fn router(status: Arc<Status>) -> Router {
    Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(status)
}

async fn ready(State(status): State<Arc<Status>>) -> (StatusCode, &'static str) {
    if status.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn metrics(State(status): State<Arc<Status>>) -> (StatusCode, String) {
    let mut registry = Registry::default();
    let sessions = Gauge::<i64>::default();
    sessions.set(status.sessions.len() as i64);
    registry.register("phantomdb_sql_sessions", "Client sessions now", sessions);
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
