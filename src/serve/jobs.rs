//! Crawls that were asked for over HTTP: each a job that waits for its turn, runs, and is remembered for a
//! while.
//!
//! ```text
//! ask ──> queued ──turn──> running ──> done with counts | failed with the reason ──> forgotten, oldest first
//!            └──cancel────────┴───────> cancelled ──────────────────────────────────────┘
//! ```
//!
//! Jobs are in memory: a restart forgets them. What a crawl has saved by then stays, and crawling again goes
//! on from there. A stop begins no job; one that runs has the rest of `serve.grace_seconds`.

mod table;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::task::{self, AbortHandle, JoinSet};
use uuid::Uuid;

use crate::clock::Clock;
use crate::command::{Handler, Reporter, Request, Response};
use crate::shutdown::{Shutdown, requested};
use crate::{Error, Result, crawl};

pub(super) use table::{Counts, Job, Kept, Refused, State};
use table::{Limits, Table};

/// How a crawl ended: what it changed, or why it failed.
pub(super) type Outcome = Result<Counts, String>;

/// The jobs of this process.
#[derive(Debug)]
pub(super) struct Jobs {
    table: Mutex<Table>,
    /// There is a job to begin, or one to cut off.
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
        let (now_ms, link) = (self.clock.now_ms(), what.target.clone());
        self.table().ask(id, what, (now_ms, told))?;
        self.asked.notify_one();
        // Who asks on the first system's path is not told the id: here it can be found, to cancel the job.
        tracing::info!(job = %id, link, "a crawl was asked for");
        Ok((id, outcome))
    }

    /// The job of this id, if it is remembered.
    pub(super) fn get(&self, id: Uuid) -> Option<Job> {
        self.table().get(id)
    }

    /// Cancels a job, and tells when it is over, and how it ended after all.
    ///
    /// One whose turn has not come is over at once. One that runs is cut off where it waits next; it is over when
    /// all that it held is let go, so that its link may be crawled again. What it has saved stays. It is cancelled
    /// also where nobody waits to be told.
    ///
    /// # Errors
    /// It is not known, or over already.
    pub(super) fn cancel(&self, id: Uuid) -> Result<oneshot::Receiver<Job>, Kept> {
        let now_ms = self.clock.now_ms();
        let over = self.table().cancel(id, now_ms)?;
        self.asked.notify_one();
        Ok(over)
    }

    /// Runs jobs until it is asked to stop, and then until those that run have ended.
    pub(super) async fn run<H: Handler>(&self, handler: Arc<H>) -> Result<()> {
        let mut running = Running::default();
        let mut stop = std::pin::pin!(requested(self.shutdown.clone()));
        loop {
            while let Some((id, what)) = self.begin() {
                let (report, progress) = Reporter::new();
                self.table().watch(id, progress);
                let handler = Arc::clone(&handler);
                running.start(
                    id,
                    async move { crawled(handler.as_ref(), what, report).await },
                );
            }
            self.cut_off(&running);
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = running.next() => self.ended(ended?),
                () = self.asked.notified() => {}
            }
        }
        self.table()
            .give_up("the process was stopped before its turn came");
        while !running.tasks.is_empty() {
            self.cut_off(&running);
            tokio::select! {
                biased;
                Some(ended) = running.next() => self.ended(ended?),
                () = self.asked.notified() => {}
            }
        }
        Ok(())
    }

    fn begin(&self) -> Option<(Uuid, crawl::Request)> {
        let now_ms = self.clock.now_ms();
        self.table().begin(now_ms)
    }

    fn cut_off(&self, running: &Running) {
        let unwanted = self.table().unwanted();
        running.abort(&unwanted);
    }

    fn ended(&self, (id, outcome): Ended) {
        if outcome.is_none() {
            tracing::info!(job = %id, "a crawl was cancelled");
        }
        let now_ms = self.clock.now_ms();
        self.table().end(id, outcome, now_ms);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job whose task has ended; without an outcome it was cut off.
type Ended = (Uuid, Option<Outcome>);

/// The tasks of the jobs that run. Dropping it cuts all of them off.
#[derive(Debug, Default)]
struct Running {
    tasks: JoinSet<Outcome>,
    jobs: HashMap<task::Id, (Uuid, AbortHandle)>,
}

impl Running {
    fn start(&mut self, id: Uuid, crawl: impl Future<Output = Outcome> + Send + 'static) {
        let task = self.tasks.spawn(crawl);
        self.jobs.insert(task.id(), (id, task));
    }

    /// Cuts these off where they wait next; those that have ended are left alone.
    fn abort(&self, unwanted: &[Uuid]) {
        let unwanted = (self.jobs.values()).filter(|(id, _)| unwanted.contains(id));
        for (_, task) in unwanted {
            task.abort();
        }
    }

    /// The next one that has ended, when all that it held is let go; none where none runs.
    ///
    /// Cancel safe.
    async fn next(&mut self) -> Option<Result<Ended>> {
        let ended = self.tasks.join_next_with_id().await?;
        let task = match &ended {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        let (id, _) = self.jobs.remove(&task)?;
        Some(match ended {
            Ok((_, outcome)) => Ok((id, Some(outcome))),
            Err(error) if error.is_cancelled() => Ok((id, None)),
            // A panic in a crawl is one of ours, and stops the role as everywhere.
            Err(_) => Err(Error::Stopped { part: "a crawl" }),
        })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::{mpsc, watch};

    use super::super::Settings;
    use super::*;

    /// Says which link it crawls, and never ends; an empty one makes it panic.
    struct Endless {
        begun: mpsc::Sender<String>,
        /// What a crawl holds for as long as it runs.
        held: Arc<()>,
    }

    impl Handler for Endless {
        async fn handle(&self, request: Request, _: Reporter) -> Result<Response> {
            let _held = Arc::clone(&self.held);
            if let Request::Crawl { what, .. } = request {
                assert!(!what.target.is_empty(), "planted");
                self.begun.send(what.target).await.ok();
            }
            std::future::pending().await
        }
    }

    fn jobs() -> (Arc<Jobs>, watch::Sender<bool>) {
        let (stop, shutdown) = watch::channel(false);
        let settings = Settings {
            body_bytes_max: 1,
            requests_max: 1,
            timeout: Duration::from_secs(1),
            crawls_at_once: 1,
            crawls_waiting_max: 9,
            crawls_kept: 9,
            seed_clients: false,
            clock: Clock::manual(5),
        };
        (Arc::new(Jobs::new(&settings, shutdown)), stop)
    }

    fn ask(jobs: &Jobs, link: &str) -> (Uuid, oneshot::Receiver<Outcome>) {
        let what = crawl::Request {
            target: link.to_owned(),
            ..crawl::Request::default()
        };
        jobs.ask(what).unwrap()
    }

    fn run(jobs: &Arc<Jobs>, handler: &Arc<Endless>) -> JoinSet<Result<()>> {
        let (jobs, handler) = (Arc::clone(jobs), Arc::clone(handler));
        let mut role = JoinSet::new();
        role.spawn(async move { jobs.run(handler).await });
        role
    }

    fn endless() -> (Arc<Endless>, mpsc::Receiver<String>) {
        let (begun, links) = mpsc::channel(9);
        let held = Arc::new(());
        (Arc::new(Endless { begun, held }), links)
    }

    #[tokio::test]
    async fn a_cancelled_crawl_has_let_go_of_all_when_that_is_told_and_the_next_has_its_turn() {
        let ((jobs, stop), (handler, mut links)) = (jobs(), endless());
        let mut role = run(&jobs, &handler);
        let ((first, told), (second, _told)) = (ask(&jobs, "a"), ask(&jobs, "b"));
        assert_eq!(links.recv().await.as_deref(), Some("a"));
        let over = jobs.cancel(first).unwrap().await.unwrap();
        assert_eq!(over.state, State::Cancelled);
        assert_eq!((over.started_ms, over.ended_ms), (Some(5), Some(5)));
        let why = told.await.unwrap().unwrap_err();
        assert!(why.contains("cancelled"), "{why}");
        // The handler has one, and the only crawl that runs has the other.
        assert_eq!(links.recv().await.as_deref(), Some("b"));
        assert_eq!(Arc::strong_count(&handler.held), 2);
        // A stop that would wait for the crawl need not.
        stop.send_replace(true);
        let over = jobs.cancel(second).unwrap().await.unwrap();
        assert_eq!(over.state, State::Cancelled);
        role.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(Arc::strong_count(&handler.held), 1);
    }

    #[tokio::test]
    async fn a_crawl_that_panics_is_no_cancelled_one_and_stops_the_role() {
        let ((jobs, _stop), (handler, _links)) = (jobs(), endless());
        let mut role = run(&jobs, &handler);
        let (_, told) = ask(&jobs, "");
        let stopped = role.join_next().await.unwrap().unwrap();
        let stopped = stopped.unwrap_err();
        assert!(matches!(stopped, Error::Stopped { .. }), "{stopped}");
        // Whoever waits for it hears that nobody will tell.
        drop(jobs);
        assert!(told.await.is_err());
    }
}
