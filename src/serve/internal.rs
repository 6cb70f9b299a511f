//! The way of our own commands into the running process: each as it is, for who holds the folder's token.
//!
//! ```text
//! POST /internal/<command>   arguments as JSON ──token?──> Handler ──> the answer as JSON, or, where
//!                            `Accept: application/x-ndjson`, a line for each progress, then the answer
//! ```
//!
//! The body has the time that every body has. It may change with every version, and reads files of this machine: it is no part of the HTTP API.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{self, DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use futures_util::stream;
use serde_json::Value;
use tokio::sync::watch;

use super::extract::whole;
use super::guard::Access;
use super::stopping;
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
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
}

async fn answer<H: Handler>(
    State(door): State<Arc<Door<H>>>,
    Path(command): Path<String>,
    asked: extract::Request,
) -> Response {
    // Before the body: nobody else keeps us waiting for one.
    if !door.access.is_own(asked.headers()) {
        let why = "the token of endpoint.json is needed as `Authorization: Bearer …`";
        return (StatusCode::UNAUTHORIZED, why).into_response();
    }
    let lines = (asked.headers())
        .get(header::ACCEPT)
        .is_some_and(|accepted| accepted.as_bytes() == NDJSON.as_bytes());
    let body = match whole(asked, &()).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let request = match read(&command, &body) {
        Ok(request) => request,
        Err(error) => return refuse(&error),
    };
    let (report, progress) = Reporter::new();
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
    /// A command may wait for roles that are stopping too, so it does not outlive the asking; a search is answered
    /// with what is there.
    async fn handle(&self, request: Request, report: Reporter) -> Result<command::Response> {
        let (handler, shutdown) = (self.handler.as_ref(), self.shutdown.clone());
        match request {
            Request::Search(query) => stopping::search(handler, query, &report, shutdown).await,
            request => tokio::select! {
                biased;
                () = requested(shutdown) => Err(Error::Stopped { part: "the running process" }),
                done = handler.handle(request, report) => done,
            },
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

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::super::extract::BODY_TIMEOUT;
    use super::*;
    use crate::token::{Tokens, digest};

    struct Nobody;

    impl Handler for Nobody {
        async fn handle(&self, request: Request, _: Reporter) -> Result<command::Response> {
            panic!("it was asked for {request:?}")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up_and_not_waited_for_without_the_token() {
        let (_asked, shutdown) = watch::channel(false);
        let door = Arc::new(Door {
            handler: Arc::new(Nobody),
            access: Arc::new(Access {
                own: Some(digest(b"right")),
                tokens: Tokens::of("/nowhere/tokens.json".into()),
            }),
            shutdown,
        });
        let ask = async |token: &str, within| {
            let body = Body::from_stream(stream::pending::<Result<Vec<u8>>>());
            let token = format!("Bearer {token}");
            let asked = extract::Request::post("/").header(header::AUTHORIZATION, token);
            let asked = asked.body(body).unwrap();
            let answer = answer(State(Arc::clone(&door)), Path("status".to_owned()), asked);
            let answer = timeout(within, answer).await;
            answer.unwrap().status()
        };
        let status = ask("right", 2 * BODY_TIMEOUT).await;
        assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
        let status = ask("wrong", BODY_TIMEOUT / 2).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
}
