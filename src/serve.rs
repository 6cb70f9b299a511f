//! What the process answers over HTTP.
//!
//! ```text
//! GET  /livez, /readyz        to anyone
//! GET  /v1/openapi.json       to anyone: what follows, described from the code
//!      /v1/…                  ──token──turn──time──> Library ──> JSON, or a problem
//! POST /2015-03-31/…          ──token──job──> the first system's crawl path
//! POST /internal/<command>    our own commands, for who holds the folder's token
//! ```
//!
//! - Nobody is let in without a token; the folder's own, or one that `lockstep token create` made.
//! - Every refusal is an RFC 9457 problem. Bodies, requests at once, waiting crawls and times are bounded.
//! - A stop takes no request in any more; what is being answered has `serve.grace_seconds`.

mod api;
mod client;
mod extract;
mod figures;
mod guard;
mod health;
mod internal;
mod jobs;
mod listen;
mod openapi;
mod problem;
mod stopping;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::Result;
use crate::clock::Clock;
use crate::command::Library;
use crate::shutdown::Shutdown;
use crate::token::{Tokens, digest};

pub use api::documents::{Chunk, Document};
pub use api::status::{Index, Reindex, Status};
pub use client::{Client, Exporting};
pub use figures::tell;
use guard::Access;
pub use health::Readiness;
use jobs::Jobs;
use problem::Problem;

/// Where the first system's clients ask for a crawl.
const SEED_PATH: &str = "/2015-03-31/functions/function/invocations";

/// What bounds the answers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// Requests at once.
    pub requests_max: usize,
    /// Longest time for one answer.
    pub timeout: Duration,
    /// Crawls at once.
    pub crawls_at_once: usize,
    /// Crawls that may wait.
    pub crawls_waiting_max: usize,
    /// Crawls whose end is remembered.
    pub crawls_kept: usize,
    /// Whether the first system's crawl path may be asked without a token.
    pub seed_clients: bool,
    /// Wall clock, for people.
    pub clock: Clock,
}

/// Who may ask.
#[derive(Debug)]
pub struct Keys {
    /// The token of `endpoint.json`; none where nothing is announced, and then no command is answered.
    pub own: Option<String>,
    /// Those that were made.
    pub tokens: Tokens,
}

/// What every route has at hand.
struct Shared<L> {
    library: Arc<L>,
    access: Arc<Access>,
    settings: Settings,
    turns: Arc<Semaphore>,
    jobs: Jobs,
    shutdown: Shutdown,
}

/// Answers until it is asked to stop, and then until what is in hand is answered: commands are told that at
/// once, requests and the crawls that run come to their end, for as long as the caller waits.
///
/// # Errors
/// A crawl that panicked.
pub async fn serve<L: Library>(
    listener: TcpListener,
    (library, readiness): (Arc<L>, Arc<Readiness>),
    keys: Keys,
    settings: Settings,
    shutdown: Shutdown,
) -> Result<()> {
    let shared = Arc::new(Shared {
        access: Arc::new(Access {
            own: keys.own.map(|token| digest(token.as_bytes())),
            tokens: keys.tokens,
        }),
        turns: Arc::new(Semaphore::new(settings.requests_max)),
        jobs: Jobs::new(&settings, shutdown.clone()),
        library: Arc::clone(&library),
        shutdown: shutdown.clone(),
        settings,
    });
    let answering = listen::answer(listener, router(&shared, readiness), shutdown.clone());
    let crawling = shared.jobs.run(library);
    tokio::try_join!(answering, crawling).map(drop)
}

fn router<L: Library>(shared: &Arc<Shared<L>>, readiness: Arc<Readiness>) -> Router {
    let internal = internal::router(internal::Door {
        handler: Arc::clone(&shared.library),
        access: Arc::clone(&shared.access),
        shutdown: shared.shutdown.clone(),
    });
    let state = || Arc::clone(shared);
    let timed = Router::new()
        .route(
            "/v1/search",
            get(api::search::asked::<L>).post(api::search::posted::<L>),
        )
        .route(
            "/v1/documents/{type}/{id}",
            get(api::documents::document::<L>),
        )
        .route("/v1/authors", get(api::authors::authors::<L>))
        .route("/v1/crawl", post(api::crawl::order::<L>))
        .route(
            "/v1/crawl/{job}",
            get(api::crawl::job::<L>).delete(api::crawl::cancel::<L>),
        )
        .route("/v1/status", get(api::status::status::<L>))
        .route("/v1/parked", get(api::parked::parked::<L>))
        .route_layer(from_fn_with_state(state(), guard::timed::<L>));
    let public = timed
        .route("/v1/export", get(api::export::export::<L>))
        .route_layer(from_fn_with_state(state(), guard::limited::<L>))
        .route_layer(from_fn_with_state(state(), guard::admitted::<L>));
    // Without a turn: it would be held for as long as a crawl takes, and the job table bounds those.
    let seed = Router::new()
        .route(SEED_PATH, post(api::seed::invoke::<L>))
        .route_layer(from_fn_with_state(state(), guard::admitted_seed::<L>));
    public
        .merge(seed)
        .with_state(state())
        .merge(health::router(readiness))
        .route(
            "/v1/openapi.json",
            get(|| async { Json(openapi::document()) }),
        )
        .layer(DefaultBodyLimit::max(shared.settings.body_bytes_max))
        .merge(internal)
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn(guard::identified))
}

async fn unknown(request: Request) -> Problem {
    let detail = format!(
        "there is nothing at {}; /v1/openapi.json says what there is",
        request.uri().path()
    );
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn not_allowed(request: Request) -> Problem {
    let detail = format!(
        "{} is no method of {}",
        request.method(),
        request.uri().path()
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
