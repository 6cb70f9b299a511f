//! The way of our own commands into the running process: each as it is, for who holds the folder's token.
//!
//! ```text
//! POST /internal/<command>   arguments as JSON ──token?──> Handler ──> the answer as JSON, or, where
//!                            `Accept: application/x-ndjson`, a line for each progress, then the answer
//! ```
//!
//! It may change with every version, and reads files of this machine: it is no part of the HTTP API.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use futures_util::stream;
use serde_json::Value;
use tokio::sync::watch;

use super::guard::Access;
use super::wire::{Failure, Line, NDJSON};
use crate::command::{self, Handler, Progress, Reporter, Request};
use crate::shutdown::{Shutdown, requested};
use crate::{Error, Result};

/// Largest request body; a request is a link or a question, so this is plenty.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Who answers, whom, and until when.
pub(super) struct Door<H> {
    pub(super) handler: Arc<H>,
    pub(super) access: Arc<Access>,
    pub(super) shutdown: Shutdown,
}

pub(super) fn router<H: Handler>(door: Door<H>) -> Router {
    Router::new()
        .route("/internal/{command}", post(answer::<H>))
        .with_state(Arc::new(door))
}

async fn answer<H: Handler>(
    State(door): State<Arc<Door<H>>>,
    Path(command): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    // Before the body: nobody else keeps us waiting for one.
    if !door.access.is_own(&headers) {
        let why = "the token of endpoint.json is needed as `Authorization: Bearer …`";
        return (StatusCode::UNAUTHORIZED, why).into_response();
    }
    let Ok(body) = to_bytes(body, REQUEST_BYTES_MAX).await else {
        let why = format!("the request was cut off, or has more than {REQUEST_BYTES_MAX} bytes");
        return (StatusCode::BAD_REQUEST, why).into_response();
    };
    let request = match read(&command, &body) {
        Ok(request) => request,
        Err(error) => return refuse(&error),
    };
    let (report, progress) = Reporter::new();
    let lines = headers
        .get(header::ACCEPT)
        .is_some_and(|accepted| accepted.as_bytes() == NDJSON.as_bytes());
    if lines {
        let running = Running {
            command: Box::pin(async move { door.handle(request, report).await }),
            progress,
        };
        let body = Body::from_stream(stream::unfold(Some(running), next_line));
        return ([(header::CONTENT_TYPE, NDJSON)], body).into_response();
    }
    match door.handle(request, report).await {
        Ok(response) => Json(response).into_response(),
        Err(error) => refuse(&error),
    }
}

impl<H: Handler> Door<H> {
    /// A command may wait for roles that are stopping too, so it does not outlive the asking.
    async fn handle(&self, request: Request, report: Reporter) -> Result<command::Response> {
        tokio::select! {
            biased;
            () = requested(self.shutdown.clone()) => {
                Err(Error::Stopped { part: "the running process" })
            }
            done = self.handler.handle(request, report) => done,
        }
    }
}

/// The command's name and its arguments as one request.
fn read(command: &str, body: &[u8]) -> Result<Request> {
    let bad = |error: serde_json::Error| Error::Config {
        setting: command.to_owned(),
        why: error.to_string(),
    };
    let arguments: Value = if body.is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_slice(body).map_err(bad)?
    };
    serde_json::from_value(serde_json::json!({ command: arguments })).map_err(bad)
}

fn refuse(error: &Error) -> Response {
    let status = match error {
        Error::NotFound { .. } => StatusCode::NOT_FOUND,
        Error::Config { .. } | Error::Malformed { .. } => StatusCode::BAD_REQUEST,
        Error::Fetch { .. } | Error::Gone { .. } | Error::Later { .. } => StatusCode::BAD_GATEWAY,
        Error::Unavailable { .. } | Error::Stopped { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(Line::Error(Failure::from(error)))).into_response()
}

/// A command under way whose progress is told.
struct Running<F> {
    command: F,
    progress: watch::Receiver<Progress>,
}

/// The next line of the answer; after the last one nothing is left.
async fn next_line<F>(
    running: Option<Running<F>>,
) -> Option<(Result<Vec<u8>, serde_json::Error>, Option<Running<F>>)>
where
    F: Future<Output = Result<command::Response>> + Unpin,
{
    let Running {
        mut command,
        mut progress,
    } = running?;
    let (line, left) = tokio::select! {
        biased;
        done = &mut command => (Line::from(done), None),
        Ok(()) = progress.changed() => {
            let latest = progress.borrow_and_update().clone();
            (Line::Progress(latest), Some(Running { command, progress }))
        }
    };
    Some((line.to_bytes(), left))
}
