//! One seed's world: who acts next, and when somebody is cut off.

mod drive;
mod hardship;
mod role;
mod writers;

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use self::role::Role;
use super::check::Checker;
use super::{Chaos, Edit, EditionsModel, Outcome, Plant, QueueModel, SourceModel};
use crate::Error;
use crate::capture::{RESETS_MAX, Request, Resync};
use crate::change::{Time, Version};
use crate::clock::Clock;
use crate::document::Document;
use crate::reindex::Event;

/// Two would show most; with three, workers share them unevenly. The count changes, up to this.
const PARTITIONS: u32 = 3;
/// Rounds until rest, each half a simulated second; a healthy world needs a few.
const ROUNDS_MAX: u64 = 400;
/// Rounds of quiet that are rest: watermarks come by time, and what nobody needs is collected by time.
const ROUNDS_QUIET: u64 = 6;
/// Polls of each role a round, at most.
const POLLS: u64 = 60;
/// What the source has.
const KINDS: [&str; 2] = ["posts", "notes"];
/// What only producers without versions write.
pub(super) const STRAY_KIND: &str = "mail";
const IDS: usize = 4;

/// To the capture that runs at the moment.
type Requests = Arc<Mutex<Option<mpsc::Sender<Request>>>>;

/// Models, roles and luck.
pub(super) struct World {
    seed: u64,
    chaos: Chaos,
    clock: Clock,
    source: SourceModel,
    queue: QueueModel,
    editions: EditionsModel,
    requests: Requests,
    /// Capture, then the workers, then what drives a re-index.
    roles: Vec<Role>,
    checker: Checker,
    calm: bool,
    /// Workers lose and gain partitions, and some do not know it; tombstones outlive those. Else they are
    /// collected at once.
    partitions_wander: bool,
    /// Changes are parked after a few attempts, although crashes here are nobody's fault.
    impatient: bool,
    edits: u64,
    crashes: u64,
    steps: u64,
    /// The generation of queues that was looked at last.
    generation: u32,
    /// Generations that ended while an edition was being filled.
    generations_filling: u64,
    /// What a role should not have ended with.
    wrong: Option<String>,
}

impl World {
    pub(super) fn new(seed: u64, plant: Option<Plant>) -> Self {
        let chaos = Chaos::new(seed, plant);
        let clock = Clock::manual(1_000_000);
        let source = SourceModel::new(chaos.clone(), clock.clone());
        // Some seeds have no faults at all: what must hold only then is checked there.
        let calm = chaos.luck(10);
        chaos.set_faults(!calm);
        let looks_up = !calm && chaos.luck(40);
        if looks_up {
            source.look_up();
        }
        if chaos.luck(40) {
            source.tell_late();
        }
        let workers = if calm { 1 } else { 1 + chaos.below(4) };
        let editions = EditionsModel::new(chaos.clone());
        let partitions_wander = workers > 1 && chaos.luck(70);
        // Some begin with fewer, so that there are more one day.
        let partitions = if !calm && chaos.luck(30) {
            1
        } else {
            PARTITIONS
        };
        let mut world = Self {
            seed,
            queue: QueueModel::new(partitions, chaos.clone(), clock.clone()),
            checker: Checker::new(&editions, looks_up, workers == 1),
            editions,
            source,
            clock,
            impatient: !calm && chaos.luck(20),
            chaos,
            requests: Arc::default(),
            roles: (0..workers + 2).map(|_| Role::default()).collect(),
            calm,
            partitions_wander,
            edits: 0,
            crashes: 0,
            steps: 0,
            generation: 1,
            generations_filling: 0,
            wrong: None,
        };
        world.checker.careless_search = world.chaos.has(Plant::SearchShowsUnnamed);
        world.share();
        world
    }

    pub(super) async fn run(mut self, steps: u64) -> Outcome {
        let broken = match self.live(steps).await {
            Ok(()) => self.rest().await.err(),
            Err(broken) => Some(broken),
        };
        let Self {
            seed,
            steps,
            edits,
            crashes,
            generations_filling,
            ref queue,
            ..
        } = self;
        Outcome {
            seed,
            steps,
            edits,
            crashes,
            generations: u64::from(queue.generation() - 1),
            generations_filling,
            broken,
        }
    }

