//! Where a model may be interrupted, fail, or do the work and lose the answer; all from one seed.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use super::Plant;
use crate::{Error, Result};

/// One seed's luck, shared by all models of a world.
#[derive(Debug, Clone)]
pub struct Chaos(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rng: Mutex<fastrand::Rng>,
    faults: AtomicBool,
    calls: AtomicU64,
    plant: Option<Plant>,
}

impl Chaos {
    /// The luck of a seed, with faults.
    pub fn new(seed: u64, plant: Option<Plant>) -> Self {
        let rng = Mutex::new(fastrand::Rng::with_seed(seed));
        Self(Arc::new(Inner {
            rng,
            faults: AtomicBool::new(true),
            calls: AtomicU64::new(0),
            plant,
        }))
    }

    /// Models that behave.
    pub fn calm() -> Self {
        let chaos = Self::new(0, None);
        chaos.set_faults(false);
        chaos
    }

    /// Turns faults on or off; luck goes on.
    pub fn set_faults(&self, on: bool) {
        self.0.faults.store(on, Ordering::Relaxed);
    }

    /// Whether this bug was planted.
    pub fn has(&self, plant: Plant) -> bool {
        self.0.plant == Some(plant)
    }

    /// A number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        self.0
            .rng
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .usize(..bound.max(1))
    }

    /// True in so many of a hundred cases.
    pub fn luck(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// True in so many of a hundred cases while faults are on.
    pub fn fault(&self, percent: usize) -> bool {
        self.0.faults.load(Ordering::Relaxed) && self.luck(percent)
    }

    /// How often a model was called.
    pub(super) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// A place to be interrupted or dropped at; now and then an error, before or after the deed.
    pub async fn step(&self, service: &'static str, action: &'static str) -> Result<()> {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        let mut yielded = !self.0.faults.load(Ordering::Relaxed);
        poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        if self.fault(2) {
            return Err(Error::unavailable(service, action)(
                "the simulation said no",
            ));
        }
        Ok(())
    }
}
