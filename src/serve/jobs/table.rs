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

/// How far a job has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    Running,
    Done(Counts),
    Failed(String),
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
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            jobs: HashMap::new(),
            waiting: VecDeque::new(),
            running: 0,
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

    pub(super) fn end(&mut self, id: Uuid, outcome: Outcome, now_ms: u64) {
        self.running = self.running.saturating_sub(1);
        self.close(id, outcome, Some(now_ms));
    }

    /// Ends every job whose turn has not come; no other is taken.
    pub(super) fn give_up(&mut self, why: &str) {
        self.is_closed = true;
        for id in std::mem::take(&mut self.waiting) {
            self.close(id, Err(why.to_owned()), None);
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

    fn close(&mut self, id: Uuid, outcome: Outcome, now_ms: Option<u64>) {
        let Some(entry) = self.jobs.get_mut(&id) else {
            return;
        };
        entry.progress = None;
        entry.job.ended_ms = now_ms;
        entry.job.state = match &outcome {
            Ok(counts) => State::Done(counts.clone()),
            Err(why) => State::Failed(why.clone()),
        };
        // Whoever asked need not wait for it.
        if let Some(told) = entry.told.take() {
            told.send(outcome).ok();
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
mod tests {
    use super::*;

    fn table(waiting_max: usize, kept: usize) -> Table {
        Table::new(Limits {
            at_once: 1,
            waiting_max,
            kept,
        })
    }

    fn ask(table: &mut Table, number: u128) -> Result<oneshot::Receiver<Outcome>, Refused> {
        let what = crawl::Request {
            target: format!("https://example.org/{number}"),
            author: "Ada".into(),
            as_kind: None,
            reference: None,
            browser: false,
        };
        let (told, outcome) = oneshot::channel();
        table.ask(
            Uuid::from_u128(number),
            what,
            (u64::try_from(number).unwrap(), told),
        )?;
        Ok(outcome)
    }

    fn state(table: &Table, number: u128) -> Option<State> {
        table.get(Uuid::from_u128(number)).map(|job| job.state)
    }

    #[test]
    fn jobs_have_their_turn_in_order_and_so_many_at_once() {
        let mut table = table(5, 5);
        let mut first = ask(&mut table, 1).unwrap();
        let _second = ask(&mut table, 2).unwrap();
        let (id, what) = table.begin(10).unwrap();
        assert_eq!(
            (id, what.target.as_str()),
            (Uuid::from_u128(1), "https://example.org/1")
        );
        assert!(table.begin(10).is_none());
        assert_eq!(state(&table, 2), Some(State::Queued));
        table.end(id, Ok(Counts::default()), 11);
        assert_eq!(first.try_recv().unwrap(), Ok(Counts::default()));
        let job = table.get(id).unwrap();
        assert_eq!((job.started_ms, job.ended_ms), (Some(10), Some(11)));
        assert_eq!(table.begin(12).unwrap().0, Uuid::from_u128(2));
    }

    #[test]
    fn no_more_wait_than_may_and_the_oldest_that_ended_is_forgotten() {
        let mut table = table(1, 2);
        let _keep: Vec<_> = (1..=2)
            .map(|number| ask(&mut table, number).unwrap())
            .collect();
        assert_eq!(ask(&mut table, 3).unwrap_err(), Refused::Full);
        for number in 1..=3 {
            let (id, _) = table.begin(0).unwrap();
            table.end(id, Err("no".into()), 0);
            ask(&mut table, number + 10).unwrap();
        }
        assert_eq!(state(&table, 1), None);
        assert_eq!(state(&table, 2), Some(State::Failed("no".into())));
    }

    #[test]
    fn a_stop_tells_those_whose_turn_did_not_come() {
        let mut table = table(5, 5);
        let mut asked = ask(&mut table, 1).unwrap();
        table.give_up("stopped");
        assert_eq!(asked.try_recv().unwrap(), Err("stopped".into()));
        assert!(table.begin(0).is_none());
        // Who comes later hears that, and not that there is no room.
        assert_eq!(ask(&mut table, 2).unwrap_err(), Refused::Stopping);
    }
}
