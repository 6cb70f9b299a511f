//! Questions all the time, of whichever process answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::DOCUMENTS;
use crate::support::api::Caller;
use crate::support::edited::{PARAGRAPHS, text};

/// Between two questions at most.
const PAUSE_MS: u64 = 100;

/// Processes of which each may answer; one that takes no connection, or closes it, is passed over, as a
/// balancer does.
pub(super) struct Replicas {
    callers: Vec<Caller>,
    next: AtomicU64,
    answered: AtomicU64,
    passed_over: AtomicU64,
}

impl Replicas {
    pub(super) fn new<'a>(addresses: impl Iterator<Item = &'a str>, token: &str) -> Self {
        let caller = |address| Caller::new(&format!("http://{address}"), Some(token));
        Self {
            callers: addresses.map(caller).collect(),
            next: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
        }
    }

    /// A good answer; fails where one answers otherwise, or none does.
    pub(super) async fn get(&self, path: &str) -> Value {
        let first = usize::try_from(self.next.fetch_add(1, Ordering::Relaxed)).unwrap();
        let mut lost = Vec::new();
        for turn in 0..self.callers.len() {
            let caller = &self.callers[(first + turn) % self.callers.len()];
            match whole(caller, path).await {
                Ok((status, body)) => {
                    assert!(status.is_success(), "{path}: {status}: {body}");
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    return serde_json::from_str(&body).unwrap();
                }
                Err(error) => {
                    self.passed_over.fetch_add(1, Ordering::Relaxed);
                    lost.push(error);
                }
            }
        }
        panic!("nobody answered {path}: {lost:?}");
    }

    pub(super) async fn search(&self, question: &str) -> Value {
        let question: String = url::form_urlencoded::byte_serialize(question.as_bytes()).collect();
        self.get(&format!("/v1/search?q={question}&limit=5")).await
    }

    pub(super) fn tally(&self) -> String {
        let [answered, passed_over] =
            [&self.answered, &self.passed_over].map(|count| count.load(Ordering::Relaxed));
        format!("{answered} requests answered, {passed_over} of them by the other process")
    }
}

async fn whole(caller: &Caller, path: &str) -> reqwest::Result<(reqwest::StatusCode, String)> {
    let answer = caller.request(Method::GET, path).send().await?;
    Ok((answer.status(), answer.text().await?))
}

/// Those who ask.
pub(super) struct Askers {
    stop: watch::Sender<bool>,
    asking: JoinSet<Vec<Duration>>,
}

impl Askers {
    pub(super) fn start(replicas: &Arc<Replicas>, count: usize, random: &mut Rng) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut asking = JoinSet::new();
        for _ in 0..count {
            asking.spawn(ask(Arc::clone(replicas), random.fork(), stopped.clone()));
        }
        Self { stop, asking }
    }

    /// Stops them; how long their searches took. Fails where one of them did.
    pub(super) async fn stop(self) -> String {
        self.stop.send_replace(true);
        let mut took: Vec<_> = self.asking.join_all().await.concat();
        took.sort_unstable();
        let (half, most) = (took[took.len() / 2], took[took.len() - 1]);
        format!(
            "{} searches by askers, median {half:.0?}, longest {most:.0?}",
            took.len()
        )
    }
}

async fn ask(
    replicas: Arc<Replicas>,
    mut random: Rng,
    stopped: watch::Receiver<bool>,
) -> Vec<Duration> {
    let mut took = Vec::new();
    while !*stopped.borrow() {
        let paragraph = (random.usize(0..DOCUMENTS), random.usize(0..PARAGRAPHS));
        let began = Instant::now();
        replicas.search(&text(paragraph, random.u32(1..4))).await;
        took.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(random.u64(0..=PAUSE_MS))).await;
    }
    took
}
