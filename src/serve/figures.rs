//! A process' figures and its health, to anybody who asks: no secret is among them.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::shutdown::{Shutdown, requested};
use crate::{Error, Result};

/// Answers `/metrics`, `/livez` and `/readyz` until the process stops.
///
/// # Errors
/// [`Error::Unavailable`] when the listener fails.
pub async fn tell(listener: TcpListener, metrics: Arc<Metrics>, shutdown: Shutdown) -> Result<()> {
    let router = Router::new()
        .route("/metrics", get(figures))
        .route("/readyz", get(ready))
        .route("/livez", get(|| async { "it lives\n" }))
        .with_state(metrics);
    let served = axum::serve(listener, router).with_graceful_shutdown(requested(shutdown));
    served
        .await
        .map_err(Error::unavailable("the listener of figures", "answer"))
}

async fn figures(State(metrics): State<Arc<Metrics>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text()).into_response()
}

async fn ready(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.readiness.ready() {
        Ok(()) => "it works\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
