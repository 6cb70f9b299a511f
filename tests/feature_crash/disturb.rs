//! What is done to the workers and their surroundings, and when.

use std::time::Duration;

use fastrand::Rng;
use tokio::task::block_in_place;

use super::scene::Scene;

/// Workers at once.
pub(super) const WORKERS_MIN: usize = 2;
const WORKERS_MAX: usize = 4;
/// Longer than a worker may be silent.
const FROZEN: Duration = Duration::from_secs(12);

/// Something that happens while everybody works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// `kill -9` of a worker; another is started where too few are left.
    Kill,
    /// Another worker is started; where there are enough, one is asked to leave.
    JoinOrLeave,
    /// A worker stands still until all think it dead, then goes on.
    Freeze,
    /// `kill -9` of the broker; it is started again.
    Broker,
    /// The workers' connections to the broker are cut.
    CutQueue,
    /// Their connections to the store are cut.
    CutStore,
    /// The store answers nobody for a while.
    StallStore,
}

impl Disturbance {
    const KINDS: [Self; 6] = [
        Self::Kill,
        Self::JoinOrLeave,
        Self::Broker,
        Self::CutQueue,
        Self::CutStore,
        Self::StallStore,
    ];
}

/// Disturbances in a random order, each kind as often as any other.
#[derive(Debug)]
pub(super) struct Deck {
    left: Vec<Disturbance>,
    is_long: bool,
}

impl Deck {
    pub(super) fn new(is_long: bool) -> Self {
        let left = Vec::new();
        Self { left, is_long }
    }

    pub(super) fn draw(&mut self, random: &mut Rng) -> Disturbance {
        if self.left.is_empty() {
            self.left = Disturbance::KINDS.to_vec();
            // It takes long by itself.
            self.left
                .extend(Some(Disturbance::Freeze).filter(|_| self.is_long));
            random.shuffle(&mut self.left);
        }
        self.left.pop().unwrap()
    }
}

impl Scene {
    /// Waits for a random moment, and disturbs.
    pub(super) async fn disturb(&mut self, disturbance: Disturbance, random: &mut Rng) {
        wait(random, 1_500).await;
        match disturbance {
            Disturbance::Kill => {
                let one = random.usize(0..self.workers.len());
                self.workers.swap_remove(one).kill();
                if self.workers.len() < WORKERS_MIN {
                    self.join();
                }
            }
            Disturbance::JoinOrLeave => {
                let (count, stays) = (self.workers.len(), random.bool());
                if count < WORKERS_MAX && (stays || count <= WORKERS_MIN) {
                    self.join();
                } else {
                    let one = self.workers.swap_remove(random.usize(0..count));
                    block_in_place(|| one.stop());
                }
            }
            Disturbance::Freeze => {
                let one = random.usize(0..self.workers.len());
                self.workers[one].freeze();
                tokio::time::sleep(FROZEN).await;
                self.workers[one].thaw();
            }
            Disturbance::Broker => {
                block_in_place(|| self.broker.register_queues());
                block_in_place(|| self.broker.kill());
                wait(random, 300).await;
                block_in_place(|| self.broker.restart());
            }
            Disturbance::CutQueue => self.to_queue.cut(),
            Disturbance::CutStore => self.to_store.cut(),
            Disturbance::StallStore => {
                self.to_store.stall(true);
                wait(random, 3_000).await;
                self.to_store.stall(false);
            }
        }
        self.assert_running();
    }
}

async fn wait(random: &mut Rng, at_most_ms: u64) {
    let pause = Duration::from_millis(random.u64(0..=at_most_ms));
    tokio::time::sleep(pause).await;
}
