//! Crawls that were asked for over HTTP: each a job that waits for its turn, runs, and is remembered for a
//! while.
//!
//! ```text
//! ask ──> queued ──turn──> running ──> done with counts | failed with the reason ──> forgotten, oldest first
//! ```
//!
//! Jobs are in memory: a restart forgets them. What a crawl has saved by then stays, and crawling again goes
//! on from there. A stop begins no job; one that runs has the rest of `serve.grace_seconds`.

mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::clock::Clock;
use crate::command::{Handler, Reporter, Request, Response};
use crate::shutdown::{Shutdown, requested};
use crate::{Error, Result, crawl};

pub(super) use table::{Counts, Job, Refused, State};
use table::{Limits, Table};

/// How a crawl ended: what it changed, or why it failed.
pub(super) type Outcome = Result<Counts, String>;

/// The jobs of this process.
#[derive(Debug)]
pub(super) struct Jobs {
    table: Mutex<Table>,
    /// There is a job to begin.
    asked: Notify,
    clock: Clock,
    shutdown: Shutdown,
}

impl Jobs {
    pub(super) fn new(settings: &super::Settings, shutdown: Shutdown) -> Self {
        let limits = Limits {
            at_once: settings.crawls_at_once,
            waiting_max: settings.crawls_waiting_max,
            kept: settings.crawls_kept,
        };
        Self {
            table: Mutex::new(Table::new(limits)),
            asked: Notify::new(),
            clock: settings.clock.clone(),
            shutdown,
        }
    }

    /// Asks for a crawl; its end is told to whoever keeps the receiver.
    ///
    /// # Errors
    /// Too many wait already, or the process is stopping.
    pub(super) fn ask(
        &self,
        what: crawl::Request,
    ) -> Result<(Uuid, oneshot::Receiver<Outcome>), Refused> {
        // What is taken between the asking and the closing of the table would be given up at once.
        if *self.shutdown.borrow() {
            return Err(Refused::Stopping);
        }
        let (told, outcome) = oneshot::channel();
        let id = Uuid::new_v4();
        let now_ms = self.clock.now_ms();
        self.table().ask(id, what, (now_ms, told))?;
        self.asked.notify_one();
        Ok((id, outcome))
    }

    /// The job of this id, if it is remembered.
    pub(super) fn get(&self, id: Uuid) -> Option<Job> {
        self.table().get(id)
    }

    /// Runs jobs until it is asked to stop, and then until those that run have ended.
    pub(super) async fn run<H: Handler>(&self, handler: Arc<H>) -> Result<()> {
        let mut running = JoinSet::new();
        let mut stop = std::pin::pin!(requested(self.shutdown.clone()));
        loop {
            while let Some((id, what)) = self.begin() {
                let (report, progress) = Reporter::new();
                self.table().watch(id, progress);
                let handler = Arc::clone(&handler);
                running.spawn(async move { (id, crawled(handler.as_ref(), what, report).await) });
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = running.join_next() => self.ended(ended)?,
                () = self.asked.notified() => {}
            }
        }
        self.table()
            .give_up("the process was stopped before its turn came");
        while let Some(ended) = running.join_next().await {
            self.ended(ended)?;
        }
        Ok(())
    }

    fn begin(&self) -> Option<(Uuid, crawl::Request)> {
        let now_ms = self.clock.now_ms();
        self.table().begin(now_ms)
    }

    fn ended(&self, ended: Result<(Uuid, Outcome), tokio::task::JoinError>) -> Result<()> {
        // A panic in a crawl is one of ours, and stops the role as everywhere.
        let (id, outcome) = ended.map_err(|_| Error::Stopped { part: "a crawl" })?;
        let now_ms = self.clock.now_ms();
        self.table().end(id, outcome, now_ms);
        Ok(())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same crawl as the command's: dispatcher, politeness and address rules are there.
async fn crawled<H: Handler>(handler: &H, what: crawl::Request, report: Reporter) -> Outcome {
    let link = what.target.clone();
    let request = Request::Crawl { what, wait: false };
    match handler.handle(request, report).await {
        Ok(Response::Crawl(report)) if report.is_failure() => {
            let first = report.skipped.first();
            Err(first.map_or_else(String::new, |left| format!("{}: {}", left.what, left.why)))
        }
        Ok(Response::Crawl(report)) => Ok(Counts::from(report)),
        Ok(_) => Err("the crawl gave another answer".to_owned()),
        Err(error) => {
            tracing::warn!(link, error = %error.chain(), "a crawl that was asked for failed");
            Err(error.chain())
        }
    }
}
