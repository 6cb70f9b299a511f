//! Capture is killed, its broker is killed, its connections are cut, another one takes over, all at
//! random moments while writers go on: nothing is lost, and nothing old comes back.
//!
//! ```text
//! writers ──> MongoDB ──proxy──> lockstep capture ──proxy──> RabbitMQ ──> folder: the newest of each key
//!                │                                                          │
//!                └──> record: the test's own change stream ──── compared ───┘
//! ```
//!
//! After every disturbance, nothing up to the saved position may be missing from the queue. At the
//! end, what was folded equals the source.
//!
//! The seed decides the writes, the disturbances and their moments; how they meet is up to the
//! machine. It is printed, and given by `LOCKSTEP_TEST_SEED`; `LOCKSTEP_TEST_KILLS` says how many
//! disturbances there are.

mod disturb;
mod folded;
mod folder;
mod record;
mod scene;
mod writer;

use std::future::Future;
use std::time::Duration;

use fastrand::Rng;

use crate::crash::number;
use crate::support::broker;
use disturb::Deck;
use scene::Scene;

/// The collections that capture watches.
const WATCHED: [&str; 3] = ["articles", "notes", "posts"];
/// Disturbances where the environment does not say how many: one of each kind.
const DISTURBANCES: u64 = 6;
/// The longest wait for anything that has to happen; of what is on its way, for the next of it.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest wait for all that is on its way.
const PATIENCE_AT_MOST: Duration = Duration::from_mins(10);

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_holds_every_change_whatever_is_killed_or_cut() {
    let _alone = broker::alone().await;
    let seed = number("LOCKSTEP_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let disturbances = number("LOCKSTEP_TEST_KILLS").unwrap_or(DISTURBANCES);
    println!("{disturbances} disturbances, LOCKSTEP_TEST_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let documents = (disturbances * 40).clamp(300, 2_000);
    let mut scene = Scene::open(documents, &mut random).await;
    let mut deck = Deck::default();
    for turn in 0..disturbances {
        let disturbance = deck.draw(&mut random);
        println!("{turn}: {disturbance:?}");
        scene.disturb(disturbance, &mut random).await;
    }
    let tally = scene.settle().await;
    println!("{tally}");
}

/// Waits for what has to happen, and says what it was if it does not.
async fn patiently<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let happened = tokio::time::timeout(PATIENCE, happens).await;
    happened.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}
