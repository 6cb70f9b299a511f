//! The hand: one request to the service, and what it says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use url::Url;

use super::fault::{Fault, judge};
use super::gate::{Gate, Patience, patiently};
use super::protocol::{About, Protocol, checked, ollama_info, tei_info};
use super::{HttpOptions, Usage};
use crate::clock::Clock;
use crate::retry::Backoff;
use crate::{Error, Result};

/// The largest answer, in bytes: 256 texts of 4,096 values, of which each takes 20 bytes as text, and
/// as much again.
const ANSWER_BYTES_MAX: usize = 48 << 20;

/// How long a connection may take; a request has a time of its own.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Where text-embeddings-inference says how much it has computed.
const COMPUTED: HeaderName = HeaderName::from_static("x-compute-tokens");

/// A service that embeds.
#[derive(Debug)]
pub(super) struct Service {
    http: Client,
    protocol: Protocol,
    /// Without a slash at its end.
    base: String,
    model: String,
    key: Option<HeaderValue>,
    clock: Clock,
    slots: Semaphore,
    gate: Gate,
    patience: Patience,
    jitter: Option<u64>,
    requests: AtomicU64,
    tokens: AtomicU64,
}

/// An answer whose status is a success.
struct Reply {
    body: Vec<u8>,
    computed: Option<u64>,
}

impl Service {
    pub(super) fn new(options: &HttpOptions, clock: Clock) -> Result<Self> {
        let mut http = Client::builder()
            // The key goes where the settings say, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_idle_timeout(options.timeout);
        if let Some(timeout) = options.timeout {
            http = http
                .timeout(timeout)
                .connect_timeout(timeout.min(CONNECT_MAX));
        }
        let http = http
            .build()
            .map_err(Error::unavailable("HTTP client", "start"))?;
        Ok(Self {
            http,
            protocol: options.protocol,
            base: base(options.protocol, &options.url),
            model: options.name.clone().unwrap_or_default(),
            key: bearer(options)?,
            clock,
            slots: Semaphore::new(options.requests_max.max(1)),
            gate: Gate::default(),
            patience: Patience {
                attempts_max: options.attempts_max.max(1),
                wait_max: options.wait_max,
            },
            jitter: options.jitter,
            requests: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
        })
    }

    /// Where it is, for people; no password is in it, since the settings take none.
    pub(super) fn place(&self) -> &str {
        &self.base
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            requests: self.requests.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
        }
    }

    /// What it says of its model; nothing where the protocol has no word for it.
    pub(super) async fn about(&self) -> Result<About, Fault> {
        match self.protocol {
            Protocol::OpenAi => Ok(About::default()),
            Protocol::Tei => Ok(tei_info(&self.told("info", None).await?)),
            Protocol::Ollama => {
                let named = json!({"model": self.model});
                let show = self.told("api/show", Some(&named)).await?;
                let tags = self.told("api/tags", None).await?;
                Ok(ollama_info(&self.model, &show, &tags))
            }
        }
    }

    /// The vectors of these texts, in order, each of unit length.
    pub(super) async fn vectors(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Fault> {
        let body = self.protocol.body(&self.model, texts);
        let attempt = || self.embedded(&body, texts.len());
        patiently(&self.gate, self.patience, self.backoff(), attempt).await
    }

    async fn embedded(&self, body: &Value, count: usize) -> Result<Vec<Vec<f32>>, Fault> {
        let reply = self.ask(self.protocol.path(), Some(body)).await?;
        let protocol = self.protocol;
        // Megabytes of numbers as text take longer than others should wait for this thread.
        let read = move || {
            let answer = protocol.answer(&reply.body, reply.computed)?;
            let tokens = answer.tokens.unwrap_or_default();
            Ok((tokens, checked(answer, count)))
        };
        let read = tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|_| Err("reading its answer panicked".to_owned()));
        let passing = |why| Fault::Passing {
            why,
            answered: true,
        };
        let (tokens, vectors) = read.map_err(passing)?;
        // Whatever the vectors are worth, they were computed, and perhaps paid for.
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
        vectors.map_err(passing)
    }

    async fn told(&self, path: &str, body: Option<&Value>) -> Result<Value, Fault> {
        let attempt = || async {
            let reply = self.ask(path, body).await?;
            serde_json::from_slice(&reply.body).map_err(|error| Fault::Refused {
                why: format!("its answer at /{path} is malformed: {error}"),
                fix: "check model.url and model.backend".into(),
            })
        };
        patiently(&self.gate, self.patience, self.backoff(), attempt).await
    }

    /// Asks once, when there is a slot. Cancel safe: the request ends with the call.
    async fn ask(&self, path: &str, body: Option<&Value>) -> Result<Reply, Fault> {
        let _slot = self.slots.acquire().await;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let url = format!("{}/{path}", self.base);
        let mut request = match body {
            Some(body) => self.http.post(url).json(body),
            None => self.http.get(url),
        };
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key.clone());
        }
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = read(response).await?;
        if !status.is_success() {
            let after = text(&headers, &RETRY_AFTER);
            return Err(judge(status, after, &body, self.clock.now_ms()));
        }
        let computed = text(&headers, &COMPUTED).and_then(|tokens| tokens.parse().ok());
        Ok(Reply { body, computed })
    }

    fn backoff(&self) -> Backoff {
        let number = self.requests.load(Ordering::Relaxed);
        Backoff::jittered(self.jitter.map(|seed| seed.wrapping_add(number)))
    }
}

/// The address without a slash at its end. That of an `OpenAI`-compatible service is known by its
/// version, which is left out as often as not.
fn base(protocol: Protocol, url: &Url) -> String {
    let base = url.as_str().trim_end_matches('/');
    match protocol {
        Protocol::OpenAi if url.path() == "/" => format!("{base}/v1"),
        _ => base.to_owned(),
    }
}

fn bearer(options: &HttpOptions) -> Result<Option<HeaderValue>> {
    if !options.key.is_set() {
        return Ok(None);
    }
    let bearer = format!("Bearer {}", options.key.expose().trim());
    let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| Error::Config {
        setting: "model.api_key".into(),
        why: "it has characters that no key has".into(),
    })?;
    bearer.set_sensitive(true);
    Ok(Some(bearer))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads a body up to the limit.
async fn read(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Fault::Refused {
                why: format!("its answer has more than {ANSWER_BYTES_MAX} bytes"),
                fix: "lower model.batch_texts_max".into(),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// No answer, or half of one.
fn lost(error: reqwest::Error) -> Fault {
    let why = if error.is_timeout() {
        "it took longer than model.timeout_seconds: raise it, or lower model.batch_texts_max".into()
    } else {
        Error::unavailable("it", "answer")(error.without_url()).chain()
    };
    Fault::Passing {
        why,
        answered: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_protocol_may_be_left_out() {
        let base = |protocol, url: &str| base(protocol, &url.parse().unwrap());
        let openai = |url| base(Protocol::OpenAi, url);
        assert_eq!(openai("http://host:1/"), "http://host:1/v1");
        assert_eq!(openai("http://host:1/v1/"), "http://host:1/v1");
        assert_eq!(openai("http://host/api/v3"), "http://host/api/v3");
        assert_eq!(base(Protocol::Tei, "http://host:1"), "http://host:1");
    }
}
