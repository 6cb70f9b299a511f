//! Questions one after the other, as many as the machine answers, and half as many.

use std::sync::Arc;
use std::time::Duration;

use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::local::LocalEmbedder;
use lockstep::search::{self, Mode, Query, Standing};
use lockstep::{Error, Result};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::fill::Index;
use crate::two;

/// Questions that fill the caches before one is measured.
const WARM: usize = 50;
/// Questions measured; p99 stands for the slowest five.
const ASKED: usize = 500;
/// Questions under way at once that keep every core busy.
const AT_ONCE: usize = 8;
/// Documents of an answer.
const LIMIT: usize = 10;
/// Ticks of a second in which the kernel counts CPU time (`USER_HZ`, 100 on Linux for every program).
const TICKS: f64 = 100.0;

/// Asks one index.
pub(crate) struct Asker {
    index: Index,
    embedder: Arc<LocalEmbedder>,
    questions: Vec<String>,
}

/// How long an answer took, from when it was due.
type Milliseconds = f64;

impl Asker {
    pub(crate) fn new(
        index: Index,
        embedder: Arc<LocalEmbedder>,
        questions: Vec<String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            index,
            embedder,
            questions,
        })
    }

    pub(crate) async fn measure(self: &Arc<Self>, mode: Mode) -> Result<Value> {
        let mut figures = self.alone(mode).await?;
        let saturation = self.saturation(mode).await?;
        figures["saturation_per_second"] = two(saturation).into();
        figures["at_half"] = percentiles(self.arriving(mode, saturation / 2.0).await?);
        Ok(figures)
    }

    /// One question at a time.
    pub(crate) async fn alone(&self, mode: Mode) -> Result<Value> {
        for at in 0..WARM {
            self.ask(at, mode, Instant::now()).await?;
        }
        let (cpu, mut took) = (cpu_seconds()?, Vec::new());
        for at in 0..ASKED {
            took.push(self.ask(WARM + at, mode, Instant::now()).await?);
        }
        let cpu = (cpu_seconds()? - cpu) * 1000.0 / ASKED as f64;
        let mut figures = percentiles(took);
        figures["cpu_ms"] = two(cpu).into();
        Ok(figures)
    }

    /// Answers a second when there is always another question.
    async fn saturation(self: &Arc<Self>, mode: Mode) -> Result<f64> {
        let start = Instant::now();
        let mut asking = JoinSet::new();
        for at in 0..ASKED {
            if asking.len() >= AT_ONCE {
                joined(asking.join_next().await)?;
            }
            let asker = Arc::clone(self);
            asking.spawn(async move { asker.ask(at, mode, Instant::now()).await });
        }
        while let Some(done) = asking.join_next().await {
            joined(Some(done))?;
        }
        Ok(ASKED as f64 / start.elapsed().as_secs_f64())
    }

    /// Questions that come at random moments, so many a second, whether or not the last is answered.
    async fn arriving(self: &Arc<Self>, mode: Mode, rate: f64) -> Result<Vec<Milliseconds>> {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut due, mut asking) = (Instant::now(), JoinSet::new());
        for at in 0..ASKED {
            // Between arrivals that know nothing of each other the wait is exponential.
            due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
            sleep_until(due).await;
            let asker = Arc::clone(self);
            asking.spawn(async move { asker.ask(at, mode, due).await });
        }
        let mut took = Vec::new();
        while let Some(done) = asking.join_next().await {
            took.push(joined(Some(done))?);
        }
        Ok(took)
    }

    /// What of it is the model: p50 of embedding one question.
    pub(crate) async fn embedding(&self) -> Result<Value> {
        let mut took = Vec::new();
        for question in self.questions.iter().cycle().take(ASKED) {
            let start = Instant::now();
            self.embedder.embed(vec![question.clone()]).await?;
            took.push(milliseconds(start));
        }
        Ok(percentiles(took))
    }

    async fn ask(&self, at: usize, mode: Mode, due: Instant) -> Result<Milliseconds> {
        let query = Query {
            text: self.questions[at % self.questions.len()].clone(),
            mode,
            limit: LIMIT,
            ..Query::default()
        };
        let store = &self.index.store;
        let answer = search::search(store, &*self.embedder, &query, Standing::default()).await?;
        if answer.hits.is_empty() {
            let why = "a heading of the book found nothing";
            return Err(Error::malformed("the answer", why));
        }
        Ok(milliseconds(due))
    }
}

fn joined<T>(done: Option<std::result::Result<Result<T>, tokio::task::JoinError>>) -> Result<T> {
    let stopped = Error::Stopped { part: "a question" };
    done.and_then(std::result::Result::ok).ok_or(stopped)?
}

fn milliseconds(since: Instant) -> Milliseconds {
    since.elapsed().as_secs_f64() * 1000.0
}

fn percentiles(mut took: Vec<Milliseconds>) -> Value {
    took.sort_by(f64::total_cmp);
    let at = |percent: usize| two(took[(took.len() * percent / 100).min(took.len() - 1)]);
    json!({ "p50_ms": at(50), "p99_ms": at(99) })
}

/// What this process used of the cores, its own and the kernel's work for it.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(Error::unavailable(
        "the kernel",
        "say how much CPU time was used",
    ))?;
    // Behind the name, which may hold anything: user and system time are fields 14 and 15.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    Ok(ticks.filter_map(|one| one.parse::<f64>().ok()).sum::<f64>() / TICKS)
}
