//! Workers join, leave and are killed, their broker is killed, connections are cut and the vector store
//! stands still, all at random moments while a source is edited: at rest the index is what a fresh one
//! would be, and meanwhile nobody finds what is gone.
//!
//! ```text
//! writer ──> MongoDB ──> lockstep capture ──> RabbitMQ ──proxy──> lockstep feature, two to four
//!    │                                                                  │ proxy
//!    └──> book: what may be found from when on ──checks── searcher ──> store
//! ```
//!
//! The store is the tests' own server of Qdrant's protocol, in this process: it is stalled and cut, not
//! killed. The seed decides the writes, the disturbances and their moments; how they meet is up to the
//! machine. It is printed, and given by `LOCKSTEP_TEST_SEED`; `LOCKSTEP_TEST_KILLS` says how many
//! disturbances there are, and with 20 or more there are 5,000 documents instead of 200.

pub(crate) mod book;
mod disturb;
mod scene;
mod searcher;
pub(crate) mod writer;

use std::future::Future;
use std::time::Duration;

use fastrand::Rng;

use crate::crash::number;
use crate::support::broker;
use disturb::Deck;
use scene::Scene;

/// Disturbances where the environment does not say how many.
const DISTURBANCES: u64 = 6;
/// From so many disturbances on, everything is larger and takes longer.
const LONG: u64 = 20;
/// The longest wait for anything that has to happen.
const PATIENCE: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn the_index_follows_the_source_whatever_happens_to_its_workers() {
    let _alone = broker::alone().await;
    let seed = number("LOCKSTEP_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let disturbances = number("LOCKSTEP_TEST_KILLS").unwrap_or(DISTURBANCES);
    let is_long = disturbances >= LONG;
    let documents = if is_long { 5_000 } else { 200 };
    println!("{documents} documents, {disturbances} disturbances, LOCKSTEP_TEST_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut scene = Scene::open(documents, &mut random).await;
    let mut deck = Deck::new(is_long);
    for turn in 0..disturbances {
        let disturbance = deck.draw(&mut random);
        println!("{turn}: {disturbance:?}");
        scene.disturb(disturbance, &mut random).await;
    }
    println!("{}", scene.settle().await);
}

/// Waits for what has to happen, and says what it was if it does not.
async fn patiently<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let happened = tokio::time::timeout(PATIENCE, happens).await;
    happened.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}
