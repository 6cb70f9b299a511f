//! What a request carries, read so that whatever is wrong with it is a [`Problem`].

use std::str::FromStr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use url::form_urlencoded;

use super::problem::Problem;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "the body is JSON: send it as application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = whole(request, state).await?;
        let read = serde_json::from_slice(&bytes);
        read.map(Self)
            .map_err(|error| Problem::bad(format!("the body: {error}")))
    }
}

/// How long a body may take to come.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body of any kind, of at most the bytes that the router lets in.
pub(super) async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let Ok(bytes) = timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await else {
        let detail = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail));
    };
    bytes.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body has more bytes than are let in here (by serve.body_bytes_max below /v1)",
        ),
        _ => Problem::bad("the body ended before it was whole"),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json")
}

/// The parts of a path that are no fixed words.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(read)) => Ok(Self(read)),
            Err(error) => Err(Problem::bad(format!("the path: {error}"))),
        }
    }
}

/// What stands behind the `?`. Each parameter is taken by its name; one that nobody takes is refused, so
/// that a slip in the name of a filter does not answer with everything.
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        Ok(Self(pairs.into_owned().collect()))
    }
}

impl Parameters {
    /// Every value of this name.
    pub(super) fn many(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(given, _)| given == name);
        self.0 = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// The value of this name, given once or not at all.
    pub(super) fn one(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut all = self.many(name);
        let value = all.pop();
        if all.is_empty() {
            Ok(value)
        } else {
            Err(Problem::bad(format!("{name}: it is given more than once")))
        }
    }

    /// The same, as something else than text.
    pub(super) fn read<T: FromStr>(
        &mut self,
        name: &str,
        what: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        let read = text.parse().ok();
        let bad = || Problem::bad(format!("{name}: {text:?} is no {what}"));
        read.ok_or_else(bad).map(Some)
    }

    /// Refuses what was not taken.
    pub(super) fn end(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::bad(format!("{name}: there is no such parameter"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    fn parameters(query: &str) -> Parameters {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Parameters(pairs.into_owned().collect())
    }

    #[test]
    fn a_parameter_is_taken_once_and_a_stranger_is_refused() {
        let mut given = parameters("type=a&q=x%20y&type=b&limit=3");
        assert_eq!(given.many("type"), ["a", "b"]);
        assert_eq!(given.one("q").unwrap().unwrap(), "x y");
        assert_eq!(given.read::<usize>("limit", "number").unwrap(), Some(3));
        assert_eq!(given.one("author").unwrap(), None);
        given.end().unwrap();
        assert!(parameters("limmit=3").end().is_err());
        assert!(parameters("q=a&q=b").one("q").is_err());
        assert!(
            parameters("limit=-1")
                .read::<usize>("limit", "number")
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let endless = || {
            let body = axum::body::Body::from_stream(futures_util::stream::pending::<
                Result<Bytes, std::io::Error>,
            >());
            let request = axum::http::Request::post("/");
            let request = request.header(header::CONTENT_TYPE, "application/json");
            request.body(body).unwrap()
        };
        let given_up = |read: Option<Problem>| read.unwrap().into_response().status();
        let any = timeout(2 * BODY_TIMEOUT, whole(endless(), &())).await;
        assert_eq!(given_up(any.unwrap().err()), StatusCode::REQUEST_TIMEOUT);
        let read = Body::<serde_json::Value>::from_request(endless(), &());
        let json = timeout(2 * BODY_TIMEOUT, read).await;
        assert_eq!(given_up(json.unwrap().err()), StatusCode::REQUEST_TIMEOUT);
    }

    #[test]
    fn json_is_told_by_its_media_type() {
        let is = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            is_json(&headers)
        };
        assert!(is("application/json") && is("Application/JSON; charset=utf-8"));
        assert!(is("application/vnd.api+json"));
        assert!(!is("text/plain") && !is("application/x-www-form-urlencoded"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
