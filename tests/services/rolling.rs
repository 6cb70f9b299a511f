//! Every process is restarted in turn while documents are written and searched for: no search fails, and
//! at rest the index agrees with the source.
//!
//! ```text
//! writer, probe ──> MongoDB ──> capture ──> RabbitMQ ──> feature, two ──> Qdrant
//!                                                                           │
//! askers, probe <── whichever answers ── serve, two ────────────────────────┘
//! ```
//!
//! The seed decides the writes, the questions and the order of the restarts; it is printed, and given by
//! `LOCKSTEP_TEST_SEED`. `LOCKSTEP_TEST_MINUTES` says how long it goes on; without it each process is
//! restarted once. `LOCKSTEP_TEST_QDRANT_URL` names a real server. Times are told, not asserted.

mod asking;
mod probe;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use lockstep::change::Time;
use tokio::task::block_in_place;
use tokio::time::{Instant, timeout};

use super::Place;
use crate::crash::number;
use crate::feature_crash::book::Book;
use crate::feature_crash::writer::{Habit, Writer};
use crate::metrics::free_address;
use crate::support::process::Process;
use crate::support::qdrant::Server;
use crate::support::services;
use asking::{Askers, Replicas};
use probe::Probe;

/// Every process: its command, and what it says when it works.
const PROCESSES: [(&str, &str); 5] = [
    ("capture", "capture is ours"),
    ("feature", "working"),
    ("feature", "working"),
    ("serve", "lockstep answers at"),
    ("serve", "lockstep answers at"),
];
const DOCUMENTS: usize = 200;
/// About twenty writes a second.
const STEADY: Habit = Habit {
    pause_ms: 100,
    drop: None,
};
/// Who asks at once, beside the probe.
const ASKERS: usize = 2;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// The longest wait for anything that has to happen.
const PATIENCE: Duration = Duration::from_mins(2);

/// The processes, and where they are.
struct Fleet {
    place: Place,
    /// Where each serves, those that do.
    addresses: Vec<String>,
    running: Vec<Process>,
    _store: Option<Server>,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_search_fails_while_every_process_is_restarted_in_turn() {
    let seed = number("LOCKSTEP_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let minutes = number("LOCKSTEP_TEST_MINUTES");
    println!("LOCKSTEP_TEST_SEED={seed} LOCKSTEP_TEST_MINUTES={minutes:?}");
    let mut random = Rng::with_seed(seed);
    let mut fleet = Fleet::start().await;
    let book = Arc::<Mutex<Book>>::default();
    let database = fleet.place.database().await;
    let writer = Writer::start(&database, DOCUMENTS, &book, &mut random, STEADY).await;
    let replicas = fleet.replicas();
    let askers = Askers::start(&replicas, ASKERS, &mut random);
    let mut probe = Probe::new(&database, &replicas);
    probe.until_quick().await;
    let end = Instant::now() + Duration::from_mins(minutes.unwrap_or(0));
    loop {
        let mut turns: Vec<_> = (0..PROCESSES.len()).collect();
        random.shuffle(&mut turns);
        for turn in turns {
            let (stopped, ready) = fleet.restart(turn).await;
            let quick = probe.until_quick().await;
            println!(
                "{}: stopped in {stopped:.1?}, ready in {ready:.1?}, {quick}",
                PROCESSES[turn].0
            );
        }
        if Instant::now() >= end {
            break;
        }
    }
    let (written, probed) = (writer.stop().await, probe.tally());
    let asked = askers.stop().await;
    println!("{written} writes; {probed}; {asked}; {}", replicas.tally());
    let last = book.lock().unwrap().last();
    fleet.settle(&replicas, last).await;
    let verified = block_in_place(|| fleet.place.ask(&["verify", "--vectors"]));
    assert_eq!(verified["clean"], true, "{verified:#}");
    println!("verify is clean: {} documents", verified["documents"]);
    fleet.stop();
}

impl Fleet {
    async fn start() -> Self {
        let mut place = Place::new();
        let given = services::url(services::QDRANT);
        let store = match &given {
            Some(_) => None,
            None => Some(Server::start().await),
        };
        let url = given.or_else(|| store.as_ref().map(Server::url));
        place.settings.push(("LOCKSTEP_VECTOR_URL", url.unwrap()));
        let name = place.home.settings.database.clone();
        place.settings.push(("LOCKSTEP_VECTOR_NAME", name));
        let mut fleet = Self {
            place,
            addresses: PROCESSES.map(|_| free_address()).to_vec(),
            running: Vec::new(),
            _store: store,
        };
        for (turn, (_, works)) in PROCESSES.iter().enumerate() {
            let process = fleet.run(turn);
            process.until(&[works]).await;
            fleet.running.push(process);
        }
        fleet
    }

    fn run(&self, turn: usize) -> Process {
        let mut settings = self.place.settings.clone();
        settings.push(("LOCKSTEP_SERVE_LISTEN", self.addresses[turn].clone()));
        Process::start(self.place.data(), &[PROCESSES[turn].0], &settings)
    }

    /// Asks one to stop, waits until it has, and starts it again; how long each of both took.
    async fn restart(&mut self, turn: usize) -> (Duration, Duration) {
        let began = Instant::now();
        let old = self.running.remove(turn);
        tell_unanswered(&old);
        block_in_place(|| old.stop());
        let stopped = began.elapsed();
        let new = self.run(turn);
        new.until(&[PROCESSES[turn].1]).await;
        self.running.insert(turn, new);
        for process in &mut self.running {
            process.assert_running();
        }
        (stopped, began.elapsed().saturating_sub(stopped))
    }

    /// Whoever serves, with a token.
    fn replicas(&self) -> Arc<Replicas> {
        let token = block_in_place(|| self.place.run(&["token", "create"]).out);
        let serving = PROCESSES.iter().zip(&self.addresses);
        let serving = serving.filter(|((command, _), _)| *command == "serve");
        let addresses = serving.map(|(_, address)| address.as_str());
        Arc::new(Replicas::new(addresses, token.trim()))
    }

    /// Waits until everything that was written is settled.
    async fn settle(&self, replicas: &Replicas, last: Time) {
        let end_ms = (u64::from(last.seconds) + 1) * 1_000;
        let settled = async {
            while replicas.search("what").await["as_of_ms"].as_u64() < Some(end_ms) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let settled = timeout(PATIENCE, settled).await;
        assert!(settled.is_ok(), "not settled up to {last:?}");
    }

    fn stop(mut self) {
        for process in std::mem::take(&mut self.running) {
            block_in_place(|| process.stop());
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.running.iter().for_each(tell_unanswered);
    }
}

/// What a process could not answer, and why: its log goes with it.
#[expect(clippy::print_stdout, reason = "a failed run is told why")]
fn tell_unanswered(process: &Process) {
    let said = process.said();
    let lines = said.lines().filter(|line| line.contains("found no answer"));
    lines.take(5).for_each(|line| println!("{line}"));
}
