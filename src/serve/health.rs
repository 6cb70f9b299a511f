//! Whether the process lives, and whether it could answer a question now.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::Shared;
use super::problem::Problem;
use crate::command::Library;

/// What `/livez` answers, by which a command knows that it talks to one of us.
pub(super) const GREETING: &str = "lockstep";
/// How long source, queue and index have for their words.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long such an answer holds, so that whoever asks often costs nothing.
const FRESH: Duration = Duration::from_secs(1);

/// The last look, and what it found wrong.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Option<String>)>>);

/// The process is there and hands out answers. A role that ends ends the process.
pub(super) async fn live() -> &'static str {
    GREETING
}

/// Source, queue and index have just answered, and the process is not about to stop.
pub(super) async fn ready<L: Library>(State(shared): State<Arc<Shared<L>>>) -> Response {
    let trouble = if *shared.shutdown.borrow() {
        Some("it is stopping".to_owned())
    } else {
        shared.readiness.look(shared.library.as_ref()).await
    };
    match trouble {
        None => "ready".into_response(),
        Some(why) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
            .again_after(1)
            .into_response(),
    }
}

impl Readiness {
    /// What is wrong, if anything; one look at a time.
    async fn look<L: Library>(&self, library: &L) -> Option<String> {
        let mut last = self.0.lock().await;
        match last.as_ref() {
            Some((at, found)) if at.elapsed() < FRESH => return found.clone(),
            _ => {}
        }
        let found = match timeout(PATIENCE, library.ready()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                tracing::warn!(error = %error.chain(), "not ready");
                Some(error.to_string())
            }
            Err(_) => Some("source, queue and index did not answer in time".to_owned()),
        };
        *last = Some((Instant::now(), found.clone()));
        found
    }
}
