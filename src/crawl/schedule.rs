//! Links that are crawled again and again, each at its interval.
//!
//! ```text
//! watches ──> runs in the logbook ──due──> crawl (so many at once) ──> next: interval and jitter
//!                  ▲                                                       │
//!                  └───────────────────────────────────────────────────────┘
//! ```
//!
//! - One that is overdue, however often, is crawled once.
//! - What is under way when a stop is asked for is dropped: what it has stored stays, and it is due again.
//! - Several processes may keep one schedule: a link is claimed before it is crawled.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::record::{self, Repeat};
use super::{Request, Settings, named};
use crate::logbook::{Logbook, Run, Runs};
use crate::source::Source;
use crate::{Error, Recovery, Result};

/// Longest time between two looks at what is due, and the shortest between two tries of one link.
const LOOK_MS: u64 = 60_000;
/// Between two questions for what is due while the source does not answer.
const RETRY_MS: u64 = 1_000;
/// Runs that are read at once.
const PAGE: usize = 200;

/// A link that is crawled again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// What, and whose.
    pub request: Request,
    /// How long after a crawl the next one is due.
    pub every: Duration,
}

/// What is crawled again and again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each link once.
    pub watches: Vec<Watch>,
    /// Links that are crawled at once.
    pub at_once: usize,
    /// By how much of itself an interval may be longer, so that links of one interval drift apart.
    pub jitter_percent: u64,
    /// Decides the jitter.
    pub seed: u64,
}

/// A watch and the name of its link. A path that is not there has none yet, and one may lead elsewhere later.
struct Entry<'a> {
    watch: &'a Watch,
    link: String,
}

/// Crawls what is due until `shutdown` is ready.
///
/// # Errors
/// What trying again cannot mend, of the source; a page's failure is recorded and ends nothing.
pub async fn run<S: Source + Logbook>(
    source: &S,
    settings: &Settings,
    plan: &Plan,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    let mut keeper = Keeper::new(source, settings, plan).await;
    let mut running = FuturesUnordered::new();
    let mut shutdown = std::pin::pin!(shutdown);
    let clock = settings.manners.clock();
    let ended = loop {
        match keeper.due(plan.at_once.max(1)).await {
            Ok(due) => {
                for (index, again) in due {
                    let watch: &Watch = keeper.entries[index].watch;
                    let asked = (index, &watch.request, again);
                    running.push(crawled(source, settings, asked));
                }
            }
            Err(error) => match error.recovery() {
                Recovery::Retry(pause) => {
                    tracing::warn!(error = %error.chain(), "what is due to be crawled is not known yet");
                    keeper.pause_ms = milliseconds(pause).max(RETRY_MS);
                }
                Recovery::Park | Recovery::Stop => break Err(error),
            },
        }
        tokio::select! {
            biased;
            () = shutdown.as_mut() => break Ok(()),
            Some((index, done)) = running.next() => match done {
                Ok(()) => keeper.rest(index),
                Err(error) => break Err(error),
            },
            () = clock.wait(keeper.pause_ms), if keeper.waits(plan.at_once.max(1)) => {}
        }
    };
    drop(running);
    keeper.give_back().await;
    ended
}

/// One crawl of a watch; its failures are on record.
async fn crawled<S: Source + Logbook>(
    source: &S,
    settings: &Settings,
    (index, request, again): (usize, &Request, Repeat),
) -> (usize, Result<()>) {
    let asked = (request, Some(&again));
    let done = Box::pin(record::crawl(source, asked, settings, &())).await;
    let link = &request.target;
    match done {
        Ok(Some(report)) => {
            let (saved, deleted) = (report.saved, report.deleted);
            let skipped = report.skipped.len();
            tracing::info!(link, saved, deleted, skipped, "crawled by the schedule");
            (index, Ok(()))
        }
        Ok(None) => (index, Ok(())),
        Err(error @ Error::Stopped { .. }) => (index, Err(error)),
        Err(error) => {
            tracing::warn!(link, error = %error.chain(), "a watched link was not crawled");
            (index, Ok(()))
        }
    }
}

/// Knows which link is due when.
struct Keeper<'a, S> {
    source: &'a S,
    settings: &'a Settings,
    plan: &'a Plan,
    entries: Vec<Entry<'a>>,
    random: fastrand::Rng,
    /// Links under way (for ever), tried a moment ago, or not due: not before that time.
    resting: HashMap<usize, u64>,
    pause_ms: u64,
    is_tidy: bool,
}

impl<'a, S: Source + Logbook> Keeper<'a, S> {
    async fn new(source: &'a S, settings: &'a Settings, plan: &'a Plan) -> Self {
        let mut entries = Vec::new();
        for watch in &plan.watches {
            // One that names nothing now may later, and its crawl says why until then.
            let link = named(&watch.request).await;
            let link = link.unwrap_or_else(|_| watch.request.target.clone());
            entries.push(Entry { watch, link });
        }
        Self {
            source,
            settings,
            plan,
            entries,
            random: fastrand::Rng::with_seed(plan.seed),
            resting: HashMap::new(),
            pause_ms: LOOK_MS,
            is_tidy: false,
        }
    }

    fn now_ms(&self) -> u64 {
        self.settings.manners.clock().now_ms()
    }