    async fn live(&mut self, steps: u64) -> Result<(), String> {
        if !self.calm && self.chaos.luck(30) {
            self.editions.begin_now();
        }
        for _ in 0..steps {
            self.steps += 1;
            match self.chaos.below(100) {
                0..12 => self.edit(),
                12..14 => self.pass_time(200 + self.chaos.below(1500) as u64).await,
                14..17 if !self.calm => {
                    self.crash();
                    self.checker.nothing_orphaned(&self.editions)?;
                }
                17 if !self.calm => self.misfortune(),
                18 => self.ask(),
                19 => self.stray(),
                20..24 if !self.calm => self.hardship().await,
                24 if !self.calm => self.reindex(),
                _ => {
                    // A burst of polls of one role, so that it sometimes gets through.
                    let role = self.chaos.below(self.roles.len());
                    for _ in 0..=self.chaos.below(12) {
                        self.poll(role);
                        self.check()?;
                    }
                }
            }
            self.check()?;
        }
        Ok(())
    }

    /// Faults end, poison is mended, what is parked is retried, and everything comes to rest.
    async fn rest(&mut self) -> Result<(), String> {
        self.relieve();
        let poisoned: Vec<_> = self.checker.poisoned(&self.source);
        for key in poisoned {
            self.commit(vec![Edit::Save(Document {
                fields: self.fields(2),
                key,
            })]);
        }
        let mut quiet = 0;
        for round in 0..ROUNDS_MAX {
            if round % 4 == 0 {
                self.retry_parked();
            }
            for _ in 0..POLLS {
                self.steps += 1;
                let before = self.progress();
                for role in 0..self.roles.len() {
                    let calls = self.progress();
                    self.poll(role);
                    // In one poll much happens now: what one settles counts before the next one goes on.
                    if calls != self.progress() {
                        self.check()?;
                    }
                }
                if before == self.progress() {
                    break;
                }
            }
            self.pass_time(500).await;
            quiet = if self.is_at_rest() { quiet + 1 } else { 0 };
            if quiet == ROUNDS_QUIET {
                self.checker.nothing_orphaned(&self.editions)?;
                let (_, store) = self.editions.current();
                self.checker.at_rest(&self.source, &store, self.calm)?;
                return Ok(());
            }
        }
        Err(format!(
            "no rest after {ROUNDS_MAX} rounds: {}",
            self.state()
        ))
    }

    /// Calls that the models have answered; while it stands still, everybody waits for time.
    fn progress(&self) -> u64 {
        self.chaos.calls()
    }

    fn is_at_rest(&self) -> bool {
        let source = self.source.state();
        let caught_up = source.checkpoint.as_ref().is_some_and(|checkpoint| {
            super::source::index(&checkpoint.position) == source.log.len()
                && !checkpoint.snapshot.has_step()
        });
        let register = self.editions.register();
        let (_, store) = self.editions.current();
        let (queue, store) = (self.queue.state(), store.state());
        caught_up
            && register.next.is_none()
            && register.removing.is_empty()
            && queue.is_empty()
            && queue.parked.retriable().next().is_none()
            && !queue.parked.strays().any(|stray| !self.is_poison(stray))
            && store.control.passing.is_empty()
    }

    /// What keeps the world from rest, for a person.
    fn state(&self) -> String {
        let (source, (_, store)) = (self.source.state(), self.editions.current());
        let (store, register) = (store.state(), self.editions.register());
        format!(
            "{} events, checkpoint {:?}, queue {:?}, floors {:?}, {register:?}",
            source.log.len(),
            source.checkpoint,
            self.queue.state().waiting(),
            store.control.passing,
        )
    }

    fn check(&mut self) -> Result<(), String> {
        if let Some(wrong) = self.wrong.take() {
            return Err(wrong);
        }
        // A capture that never gives up does not end, which is where it is looked at otherwise.
        let source = self.source.state();
        let resets = source.checkpoint.as_ref().map_or(0, |saved| saved.resets);
        drop(source);
        if resets > RESETS_MAX {
            return Err(format!("capture went on after {resets} resets"));
        }
        let before = std::mem::replace(&mut self.generation, self.queue.generation());
        if self.editions.register().next.is_some() {
            self.generations_filling += u64::from(self.generation - before);
        }
        self.checker.step(&self.source, &self.queue, &self.editions)
    }

