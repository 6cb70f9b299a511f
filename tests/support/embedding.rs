//! A service that embeds, on loopback: the three protocols as their public documentation says, with
//! faults on command.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::stream;
use lockstep::feature::embed::http::{HttpOptions, Protocol};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Values a vector, unless it is told otherwise.
pub(crate) const DIMENSION: usize = 16;

/// What goes wrong with one request.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// Another status, with `Retry-After` where there is one.
    Status(u16, Option<&'static str>),
    /// One vector is missing.
    Few,
    /// A value is null.
    NoNumber,
    /// Vectors of so many values.
    Dimension(usize),
    /// The connection ends in the middle of the answer.
    Cut,
    /// No answer, ever.
    Never,
}

/// What was asked for vectors.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) texts: Vec<String>,
    pub(crate) authorization: Option<String>,
}

/// What the server knows.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What goes wrong with the next requests, in order.
    pub(crate) script: VecDeque<Trouble>,
    /// Every request for vectors.
    pub(crate) asked: Vec<Asked>,
    /// A text with one of these words in it is refused.
    pub(crate) refused: HashSet<&'static str>,
    /// A text with one of these words in it breaks the computation.
    pub(crate) breaks: HashSet<&'static str>,
    /// Texts a request; more is refused.
    pub(crate) texts_max: usize,
    /// What lets in.
    pub(crate) key: Option<&'static str>,
    /// Requests are answered in pairs, by this.
    pub(crate) pairs: Option<Arc<Barrier>>,
    running: usize,
    /// Requests at once, at most.
    pub(crate) running_max: usize,
}

/// A running server; it ends with its value.
pub(crate) struct EmbeddingServer {
    pub(crate) url: String,
    known: Arc<Mutex<Known>>,
    _serving: JoinSet<()>,
}

impl EmbeddingServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let known = Arc::new(Mutex::new(Known {
            texts_max: 32,
            ..Known::default()
        }));
        let router = Router::new()
            .route("/v1/embeddings", post(openai))
            .route("/embed", post(tei))
            .route("/info", get(tei_info))
            .route("/api/embed", post(ollama))
            .route("/api/show", post(ollama_show))
            .route("/api/tags", get(ollama_tags))
            .with_state(Arc::clone(&known));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            url,
            known,
            _serving: serving,
        }
    }

    /// Looks at what it knows, or changes it.
    pub(crate) fn known<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        with(&mut self.known.lock().unwrap())
    }

    /// How to ask it, without limits on time and without random pauses.
    pub(crate) fn options(&self, protocol: Protocol) -> HttpOptions {
        HttpOptions {
            protocol,
            url: self.url.parse().unwrap(),
            name: (protocol != Protocol::Tei).then(|| "all-minilm".to_owned()),
            key: serde_json::from_value(json!("")).unwrap(),
            dimension: None,
            token_limit: 4096,
            tokenizer: None,
            texts_max: None,
            tokens_max: None,
            bytes_max: 1 << 20,
            requests_max: 4,
            timeout: None,
            attempts_max: 3,
            wait_max: std::time::Duration::from_mins(1),
            jitter: None,
        }
    }
}

