//! A running process asked over HTTP, as by anybody's program.

use std::path::Path;

use lockstep::config::Config;
use lockstep::folder::Endpoint;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use super::app::{self, App};

/// The first system's crawl path.
pub(crate) const SEED: &str = "/2015-03-31/functions/function/invocations";

/// An address, and what is shown there.
#[derive(Clone)]
pub(crate) struct Caller {
    http: reqwest::Client,
    address: String,
    token: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of an answer that must be a good one.
    pub(crate) fn good(&self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json()
    }

    /// What a problem says; it must be one, of this status.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], "about:blank", "{problem}");
        assert!(problem["title"].is_string(), "{problem}");
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

impl Caller {
    pub(crate) fn new(address: &str, token: Option<&str>) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            address: address.to_owned(),
            token: token.map(str::to_owned),
        }
    }

    /// With the token of the data folder.
    pub(crate) fn of(data: &Path) -> Self {
        let endpoint = Endpoint::find(data).unwrap().unwrap();
        Self::new(&endpoint.address, Some(&endpoint.token))
    }

    /// The same with another token, or without.
    pub(crate) fn with(&self, token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer {
        status,
        headers,
        body: answer.text().await.unwrap(),
    }
}

/// Settings that let pages of this machine be crawled.
pub(crate) fn config(data: &Path) -> Config {
    let mut config = app::config(data);
    config.crawl.allow_hosts = vec!["127.0.0.1".to_owned()];
    config
}

/// A process with these pages crawled, and who asks it.
pub(crate) async fn filled(data: &Path, pages: &[(&str, &str)]) -> (App, Caller) {
    let app = App::start_with(config(data)).await;
    let folder = app::pages(pages);
    app.crawl(folder.path()).await;
    (app, Caller::of(data))
}
