//! The running process's door: every command over HTTP, for those who hold the folder's token.
//!
//! ```text
//! GET  /livez          "lockstep", to anyone
//! POST /v1/<command>   arguments as JSON ──token?──> Handler ──> the answer as JSON, or, where
//!                      `Accept: application/x-ndjson`, a line for each progress, then the answer
//! ```
//!
//! It listens on loopback only; the token keeps out other users of the machine and web pages that
//! a browser shows here. Closing the connection cancels the command.

mod client;
mod figures;
mod wire;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures_util::stream;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::command::{self, Handler, Progress, Reporter, Request};
use crate::shutdown::{Shutdown, requested};
use crate::{Error, Result};

pub use client::Client;
pub use figures::tell;
use wire::{Failure, Line, NDJSON};

/// What `/livez` answers, by which a command knows that it talks to one of us.
const GREETING: &str = "lockstep";
/// Largest request body; a request is a link or a question, so this is plenty.
const REQUEST_BYTES_MAX: usize = 1 << 20;

struct Door<H> {
    handler: Arc<H>,
    /// Compared as digests, so that the time it takes tells nothing about the token.
    token: [u8; 32],
    shutdown: Shutdown,
}

/// Answers until it is asked to stop; then whoever waits for an answer is told that, and what
/// their commands have stored stays.
///
/// # Errors
/// When the listener fails.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    token: &str,
    shutdown: Shutdown,
) -> Result<()> {
    let door = Door {
        handler,
        token: Sha256::digest(token.as_bytes()).into(),
        shutdown: shutdown.clone(),
    };
    axum::serve(listener, router(Arc::new(door)))
        .with_graceful_shutdown(requested(shutdown))
        .await
        .map_err(Error::unavailable("the listener", "go on"))
}

fn router<H: Handler>(door: Arc<Door<H>>) -> Router {
    Router::new()
        .route("/v1/{command}", post(answer::<H>))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(door)
        .route("/livez", get(|| async { GREETING }))
}

async fn answer<H: Handler>(
    State(door): State<Arc<Door<H>>>,
    Path(command): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !door.admits(&headers) {
        let why = "the token of endpoint.json is needed as `Authorization: Bearer …`";
        return (StatusCode::UNAUTHORIZED, why).into_response();
    }
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

    fn admits(&self, headers: &HeaderMap) -> bool {
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
            .is_some_and(|token| <[u8; 32]>::from(Sha256::digest(token)) == self.token)
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
