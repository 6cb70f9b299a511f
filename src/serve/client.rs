//! Asks a process that answers over HTTP: the one that has a data folder, or one elsewhere.
//!
//! ```text
//! find(folder) ──> own token ──┬─ /internal/…  every command, as the command line has it
//! at(address, token) ──────────┴─ /v1/…        search, documents, authors, status, exports
//! ```

mod answer;
mod export;
mod greeting;
mod retrieval;

use std::path::Path;
use std::time::Duration;

use reqwest::{StatusCode, header};
use url::{Host, Url};

use crate::command::{Handler, Reporter, Request, Response};
use crate::folder::Endpoint;
use crate::{Error, Result};

use super::wire::{Line, NDJSON};
use answer::Peer;

pub use export::Exporting;

/// How long a process elsewhere may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may say nothing in the middle of an answer: an export looks at many documents that are not wanted.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(11);
/// Longest line of an answer: a list of hits with their texts.
const LINE_BYTES_MAX: usize = 256 << 20;

/// Talks to the process that has a data folder, or to one elsewhere.
///
/// What the HTTP API gives is the same from both. Commands, which [`Handler`] has, are answered only to who was found
/// by the folder.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    /// Whom errors name.
    peer: Peer,
}

impl Client {
    /// The process that announced itself in this folder; none where nobody answers any more, or another folder's
    /// process.
    ///
    /// # Errors
    /// When the announcement cannot be read.
    pub async fn find(folder: &Path) -> Result<Option<Self>> {
        let Some(endpoint) = Endpoint::find(folder)? else {
            return Ok(None);
        };
        let client = Self::new(endpoint)?;
        let is_there = client.answers().await && client.lets_in().await;
        Ok(is_there.then_some(client))
    }

    /// A process elsewhere, `lockstep up` or `lockstep serve`, at its address, as `https://search.example.org`, with a
    /// token that `lockstep token create` made there. Nothing is asked yet.
    ///
    /// Redirects are not followed: what is shown here is for nobody else. Over plain http, whoever is on the way can
    /// read it.
    ///
    /// # Errors
    /// [`Error::Config`] for what can be no address, and for what can be no token.
    pub fn at(address: &str, token: &str) -> Result<Self> {
        let url = parsed(address)?;
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Config {
                setting: "the token".to_owned(),
                why: "it is none: give one that `lockstep token create` has shown".to_owned(),
            });
        }
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT);
        if is_loopback(&url) {
            http = http.no_proxy();
        }
        let address = url.as_str().trim_end_matches('/').to_owned();
        Self::over(
            http,
            Peer::elsewhere(&address),
            Endpoint {
                token: token.to_owned(),
                address,
            },
        )
    }

    /// A client of this endpoint; nothing is asked yet.
    pub(super) fn new(endpoint: Endpoint) -> Result<Self> {
        // A proxy of the environment has no business with loopback, and would see the token.
        let http = reqwest::Client::builder().no_proxy();
        Self::over(http, Peer::running(), endpoint)
    }

    fn over(http: reqwest::ClientBuilder, peer: Peer, endpoint: Endpoint) -> Result<Self> {
        let http = http.redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(Error::unavailable("the HTTP client", "start"))?;
        Ok(Self {
            http,
            endpoint,
            peer,
        })
    }
}

impl Handler for Client {
    async fn handle(&self, request: Request, report: Reporter) -> Result<Response> {
        let (command, arguments) = split(&request)?;
        let mut answer = self
            .http
            .post(format!("{}/internal/{command}", self.endpoint.address))
            .bearer_auth(&self.endpoint.token)
            .header(header::ACCEPT, NDJSON)
            .json(&arguments)
            .send()
            .await
            .map_err(|error| self.peer.lost(error))?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Err(self.peer.no_commands());
        }
        let mut waiting = Vec::new();
        while let Some(chunk) = (answer.chunk().await).map_err(|error| self.peer.lost(error))? {
            waiting.extend_from_slice(&chunk);
            while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                match parse(&line)? {
                    Line::Progress(latest) => {
                        report.say(&latest.stage, latest.done, latest.total);
                    }
                    Line::Response(response) => return Ok(response),
                    Line::Error(failure) => return Err(failure.into()),
                }
            }
            if waiting.len() > LINE_BYTES_MAX {
                return Err(Error::TooLarge {
                    thing: "the running process's answer".into(),
                    bytes: waiting.len() as u64,
                    limit: LINE_BYTES_MAX as u64,
                });
            }
        }
        // A refusal is one object without a line's end.
        match parse(&waiting)? {
            Line::Error(failure) => Err(failure.into()),
            _ => Err(Error::Stopped {
                part: "the running process",
            }),
        }
    }
}

/// The address of a process; what stands behind it in a path is a proxy's.
fn parsed(address: &str) -> Result<Url> {
    let bad = |why: &str| Error::Config {
        setting: "the address".to_owned(),
        why: format!("{why}: write it as https://search.example.org or http://127.0.0.1:7411"),
    };
    let url = Url::parse(address.trim()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it is none of http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(
            "a name or password stands in it, and only a token is asked for",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("a question stands in it"));
    }
    Ok(url)
}

