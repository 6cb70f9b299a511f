//! Whether the process lives, and whether it could work now: asked of the API and where figures are told.
//!
//! ```text
//! GET /readyz ──> stopping? ──> the last answer, if it is fresh ──> a look at what the process works with
//! ```

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::problem::Problem;
use crate::Result;
use crate::shutdown::Shutdown;

/// What `/livez` answers, by which a command knows that it talks to one of us.
pub(super) const GREETING: &str = "lockstep";
/// How long everything that the process works with has for its words.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long such an answer holds, so that whoever asks often costs nothing.
const FRESH: Duration = Duration::from_secs(1);

/// Whether a process could work now, whoever asks and wherever.
pub struct Readiness {
    look: Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>,
    /// The last look, and what it found wrong.
    last: Mutex<Option<(Instant, Option<String>)>>,
    shutdown: Shutdown,
}

impl Readiness {
    /// Of a process that works while `look` goes well, until it is asked to stop. A look may be cut off.
    pub fn new<F>(look: impl Fn() -> F + Send + Sync + 'static, shutdown: Shutdown) -> Arc<Self>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Arc::new(Self {
            look: Box::new(move || look().boxed()),
            last: Mutex::new(None),
            shutdown,
        })
    }

    /// What is wrong, if anything; one look at a time.
    async fn trouble(&self) -> Option<String> {
        if *self.shutdown.borrow() {
            return Some("it is stopping".to_owned());
        }
        let mut last = self.last.lock().await;
        match last.as_ref() {
            Some((at, found)) if at.elapsed() < FRESH => return found.clone(),
            _ => {}
        }
        let found = match timeout(PATIENCE, (self.look)()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                tracing::warn!(error = %error.chain(), "not ready");
                // Its causes are for the log: anybody may ask here.
                Some(error.to_string())
            }
            Err(_) => Some("what it works with did not answer in time".to_owned()),
        };
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readiness")
    }
}

/// `/livez` and `/readyz`, to anybody.
pub(super) fn router(readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

/// The process is there and hands out answers. A role that ends ends the process.
pub(super) async fn live() -> &'static str {
    GREETING
}

/// What the process works with has just answered, and it is not about to stop.
async fn ready(State(readiness): State<Arc<Readiness>>) -> Response {
    match readiness.trouble().await {
        None => "ready".into_response(),
        Some(why) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
            .again_after(1)
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::watch;

    use super::*;
    use crate::Error;

    #[tokio::test(start_paused = true)]
    async fn one_look_holds_for_a_moment_and_a_stop_is_said_at_once() {
        let (asked, shutdown) = watch::channel(false);
        let looks = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&looks);
        // The first goes well, the second does not, the third never ends.
        let look = move || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            async move {
                match number {
                    0 => Ok(()),
                    1 => Err(Error::unavailable("the broker", "answer")("at 10.0.0.7")),
                    _ => std::future::pending().await,
                }
            }
        };
        let readiness = Readiness::new(look, shutdown);
        assert_eq!(readiness.trouble().await, None);
        assert_eq!(readiness.trouble().await, None);
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        tokio::time::advance(FRESH).await;
        let told = readiness.trouble().await.unwrap();
        assert_eq!(told, "the broker did not answer");
        tokio::time::advance(FRESH).await;
        let told = timeout(2 * PATIENCE, readiness.trouble()).await.unwrap();
        assert_eq!(
            told.as_deref(),
            Some("what it works with did not answer in time")
        );
        asked.send_replace(true);
        assert_eq!(readiness.trouble().await.unwrap(), "it is stopping");
    }
}
