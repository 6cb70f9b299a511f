//! Every refusal and failure, as RFC 9457 has it.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;

/// The media type.
pub(super) const PROBLEM: &str = "application/problem+json";
/// How long somebody waits before asking again where a service did not answer, in seconds.
const PAUSE_SECONDS: u32 = 5;

/// Why a request has no other answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the status says of which kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, to which thing, and what to do.
    detail: String,
    #[serde(skip)]
    retry_after: Option<u32>,
    /// The scheme by which somebody may get in.
    #[serde(skip)]
    challenge: bool,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Unknown"),
            status: status.as_u16(),
            detail: detail.into(),
            retry_after: None,
            challenge: status == StatusCode::UNAUTHORIZED,
        }
    }

    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// With the seconds after which asking again makes sense.
    pub(super) fn again_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }
}

impl From<Error> for Problem {
    /// What the asker can do something about is told as it is; of the rest the log has the cause, under the
    /// request's id.
    fn from(error: Error) -> Self {
        match &error {
            Error::Config { .. } => Self::bad(error.to_string()),
            Error::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            Error::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            Error::Fetch { .. } | Error::Gone { .. } | Error::Later { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, error.to_string())
            }
            Error::Unavailable { .. } | Error::Stopped { .. } | Error::Refused { .. } => {
                tracing::warn!(error = %error.chain(), "a request found no answer");
                let what = match &error {
                    Error::Refused { service, .. } => format!("{service} refused us"),
                    other => other.to_string(),
                };
                Self::new(StatusCode::SERVICE_UNAVAILABLE, what).again_after(PAUSE_SECONDS)
            }
            _ => {
                tracing::error!(error = %error.chain(), "a request failed");
                let detail = "the log of the server has the reason, under the id of this request";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let mut put = |name: HeaderName, value: HeaderValue| {
            response.headers_mut().insert(name, value);
        };
        put(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Some(seconds) = self.retry_after {
            put(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.challenge {
            let scheme = HeaderValue::from_static("Bearer realm=\"lockstep\"");
            put(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
