//! A process' figures and its health, to anybody who asks: no secret is among them.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::health::{self, Readiness};
use super::listen;
use crate::Result;
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::shutdown::Shutdown;

/// Answers `/metrics`, `/livez` and `/readyz` until the process stops; dropped, it cuts off who is answered.
///
/// # Errors
/// None so far.
pub async fn tell(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    shutdown: Shutdown,
) -> Result<()> {
    let router = Router::new()
        .route("/metrics", get(figures))
        .with_state(metrics)
        .merge(health::router(readiness));
    listen::answer(listener, router, shutdown).await
}

async fn figures(State(metrics): State<Arc<Metrics>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text()).into_response()
}