/// A proxy of the environment has no business there.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn parse(line: &[u8]) -> Result<Line> {
    if line.is_empty() {
        return Err(Error::Stopped {
            part: "the running process",
        });
    }
    serde_json::from_slice(line).map_err(|error| {
        let text = String::from_utf8_lossy(line.get(..200).unwrap_or(line)).into_owned();
        Error::malformed("the running process's answer", format!("{error}: {text}"))
    })
}

/// The request's one name and what is below it.
fn split(request: &Request) -> Result<(String, serde_json::Value)> {
    let bad = |why: String| Error::malformed("request", why);
    match serde_json::to_value(request).map_err(|error| bad(error.to_string()))? {
        serde_json::Value::Object(fields) => {
            let mut fields = fields.into_iter();
            fields.next().ok_or_else(|| bad("it is empty".into()))
        }
        _ => Err(bad("it has no name".into())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::super::guard::Access;
    use super::super::{health, internal};
    use super::*;
    use crate::command::Deleted;
    use crate::search::Query;
    use crate::shutdown::{Roles, requested};
    use crate::token::{Tokens, digest};

    /// Answers a search after one progress, and nothing else.
    struct Scripted;

    impl Handler for Scripted {
        async fn handle(&self, request: Request, report: Reporter) -> Result<Response> {
            match request {
                Request::Search(_) => {
                    report.say("embedding", 1, Some(2));
                    tokio::task::yield_now().await;
                    Ok(found())
                }
                other => Err(Error::NotFound {
                    what: format!("{other:?}"),
                }),
            }
        }
    }

    pub(super) async fn served(token: &str) -> (Roles, Client) {
        let mut roles = Roles::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop = roles.shutdown();
        let door = internal::Door {
            handler: Arc::new(Scripted),
            access: Arc::new(Access {
                own: Some(digest(b"right")),
                tokens: Tokens::of("/nowhere/tokens.json".into()),
            }),
            shutdown: stop.clone(),
        };
        let router = internal::router(door).route("/livez", get(health::live));
        roles.start("serve", async {
            let serving = axum::serve(listener, router);
            let serving = serving.with_graceful_shutdown(requested(stop));
            serving
                .await
                .map_err(Error::unavailable("the listener", "go on"))
        });
        let client = Client::new(Endpoint {
            address,
            token: token.to_owned(),
        })
        .unwrap();
        (roles, client)
    }

    fn search() -> Request {
        Request::Search(Query {
            text: "how".into(),
            limit: 3,
            ..Query::default()
        })
    }

    fn found() -> Response {
        Response::Delete(Deleted {
            documents: vec!["posts/1".into()],
            version: None,
        })
    }

    #[tokio::test]
    async fn an_answer_comes_through_with_its_progress() {
        let (roles, client) = served("right").await;
        let (report, progress) = Reporter::new();
        let response = client.handle(search(), report).await.unwrap();
        assert_eq!(response, found());
        assert_eq!(progress.borrow().stage, "embedding");
        roles.stop(Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_known_stays_that_over_the_wire() {
        let (roles, client) = served("right").await;
        let asked = client.handle(Request::Status {}, Reporter::new().0).await;
        assert!(matches!(asked, Err(Error::NotFound { .. })), "{asked:?}");
        roles.stop(Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn without_the_token_nothing_is_answered() {
        let (roles, client) = served("wrong").await;
        assert!(client.answers().await);
        let asked = client.handle(search(), Reporter::new().0).await;
        assert!(matches!(asked, Err(Error::Refused { .. })), "{asked:?}");
        roles.stop(Duration::from_secs(5)).await.unwrap();
    }

    #[test]
    fn what_can_be_no_address_or_no_token_is_refused_before_anything_is_asked() {
        let refused = |address: &str, token: &str| {
            let error = Client::at(address, token).unwrap_err();
            let Error::Config { setting, why } = error else {
                panic!("{error}")
            };
            (setting, why)
        };
        for address in [
            "",
            "search.example.org",
            "ftp://a.example",
            "https://a.example/?q=b",
            "https://ada:secret@a.example",
        ] {
            let (setting, why) = refused(address, "a");
            assert_eq!(setting, "the address", "{address}");
            assert!(!why.contains("secret") && why.contains("7411"), "{why}");
        }
        for token in ["", " \n", "two words", "\u{fc}"] {
            let (setting, why) = refused("https://a.example", token);
            assert_eq!(setting, "the token", "{token:?}");
            assert!(why.contains("lockstep token create"), "{why}");
        }
        // A proxy may have it below a path, and a file gives a token with its line's end.
        let client = Client::at(" https://a.example/lockstep/ ", "secret\n").unwrap();
        assert_eq!(client.endpoint.address, "https://a.example/lockstep");
        assert_eq!(client.endpoint.token, "secret");
        assert!(!format!("{client:?}").contains("secret"));
    }
}
