//! Asks the running process.

use std::path::Path;
use std::time::Duration;

use reqwest::header;
use serde::Deserialize;
use url::Url;

use crate::command::{Handler, Reporter, Request, Response};
use crate::export::{Selection, Summary};
use crate::folder::Endpoint;
use crate::moment::rfc3339;
use crate::{Error, Result};

use super::api::export::Last;
use super::health::GREETING;
use super::wire::{Line, NDJSON};

/// How long a process may take to say that it is there; it does nothing else for that answer.
const GREETING_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest line of an answer: a list of hits with their texts.
const LINE_BYTES_MAX: usize = 256 << 20;

/// Talks to the process that has a data folder.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
}

impl Client {
    /// The process that announced itself in this folder; none where nobody answers any more.
    ///
    /// # Errors
    /// When the announcement cannot be read.
    pub async fn find(folder: &Path) -> Result<Option<Self>> {
        let Some(endpoint) = Endpoint::find(folder)? else {
            return Ok(None);
        };
        let client = Self::new(endpoint)?;
        Ok(client.answers().await.then_some(client))
    }

    /// A client of this endpoint; nothing is asked yet.
    pub(super) fn new(endpoint: Endpoint) -> Result<Self> {
        // A proxy of the environment has no business with loopback, and would see the token.
        let http = reqwest::Client::builder().no_proxy();
        let http = http.redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(Error::unavailable("the HTTP client", "start"))?;
        Ok(Self { http, endpoint })
    }

    async fn answers(&self) -> bool {
        let address = format!("{}/livez", self.endpoint.address);
        let asked = self
            .http
            .get(address)
            .timeout(GREETING_TIMEOUT)
            .send()
            .await;
        match asked {
            Ok(answer) => answer.text().await.is_ok_and(|text| text == GREETING),
            Err(_) => false,
        }
    }
}

impl Client {
    /// Exports through the running process: hands each line on, with its end, and gives the manifest.
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Errors
    /// What the process refuses, that it stopped before the end, or what `take` says.
    pub async fn export(
        &self,
        selection: &Selection,
        take: &mut (dyn FnMut(&[u8]) -> Result<()> + Send),
    ) -> Result<Summary> {
        let mut export = self.exporting(selection).await?;
        while let Some(lines) = export.next().await? {
            take(&lines)?;
        }
        export.summary()
    }

    /// Begins an export through the running process; dropped, it is given up.
    ///
    /// # Errors
    /// What the process refuses.
    pub async fn exporting(&self, selection: &Selection) -> Result<Exporting> {
        let answer = self
            .http
            .get(self.export_link(selection)?)
            .bearer_auth(&self.endpoint.token)
            .send()
            .await
            .map_err(lost)?;
        if !answer.status().is_success() {
            let text = answer.text().await.map_err(lost)?;
            let problem: Refused = serde_json::from_str(&text).unwrap_or(Refused { detail: text });
            return Err(Error::Remote {
                message: problem.detail,
            });
        }
        Ok(Exporting {
            answer,
            kept: Vec::new(),
            whole: 0,
        })
    }

    fn export_link(&self, selection: &Selection) -> Result<Url> {
        let link = format!("{}/v1/export", self.endpoint.address);
        let mut link = Url::parse(&link)
            .map_err(|error| Error::malformed("endpoint.json", error.to_string()))?;
        let mut pairs = link.query_pairs_mut();
        pairs.append_pair("what", selection.what.name());
        pairs.append_pair("manifest", "true");
        for kind in &selection.types {
            pairs.append_pair("type", kind);
        }
        if let Some(author) = &selection.author {
            pairs.append_pair("author", author);
        }
        if let Some(since) = selection.since_ms {
            pairs.append_pair("since", &rfc3339(since));
        }
        drop(pairs);
        Ok(link)
    }
}

/// An export that comes from the running process.
#[derive(Debug)]
pub struct Exporting {
    answer: reqwest::Response,
    /// The last whole line, which may be the manifest, and what has come of the next.
    kept: Vec<u8>,
    /// Bytes of that line.
    whole: usize,
}

impl Exporting {
    /// The next whole lines; none at the end.
    ///
    /// # Errors
    /// That the process does not answer any more.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        while let Some(chunk) = self.answer.chunk().await.map_err(lost)? {
            let before = self.kept.len();
            self.kept.extend_from_slice(&chunk);
            let mut ends = (0..chunk.len()).rev().filter(|at| chunk[*at] == b'\n');
            let Some(end) = ends.next() else { continue };
            let start = ends.next().map_or(self.whole, |at| before + at + 1);
            self.whole = before + end + 1 - start;
            if start > 0 {
                let last = self.kept.split_off(start);
                return Ok(Some(std::mem::replace(&mut self.kept, last)));
            }
        }
        Ok(None)
    }

    /// The manifest, which is the last line.
    ///
    /// # Errors
    /// [`Error::Stopped`] where the export was broken off.
    pub fn summary(self) -> Result<Summary> {
        match serde_json::from_slice(&self.kept) {
            Ok(Last { manifest }) if self.whole == self.kept.len() => Ok(manifest),
            _ => Err(Error::Stopped {
                part: "the running process",
            }),
        }
    }
}

/// What a problem says.
#[derive(Deserialize)]
struct Refused {
    detail: String,
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
            .map_err(lost)?;
        let mut waiting = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
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

fn lost(error: reqwest::Error) -> Error {
    Error::unavailable("the running process", "answer")(error)
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

    async fn served(token: &str) -> (Roles, Client) {
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
        assert!(matches!(asked, Err(Error::Malformed { .. })), "{asked:?}");
        roles.stop(Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn an_endpoint_left_behind_by_a_dead_process_is_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = Client::new(Endpoint {
            address,
            token: "right".into(),
        })
        .unwrap();
        assert!(!client.answers().await);
    }
}
