//! Questions to the HTTP API, as a program has them.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use url::Url;

use super::super::api::authors::Authors;
use super::super::api::documents::Document;
use super::super::api::search::{Found, Question};
use super::super::api::status::Status;
use super::Client;
use crate::search::{Answer, Query, WAIT_MS};
use crate::{Error, Result, author};

/// How long one answer may take, besides what a search is told to wait; exports aside. A process gives up after
/// `serve.timeout_seconds`, which are 30 if nobody says otherwise.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// What the HTTP API answers. All of it reads only, and is cancel safe.
///
/// [`Error::Config`] is for what cannot be asked, [`Error::Refused`] for a token that is not known and an address where
/// something else answers, and [`Error::Unavailable`] for what may pass, such as that nobody answers at all.
impl Client {
    /// Finds documents that answer a question. A wait for a version is rounded up to whole seconds, and the process
    /// may cut it short.
    ///
    /// # Errors
    /// As for all here; what [`Query::check`] refuses is not asked at all.
    pub async fn search(&self, query: &Query) -> Result<Answer> {
        query.check()?;
        let wait = query.at_least.map(|_| query.wait_ms.unwrap_or(WAIT_MS));
        let wait = Duration::from_millis(wait.unwrap_or_default());
        let request = self.http.post(self.link("/v1/search")?);
        let request = request.json(&Question::from(query));
        let found: Found = self.asked(request.timeout(ANSWER_TIMEOUT + wait)).await?;
        found.answer(query.mode)
    }

    /// A document with its chunks, by its type and its id: as it is shown, or as extended JSON.
    ///
    /// # Errors
    /// As for all here, and [`Error::NotFound`] where the index holds none.
    pub async fn document(&self, kind: &str, id: &str) -> Result<Document> {
        for part in [kind, id] {
            // A link that has it leads elsewhere.
            if matches!(part, "" | "." | "..") {
                return Err(Error::Config {
                    setting: format!("{kind}/{id}"),
                    why: "no link can name it so; give the id as extended JSON, in quotes"
                        .to_owned(),
                });
            }
        }
        let mut link = self.link("/v1/documents")?;
        if let Ok(mut path) = link.path_segments_mut() {
            path.extend([kind, id]);
        }
        self.asked(self.http.get(link).timeout(ANSWER_TIMEOUT))
            .await
    }

    /// Everybody whose documents are stored, by name; every document is read once for it.
    ///
    /// # Errors
    /// As for all here.
    pub async fn authors(&self) -> Result<author::List> {
        let request = self.http.get(self.link("/v1/authors")?);
        let authors: Authors = self.asked(request.timeout(ANSWER_TIMEOUT)).await?;
        Ok(authors.into())
    }

    /// What is there and on its way.
    ///
    /// # Errors
    /// As for all here.
    pub async fn status(&self) -> Result<Status> {
        let request = self.http.get(self.link("/v1/status")?);
        self.asked(request.timeout(ANSWER_TIMEOUT)).await
    }

    async fn asked<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let answer = self.answered(request).await?;
        self.peer.read(answer).await
    }

    /// The answer to who shows our token, where it is a good one; its body is still to come.
    pub(super) async fn answered(&self, request: RequestBuilder) -> Result<Response> {
        let request = request.bearer_auth(&self.endpoint.token);
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.peer.lost(error))?;
        self.peer.good(answer).await
    }

    /// The link of something below the address.
    pub(super) fn link(&self, path: &str) -> Result<Url> {
        let link = format!("{}{path}", self.endpoint.address);
        Url::parse(&link).map_err(|error| Error::malformed("endpoint.json", error.to_string()))
    }
}
