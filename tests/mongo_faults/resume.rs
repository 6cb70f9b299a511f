//! Faults that pass: no event is lost and none is out of order, whether the driver resumes or the
//! watch is opened anew.

use fastrand::Rng;
use futures_util::future::join_all;
use lockstep::source::Event;

use super::{Reader, at, open, said};
use crate::support::wire::{
    CURSOR_KILLED, CURSOR_NOT_FOUND, Commit, Failure, Scripted, Setup, Step, cut, cut_open, events,
    fail, fail_open, idle, insert, silence, step_down,
};

/// Runs of twelve steps.
const SEEDS: u64 = 60;

const INTERRUPTED: Failure = Failure::new(11601, "Interrupted");
const SHUTDOWN: Failure = Failure::new(91, "ShutdownInProgress");

/// Each event once, at its own time, in order.
fn assert_all(heard: &[Event], server: &Scripted, run: &str) {
    let times = server.times();
    assert_eq!(heard.len(), times.len(), "{run}");
    for ((event, time), n) in heard.iter().zip(times).zip(1..) {
        assert_eq!(said(event), format!("insert {n} first"), "{run}");
        assert_eq!(event.time, at(time), "{run}: {event:?}");
    }
}

/// Inserts 3 after insert 1 and 2 and before insert 4, with these steps between.
async fn read_over(steps: impl IntoIterator<Item = Step>) {
    let setup = Setup {
        members: 2,
        ..Setup::default()
    };
    let (server, source) = open(setup).await;
    let mut reader = Reader::new(source).await;
    server.play([events([insert(1), insert(2)])]);
    server.play(steps);
    server.play([events([insert(4)])]);
    assert_all(&reader.events(4).await, &server, "a fault between");
    assert!(server.is_through());
}

#[tokio::test]
async fn a_step_down_between_batches_loses_nothing() {
    read_over([step_down([insert(3)])]).await;
    read_over([step_down([]), step_down([insert(3)])]).await;
}

#[tokio::test]
async fn a_killed_cursor_loses_nothing() {
    for killed in [CURSOR_NOT_FOUND, CURSOR_KILLED, CURSOR_KILLED.resumable()] {
        read_over([fail(killed), events([insert(3)])]).await;
    }
}

#[tokio::test]
async fn a_cut_in_mid_reply_loses_nothing() {
    read_over([cut([insert(3)])]).await;
}

/// The driver's own resume forgets its token when its aggregate is retried.
#[tokio::test]
async fn a_cut_while_resuming_loses_nothing() {
    read_over([cut([insert(3)]), cut_open()]).await;
    read_over([cut([insert(3)]), cut_open(), cut_open(), cut_open()]).await;
    read_over([cut([insert(3)]), fail_open(SHUTDOWN)]).await;
    read_over([cut([insert(3)]), fail_open(SHUTDOWN.resumable())]).await;
}

#[tokio::test]
async fn an_error_without_label_loses_nothing() {
    read_over([fail(INTERRUPTED), fail(SHUTDOWN), events([insert(3)])]).await;
}

#[tokio::test]
async fn a_fault_before_the_first_event_loses_nothing() {
    for fault in [cut([insert(1)]), step_down([insert(1)])] {
        let setup = Setup {
            members: 2,
            ..Setup::default()
        };
        let (server, source) = open(setup).await;
        let mut reader = Reader::new(source).await;
        server.play([fault, cut_open()]);
        assert_all(&reader.events(1).await, &server, "a fault at first");
    }
}

/// The driver notices the silence by its heartbeats, and what it cost is read on the next primary.
#[tokio::test]
async fn a_silent_primary_loses_nothing() {
    read_over([silence([insert(3)])]).await;
}

/// Each waits for the driver's next look at a server most of the time, so they run side by side.
#[tokio::test]
async fn any_run_of_faults_loses_nothing() {
    join_all((0..SEEDS).map(read_over_any)).await;
}

async fn read_over_any(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let setup = Setup {
        members: 2,
        batch_max: rng.usize(1..4),
        ..Setup::default()
    };
    let (server, source) = open(setup).await;
    let mut reader = Reader::new(source).await;
    let mut ids = 1..;
    for _ in 0..12 {
        server.play([any_step(&mut rng, &mut ids)]);
    }
    let last = ids.next().unwrap();
    server.play([events([insert(last)])]);
    let heard = reader.events(usize::try_from(last).unwrap()).await;
    assert_all(&heard, &server, &format!("seed {seed}"));
}

fn any_step(rng: &mut Rng, ids: &mut impl Iterator<Item = i32>) -> Step {
    let count = rng.usize(0..4);
    let commits: Vec<Commit> = ids.by_ref().take(count).map(insert).collect();
    match rng.u8(0..8) {
        0 => cut(commits),
        1 => step_down(commits),
        _ if commits.is_empty() => match rng.u8(0..6) {
            0 => fail(CURSOR_NOT_FOUND),
            1 => fail(CURSOR_KILLED),
            2 => fail(SHUTDOWN),
            3 => cut_open(),
            4 => fail_open(SHUTDOWN.resumable()),
            _ => idle(),
        },
        _ => events(commits),
    }
}
