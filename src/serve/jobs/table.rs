//! Which jobs wait, run and are remembered. Pure.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use tokio::sync::{oneshot, watch};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Outcome;
use crate::command::Progress;
use crate::crawl;

/// What a crawl left out that is told one by one.
const SKIPPED_MAX: usize = 20;
/// What whoever waits for a crawl is told when somebody cancels it.
const CANCELLED: &str = "the crawl was cancelled; what it had saved stays";

/// How far a job has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    Running,
    Done(Counts),
    Failed(String),
    /// Somebody has taken it back.
    Cancelled,
}

/// What a crawl changed in the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// Documents written because they are new or differ.
    saved: usize,
    /// Documents found as they are stored.
    unchanged: usize,
    /// Documents deleted because they vanished.
    deleted: usize,
    /// Things that were left out.
    skipped: usize,
    /// The first reasons.
    reasons: Vec<String>,
}

/// A job as it is told.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) what: crawl::Request,
    pub(crate) state: State,
    pub(crate) asked_ms: u64,
    pub(crate) started_ms: Option<u64>,
    pub(crate) ended_ms: Option<u64>,
    /// How far it is while it runs.
    pub(crate) progress: Option<Progress>,
}

/// Why a crawl is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As many wait as may.
    Full,
    /// The process is stopping, and begins none any more.
    Stopping,
}

/// Why a job is not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is not remembered, or never was.
    Unknown,
    /// It is over already.
    Over,
}

/// What bounds the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) at_once: usize,
    pub(super) waiting_max: usize,
    pub(super) kept: usize,
}

#[derive(Debug)]
pub(super) struct Table {
    limits: Limits,
    jobs: HashMap<Uuid, Entry>,
    waiting: VecDeque<Uuid>,
    running: usize,
    /// Those that run, and that somebody has cancelled.
    unwanted: Vec<Uuid>,
    /// Those that have ended, the oldest first.
    ended: VecDeque<Uuid>,
    /// Nobody takes the next job any more.
    is_closed: bool,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    progress: Option<watch::Receiver<Progress>>,
    told: Option<oneshot::Sender<Outcome>>,
    /// Who has cancelled it, and is told when it is over.
    cancelling: Vec<oneshot::Sender<Job>>,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            jobs: HashMap::new(),
            waiting: VecDeque::new(),
            running: 0,
            unwanted: Vec::new(),
            ended: VecDeque::new(),
            is_closed: false,
        }
    }

    pub(super) fn ask(
        &mut self,
        id: Uuid,
        what: crawl::Request,
        (now_ms, told): (u64, oneshot::Sender<Outcome>),
    ) -> Result<(), Refused> {
        if self.is_closed {
            return Err(Refused::Stopping);
        }
        // One that is asked for now and has its turn at once waits for a moment too.
        let free = self.limits.at_once.saturating_sub(self.running);
        if self.waiting.len() >= self.limits.waiting_max + free {
            return Err(Refused::Full);
        }
        let job = Job {
            what,
            state: State::Queued,
            asked_ms: now_ms,
            started_ms: None,
            ended_ms: None,
            progress: None,
        };
        let entry = Entry {
            job,
            progress: None,
            told: Some(told),
            cancelling: Vec::new(),
        };
        self.jobs.insert(id, entry);
        self.waiting.push_back(id);
        Ok(())
    }

    /// The next job whose turn it is.
    pub(super) fn begin(&mut self, now_ms: u64) -> Option<(Uuid, crawl::Request)> {
        if self.running >= self.limits.at_once {
            return None;
        }
        let id = self.waiting.pop_front()?;
        let entry = self.jobs.get_mut(&id)?;
        self.running += 1;
        entry.job.state = State::Running;
        entry.job.started_ms = Some(now_ms);
        Some((id, entry.job.what.clone()))
    }

    /// Where a running job's progress is told.
    pub(super) fn watch(&mut self, id: Uuid, progress: watch::Receiver<Progress>) {
        if let Some(entry) = self.jobs.get_mut(&id) {
            entry.progress = Some(progress);
        }
    }

    /// Cancels a job, and tells when it is over, and how: one that runs may come to its end before it is cut off.
    pub(super) fn cancel(&mut self, id: Uuid, now_ms: u64) -> Result<oneshot::Receiver<Job>, Kept> {
        let entry = self.jobs.get_mut(&id).ok_or(Kept::Unknown)?;
        let is_queued = match entry.job.state {
            State::Queued => true,
            State::Running => false,
            State::Done(_) | State::Failed(_) | State::Cancelled => return Err(Kept::Over),
        };
        let (told, over) = oneshot::channel();
        // Whoever asked before may have hung up.
        entry.cancelling.retain(|before| !before.is_closed());
        entry.cancelling.push(told);
        if is_queued {
            self.waiting.retain(|waiting| *waiting != id);
            self.close(id, None, Some(now_ms));
        } else {
            // It has its turn until nothing of it runs any more.
            self.unwanted.push(id);
        }
        Ok(over)
    }

    /// Those that are to be cut off; each is given out once.
    pub(super) fn unwanted(&mut self) -> Vec<Uuid> {
        std::mem::take(&mut self.unwanted)
    }

    /// A running job has ended; without an outcome it was cut off.
    pub(super) fn end(&mut self, id: Uuid, outcome: Option<Outcome>, now_ms: u64) {
        self.running = self.running.saturating_sub(1);
        self.close(id, outcome, Some(now_ms));
    }

    /// Ends every job whose turn has not come; no other is taken.
    pub(super) fn give_up(&mut self, why: &str) {
        self.is_closed = true;
        for id in std::mem::take(&mut self.waiting) {
            self.close(id, Some(Err(why.to_owned())), None);
        }
    }

    pub(super) fn get(&self, id: Uuid) -> Option<Job> {
        let entry = self.jobs.get(&id)?;
        let progress = entry.progress.as_ref();
        Some(Job {
            progress: progress.map(|progress| progress.borrow().clone()),
            ..entry.job.clone()
        })
    }

    fn close(&mut self, id: Uuid, outcome: Option<Outcome>, now_ms: Option<u64>) {
        let Some(entry) = self.jobs.get_mut(&id) else {
            return;
        };
        entry.progress = None;
        entry.job.ended_ms = now_ms;
        entry.job.state = match &outcome {
            Some(Ok(counts)) => State::Done(counts.clone()),
            Some(Err(why)) => State::Failed(why.clone()),
            None => State::Cancelled,
        };
        // Whoever asked need not wait for it.
        if let Some(told) = entry.told.take() {
            let outcome = outcome.unwrap_or_else(|| Err(CANCELLED.to_owned()));
            told.send(outcome).ok();
        }
        for told in entry.cancelling.drain(..) {
            told.send(entry.job.clone()).ok();
        }
        self.ended.push_back(id);
        while self.ended.len() > self.limits.kept {
            if let Some(oldest) = self.ended.pop_front() {
                self.jobs.remove(&oldest);
            }
        }
    }
}

impl From<crawl::Report> for Counts {
    fn from(report: crawl::Report) -> Self {
        let told = report.skipped.iter().take(SKIPPED_MAX);
        Self {
            saved: report.saved,
            unchanged: report.unchanged,
            deleted: report.deleted,
            skipped: report.skipped.iter().map(|one| one.count).sum(),
            reasons: told
                .map(|one| format!("{}: {}", one.what, one.why))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
