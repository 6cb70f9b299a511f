//! What stands before every route: an id and a line in the log, who may ask, how many at once, how long.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;
use uuid::Uuid;

use super::Shared;
use super::problem::Problem;
use crate::command::Library;
use crate::token::{Tokens, digest};

/// The request's id, in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that somebody gives.
const ID_LENGTH_MAX: usize = 128;

/// Who may ask: whoever holds the folder's own token or one of those that were made.
#[derive(Debug)]
pub(super) struct Access {
    /// The digest of the token of `endpoint.json`; none where there is no such file.
    pub(super) own: Option<[u8; 32]>,
    pub(super) tokens: Tokens,
}

/// A place among the requests that are answered at once, held until the whole answer is written.
#[derive(Debug, Clone)]
pub(super) struct Turn(#[expect(dead_code, reason = "it is held")] Arc<OwnedSemaphorePermit>);

impl Access {
    /// Whether the folder's own token was shown.
    pub(super) fn is_own(&self, headers: &HeaderMap) -> bool {
        use subtle::ConstantTimeEq as _;
        match (shown(headers), &self.own) {
            (Some(token), Some(own)) => digest(token).ct_eq(own).into(),
            _ => false,
        }
    }

    fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = shown(headers) else {
            let detail =
                "a token is needed as `Authorization: Bearer …`; `lockstep token create` makes one";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
        };
        if self.is_own(headers) || self.tokens.admit(&digest(token))? {
            return Ok(());
        }
        let detail = "the token is not known here, or was revoked";
        Err(Problem::new(StatusCode::UNAUTHORIZED, detail))
    }
}

fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// Gives the request its id, which answer and log carry, and logs how it was answered.
pub(super) async fn identified(request: Request, next: Next) -> Response {
    let id = given(request.headers()).unwrap_or_else(|| Uuid::new_v4().to_string());
    let method = request.method().clone();
    // Without the query, which is somebody's question.
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    let span = tracing::info_span!("request", request = %id);
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let status = response.status().as_u16();
    let milliseconds = started.elapsed().as_millis();
    span.in_scope(|| {
        if path.starts_with("/v1/") || path == super::SEED_PATH {
            tracing::info!(%method, path, status, milliseconds, "answered");
        } else {
            tracing::debug!(%method, path, status, milliseconds, "answered");
        }
    });
    response
}

/// An id that may go into a log as it is.
fn given(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(&byte);
    let fits = (1..=ID_LENGTH_MAX).contains(&id.len()) && id.bytes().all(is_plain);
    fits.then(|| id.to_owned())
}

/// Lets in who shows a token.
pub(super) async fn admitted<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    request: Request,
    next: Next,
) -> Response {
    match shared.access.admit(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Lets in who shows a token, and where the settings say so the clients of the first system, which have none;
/// but no web page that a browser shows.
pub(super) async fn admitted_seed<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if !shared.settings.seed_clients || headers.contains_key(header::AUTHORIZATION) {
        return match shared.access.admit(headers) {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        };
    }
    let is_browser = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    if is_browser {
        let detail = "without a token no web page may ask here";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    next.run(request).await
}

/// Answers so many requests at once, and tells the others to come again.
pub(super) async fn limited<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Ok(turn) = Arc::clone(&shared.turns).try_acquire_owned() else {
        let detail = "as many requests as serve.requests_max allows are being answered";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(1);
        return problem.into_response();
    };
    let turn = Turn(Arc::new(turn));
    request.extensions_mut().insert(turn.clone());
    let response = next.run(request).await;
    drop(turn);
    response
}

/// Gives up an answer that takes too long.
pub(super) async fn timed<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    request: Request,
    next: Next,
) -> Response {
    let limit = shared.settings.timeout;
    if let Ok(response) = timeout(limit, next.run(request)).await {
        return response;
    }
    let detail = format!("there was no answer within {} s", limit.as_secs());
    Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        headers
    }

    #[test]
    fn an_id_that_would_spoil_a_log_is_not_taken() {
        let taken = |id: &str| given(&headers(REQUEST_ID, id));
        assert_eq!(taken("a-1_b.2").as_deref(), Some("a-1_b.2"));
        for id in ["", "a b", "a\"b", "ü", &"x".repeat(129)] {
            assert_eq!(taken(id), None, "{id:?}");
        }
        assert_eq!(given(&HeaderMap::new()), None);
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case_and_nothing_else() {
        let token = |value: &str| {
            let headers = headers(header::AUTHORIZATION, value);
            shown(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(token("bearer x").as_deref(), Some(&b"x"[..]));
        assert_eq!(token("Bearer x").as_deref(), Some(&b"x"[..]));
        assert_eq!(token("Basic xx"), None);
        assert_eq!(token("Bear"), None);
    }
}