    /// A person asks for a resync or retries what is parked.
    fn ask(&mut self) {
        if self.chaos.has(Plant::OldBodyReplayed) {
            let now = self
                .source
                .state()
                .log
                .last()
                .map_or(0, |logged| logged.time);
            self.queue
                .replay_parked(Version::read(1, Time::from_sequence(now)));
            return;
        }
        match self.chaos.below(4) {
            0 => self.resync(Resync::Kind(
                KINDS[self.chaos.below(KINDS.len())].to_owned(),
            )),
            1 => self.retry_parked(),
            _ => self.resync(Resync::Keys(vec![self.key()])),
        }
    }

    /// A person asks for a new edition of the index, or gives one up.
    fn reindex(&mut self) {
        if self.editions.begin_now() {
            // While it is filled, the queues become others.
            if self.chaos.luck(30) {
                self.another_count();
            }
        } else if self.chaos.luck(30) {
            self.editions.commit(&Event::Abandoned);
            if self.chaos.luck(50) {
                self.resync(Resync::Fill(None));
            }
        }
    }

    fn resync(&mut self, what: Resync) {
        let requests = self.requests.lock();
        let requests = requests.unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(requests) = requests {
            let (done, _) = oneshot::channel();
            // A full channel refuses; the person asks again.
            drop(requests.try_send(Request { what, done }));
        }
    }

    /// What has a source is read again; a body that is its own source is replayed.
    fn retry_parked(&mut self) {
        for change in self.queue.unpark_strays(|change| self.is_poison(change)) {
            self.checker.sent(&change);
            self.queue.produce(change);
        }
        let parked: Vec<_> = self.queue.state().parked.retriable().cloned().collect();
        if !parked.is_empty() {
            self.resync(Resync::Keys(parked));
        }
    }

    /// Drops a role at whichever await it stands.
    fn crash(&mut self) {
        let role = self.chaos.below(self.roles.len());
        tracing::trace!(role, "crash");
        if self.roles[role].task.take().is_some() {
            self.crashes += 1;
        }
    }

    async fn pass_time(&mut self, milliseconds: u64) {
        self.clock.advance(milliseconds);
        tokio::time::advance(Duration::from_millis(milliseconds)).await;
    }

    fn poll(&mut self, role: usize) {
        if self.roles[role].frozen_until > self.steps {
            return;
        }
        let Some(mut task) = self.roles[role].task.take().or_else(|| self.start(role)) else {
            return;
        };
        let mut context = Context::from_waker(Waker::noop());
        match task.as_mut().poll(&mut context) {
            Poll::Pending => self.roles[role].task = Some(task),
            Poll::Ready(ended) if role == 0 => self.capture_ended(&ended),
            Poll::Ready(_) => {}
        }
    }

    /// It stopped and said why: a person looks, lets it try again, and starts it anew.
    fn capture_ended(&mut self, ended: &crate::Result<()>) {
        if let Some(checkpoint) = &mut self.source.state().checkpoint {
            let resets = std::mem::take(&mut checkpoint.resets);
            if matches!(ended, Err(Error::HistoryLost { .. })) && resets != RESETS_MAX {
                self.wrong = Some(format!(
                    "capture gave lost history up after {resets} resets"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Position;
    use crate::source::Checkpoint;

    #[test]
    fn a_capture_that_never_gives_lost_history_up_is_seen() {
        let mut world = World::new(1, None);
        for resets in [RESETS_MAX, RESETS_MAX + 1] {
            world.source.state().checkpoint = Some(Checkpoint {
                epoch: 1,
                position: Position(Vec::new()),
                snapshot: crate::capture::SnapshotPlan::default(),
                kinds: KINDS.map(str::to_owned).into(),
                watched: None,
                resets,
            });
            assert_eq!(world.check().is_err(), resets > RESETS_MAX);
        }
    }
}