/// A vector of a text, three times as long as it should be.
fn vector(text: &str, dimension: usize) -> Vec<f64> {
    let mut vector = vec![0.0; dimension];
    vector[0] = 0.5;
    for word in text.split_whitespace() {
        let hash = word.bytes().fold(7_usize, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        vector[hash % dimension] += 1.0;
    }
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    vector.iter().map(|value| 3.0 * value / length).collect()
}

type Shared = State<Arc<Mutex<Known>>>;

/// Vectors for the texts of a request, or what goes wrong instead.
async fn embed(
    known: &Mutex<Known>,
    headers: &HeaderMap,
    texts: &Value,
) -> Result<Vec<Value>, Response> {
    let texts: Vec<String> = serde_json::from_value(texts.clone()).unwrap();
    let (trouble, pairs) = {
        let mut known = known.lock().unwrap();
        let authorization = headers.get(header::AUTHORIZATION);
        let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
        let wanted = known.key.map(|key| format!("Bearer {key}"));
        known.asked.push(Asked {
            texts: texts.clone(),
            authorization: authorization.clone(),
        });
        if wanted.is_some() && wanted != authorization {
            let told = format!("Incorrect API key provided: {authorization:?}");
            return Err(failed(401, None, &told));
        }
        if texts.len() > known.texts_max {
            return Err(failed(413, None, "batch size is over the maximum"));
        }
        let has = |words: &HashSet<&str>| {
            let mut words = words.iter();
            words.any(|word| texts.iter().any(|text| text.contains(word)))
        };
        if has(&known.refused) {
            return Err(failed(400, None, "an input is not valid"));
        }
        if has(&known.breaks) {
            return Err(failed(500, None, "unsupported value: NaN"));
        }
        known.running += 1;
        known.running_max = known.running_max.max(known.running);
        (known.script.pop_front(), known.pairs.clone())
    };
    if let Some(pairs) = pairs {
        pairs.wait().await;
    }
    known.lock().unwrap().running -= 1;
    let vectors = |dimension| {
        let vectors = texts.iter().map(|text| json!(vector(text, dimension)));
        vectors.collect::<Vec<_>>()
    };
    let mut right = vectors(DIMENSION);
    match trouble {
        None => Ok(right),
        Some(Trouble::Status(status, after)) => Err(failed(status, after, "later")),
        Some(Trouble::Few) => {
            right.pop();
            Ok(right)
        }
        Some(Trouble::NoNumber) => {
            right[0][1] = Value::Null;
            Ok(right)
        }
        Some(Trouble::Dimension(dimension)) => Ok(vectors(dimension)),
        Some(Trouble::Cut) => Err(cut()),
        Some(Trouble::Never) => std::future::pending().await,
    }
}

fn failed(status: u16, after: Option<&str>, told: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let body = json!({"error": {"message": told, "type": "some_error", "code": null}});
    let mut response = (status, body.to_string()).into_response();
    if let Some(after) = after {
        let after = after.parse().unwrap();
        response.headers_mut().insert(header::RETRY_AFTER, after);
    }
    response
}

/// Half of an answer.
fn cut() -> Response {
    let parts = [
        Ok("{\"data\": [{\"index\": 0, \"embedding\": [0.1, "),
        Err(std::io::Error::other("cut")),
    ];
    Body::from_stream(stream::iter(parts)).into_response()
}

fn words(texts: &Value) -> u64 {
    let texts = texts.as_array().unwrap().iter();
    let words = texts.map(|text| text.as_str().unwrap().split_whitespace().count() as u64);
    words.sum()
}

/// Answers in another order than it was asked, with each vector's index.
async fn openai(State(known): Shared, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["encoding_format"], "float");
    let vectors = match embed(&known, &headers, &body["input"]).await {
        Ok(vectors) => vectors,
        Err(failed) => return failed,
    };
    let one =
        |(index, embedding)| json!({"object": "embedding", "index": index, "embedding": embedding});
    let data: Vec<Value> = vectors.into_iter().enumerate().map(one).rev().collect();
    let tokens = words(&body["input"]);
    json!({
        "object": "list", "model": body["model"], "data": data,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
    .to_string()
    .into_response()
}

async fn tei(State(known): Shared, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["truncate"], false);
    match embed(&known, &headers, &body["inputs"]).await {
        Ok(vectors) => {
            let tokens = words(&body["inputs"]).to_string();
            ([("x-compute-tokens", tokens)], json!(vectors).to_string()).into_response()
        }
        Err(failed) => failed,
    }
}

async fn tei_info(State(known): Shared) -> String {
    let texts_max = known.lock().unwrap().texts_max;
    json!({
        "model_id": "sentence-transformers/all-MiniLM-L6-v2", "model_sha": "abc",
        "model_dtype": "float32", "max_input_length": 2048, "max_batch_tokens": 16384,
        "max_client_batch_size": texts_max, "auto_truncate": false, "version": "1.8.0",
    })
    .to_string()
}

async fn ollama(State(known): Shared, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["truncate"], false);
    match embed(&known, &headers, &body["input"]).await {
        Ok(vectors) => json!({
            "model": body["model"], "embeddings": vectors,
            "prompt_eval_count": words(&body["input"]),
        })
        .to_string()
        .into_response(),
        Err(failed) => failed,
    }
}

async fn ollama_show(body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    if body["model"] != "all-minilm" {
        return failed(404, None, "model not found");
    }
    json!({"model_info": {"general.architecture": "bert", "bert.context_length": 512}})
        .to_string()
        .into_response()
}

async fn ollama_tags() -> String {
    json!({"models": [{"name": "all-minilm:latest", "digest": "1b226e2802db"}]}).to_string()
}
