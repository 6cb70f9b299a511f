//! Ten thousand worlds in which everything goes wrong, and bugs planted to show that it is noticed.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use lockstep::simulate::{self, Outcome, Plant};

const SEEDS: u64 = 10_000;
const STEPS: u64 = 120;

/// Worlds in which a planted bug must show itself; the rarest needs some ten thousand.
const SEEDS_PLANTED: u64 = 100_000;

/// Runs seeds on every core; stops early when `stop` says so of one. The answer is the least seed's.
fn first(
    seeds: u64,
    plant: Option<Plant>,
    stop: impl Fn(&Outcome) -> bool + Sync,
) -> Option<Outcome> {
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let run = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return None;
            }
            let outcome = simulate::run(seed, STEPS, plant);
            if stop(&outcome) {
                next.store(seeds, Ordering::Relaxed);
                return Some(outcome);
            }
        }
    };
    thread::scope(|scope| {
        let runs: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
        runs.into_iter()
            .filter_map(|run| run.join().unwrap())
            .min_by_key(|outcome| outcome.seed)
    })
}

#[test]
fn every_promise_holds_on_ten_thousand_seeds() {
    let [edits, crashes, generations, filling] = [const { AtomicU64::new(0) }; 4];
    let broken = first(SEEDS, None, |outcome| {
        edits.fetch_add(outcome.edits, Ordering::Relaxed);
        crashes.fetch_add(outcome.crashes, Ordering::Relaxed);
        generations.fetch_add(outcome.generations, Ordering::Relaxed);
        filling.fetch_add(outcome.generations_filling, Ordering::Relaxed);
        outcome.broken.is_some()
    });
    assert!(broken.is_none(), "run `lockstep simulate` on {broken:?}");
    // Else it would prove nothing about them.
    assert!(generations.into_inner() > SEEDS / 20);
    assert!(filling.into_inner() > SEEDS / 50);
    println!("{SEEDS} seeds, {edits:?} edits, {crashes:?} crashes");
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for plant in Plant::ALL {
        match first(SEEDS_PLANTED, Some(plant), |outcome| {
            outcome.broken.is_some()
        }) {
            Some(found) => println!("{plant:?}: seed {}: {}", found.seed, found.broken.unwrap()),
            None => missed.push(plant),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn a_seed_is_one_world() {
    for seed in 0..50 {
        assert_eq!(
            simulate::run(seed, STEPS, None),
            simulate::run(seed, STEPS, None)
        );
    }
}