    /// Those to crawl now, so many that `at_once` are under way; they are, from here on.
    async fn due(&mut self, at_once: usize) -> Result<Vec<(usize, Repeat)>> {
        if !self.is_tidy {
            self.tidy().await?;
            self.is_tidy = true;
        }
        let now_ms = self.now_ms();
        self.resting.retain(|_, until| *until > now_ms);
        let mut free = at_once.saturating_sub(self.underway());
        let (mut due, mut next_ms) = (Vec::new(), now_ms.saturating_add(LOOK_MS));
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if let Some(until) = self.resting.get(&index) {
                next_ms = next_ms.min(*until);
                continue;
            }
            let every_ms = milliseconds(entry.watch.every);
            let mut at_ms = due_at(self.source, &entry.link, every_ms).await?;
            if at_ms <= now_ms
                && free > 0
                && let Ok(link) = named(&entry.watch.request).await
                && link != entry.link
            {
                entry.link = link;
                at_ms = due_at(self.source, &entry.link, every_ms).await?;
                // Its former name is watched no more.
                self.is_tidy = false;
            }
            if at_ms > now_ms {
                // Nobody makes it due sooner: its record need not be read until then.
                self.resting.insert(index, at_ms);
                next_ms = next_ms.min(at_ms);
            } else if free > 0 {
                free -= 1;
                let spread = every_ms / 100 * self.plan.jitter_percent;
                let jitter_ms = self.random.u64(0..=spread);
                let repeat = Repeat {
                    link: entry.link.clone(),
                    every_seconds: every_ms / 1_000,
                    next_ms: now_ms.saturating_add(every_ms).saturating_add(jitter_ms),
                };
                due.push((index, repeat));
            }
        }
        self.resting
            .extend(due.iter().map(|(index, _)| (*index, u64::MAX)));
        self.pause_ms = next_ms.saturating_sub(now_ms).max(1);
        Ok(due)
    }

    fn underway(&self) -> usize {
        let forever = self.resting.values().filter(|until| **until == u64::MAX);
        forever.count()
    }

    /// Whether time alone can make anything due.
    fn waits(&self, at_once: usize) -> bool {
        let underway = self.underway();
        underway < at_once && underway < self.entries.len().max(1)
    }

    /// A crawl has ended; the record says when the next one is due.
    fn rest(&mut self, index: usize) {
        let until = self.now_ms().saturating_add(LOOK_MS);
        self.resting.insert(index, until);
    }

    /// Links that are watched no more have no next crawl.
    async fn tidy(&self) -> Result<()> {
        let mut after = None;
        loop {
            let runs = self.source.runs(Runs::After(after), PAGE).await?;
            let Some(last) = runs.last() else {
                return Ok(());
            };
            after = Some(last.link.clone());
            for mut run in runs {
                let is_watched = self.entries.iter().any(|entry| entry.link == run.link);
                if run.every_seconds.is_some() && !is_watched {
                    run.every_seconds = None;
                    run.next_ms = None;
                    self.source.save_run(run).await?;
                }
            }
        }
    }

    /// Lets others crawl what is left where it stands.
    async fn give_back(&self) {
        let (now_ms, owner) = (self.now_ms(), self.settings.manners.owner());
        for (index, until) in &self.resting {
            let link = &self.entries[*index].link;
            if *until == u64::MAX
                && let Err(error) = self.source.claim(link, owner, (now_ms, 0)).await
            {
                tracing::debug!(link, error = %error.chain(), "its claim ends by itself");
            }
        }
    }
}

fn milliseconds(every: Duration) -> u64 {
    u64::try_from(every.as_millis()).unwrap_or(u64::MAX)
}

/// When a link is due by what is recorded of it.
async fn due_at<S: Logbook>(source: &S, link: &str, every_ms: u64) -> Result<u64> {
    let run = source.runs(Runs::Of(link.to_owned()), 1).await?;
    Ok(due_ms(run.first(), every_ms).unwrap_or_default())
}

/// When a link is due by its last run; none for at once.
fn due_ms(run: Option<&Run>, every_ms: u64) -> Option<u64> {
    let run = run?;
    let since = run.started_ms.saturating_add(every_ms);
    if run.every_seconds == Some(every_ms / 1_000) {
        run.next_ms
    } else {
        // The interval is another one now, or a person has asked until now.
        Some(run.next_ms.map_or(since, |next| next.min(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(every_seconds: Option<u64>, next_ms: Option<u64>) -> Run {
        Run {
            started_ms: 1_000,
            every_seconds,
            next_ms,
            ..Run::default()
        }
    }

    #[test]
    fn a_link_is_due_as_its_record_says_and_at_once_without_one() {
        let due = |run: Run| due_ms(Some(&run), 3_600_000);
        assert_eq!(due_ms(None, 3_600_000), None);
        assert_eq!(due(run(Some(3_600), Some(7))), Some(7));
        assert_eq!(due(run(None, None)), Some(3_601_000));
        // A shorter interval counts from the last crawl, a longer one from the next.
        assert_eq!(due(run(Some(86_400), Some(86_401_000))), Some(3_601_000));
        assert_eq!(due(run(Some(60), Some(61_000))), Some(61_000));
    }
}
