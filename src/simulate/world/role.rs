//! The roles of a world: capture, workers that share the partitions, and what drives a re-index.

use std::future::Future;
use std::pin::Pin;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{KINDS, PARTITIONS, World, drive};
use crate::Result;
use crate::capture;
use crate::feature::worker::{self, Counters, Offload};

pub(super) type Task = Pin<Box<dyn Future<Output = Result<()>>>>;

/// One process.
#[derive(Default)]
pub(super) struct Role {
    /// None while it is dead.
    pub(super) task: Option<Task>,
    /// It stands still until this step: a process that was paused, or one that is not there yet.
    pub(super) frozen_until: u64,
    /// What a worker consumes; capture has none.
    partitions: Vec<u32>,
    /// Tells a role to finish what is in hand: a worker lets its partitions go then.
    pub(super) stop: Option<oneshot::Sender<()>>,
}

impl World {
    /// Each partition gets a worker; those that lose or gain one finish what they have in hand and
    /// begin anew. The next consumer of a partition does not wait for the last one.
    pub(super) fn share(&mut self) {
        let workers = self.roles.len() - 2;
        let mut shares = vec![Vec::new(); workers];
        for partition in 0..PARTITIONS {
            let owner = self.chaos.below(workers);
            shares[owner].push(partition);
            let other = self.chaos.below(workers);
            // One that does not know that it has lost its place.
            if other != owner && self.partitions_wander && self.chaos.luck(25) {
                shares[other].push(partition);
            }
        }
        for (role, share) in self.roles.iter_mut().skip(1).zip(shares) {
            if role.partitions != share {
                role.partitions = share;
                // A dropped sender says the same; a worker that is dead begins with its new share.
                role.stop = None;
            }
        }
    }

    pub(super) fn start(&mut self, role: usize) -> Option<Task> {
        if role == 0 {
            return Some(self.capture());
        }
        if role + 1 == self.roles.len() {
            return Some(drive::start(self));
        }
        let partitions = self.roles[role].partitions.clone();
        if partitions.is_empty() {
            return None;
        }
        let (stop, stopped) = oneshot::channel();
        self.roles[role].stop = Some(stop);
        Some(self.worker(partitions, stopped))
    }

    fn capture(&mut self) -> Task {
        let (stop, stopped) = oneshot::channel();
        self.roles[0].stop = Some(stop);
        let (sender, receiver) = mpsc::channel(4);
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let (source, queue, clock) = (self.source.clone(), self.queue.clone(), self.clock.clone());
        Box::pin(async move {
            let settings = capture::Settings {
                window: 4,
                page_size: 2,
                save_after: 3,
                kinds: KINDS.map(str::to_owned).into(),
                ..capture::Settings::default()
            };
            let ports = capture::Ports {
                source: &source,
                checkpoints: &source,
                queue: &queue,
                clock: &clock,
            };
            let stopped = async {
                stopped.await.ok();
            };
            capture::run(ports, &settings, receiver, stopped).await
        })
    }

    fn worker(&self, partitions: Vec<u32>, stopped: oneshot::Receiver<()>) -> Task {
        let (queue, clock) = (self.queue.clone(), self.clock.clone());
        let editions = self.editions.clone();
        // Crashes here are nobody's fault.
        let attempts_max = if self.impatient { 3 } else { u32::MAX };
        // Longer than any process stands still that does not know that it has lost its place.
        let tombstone_ttl = if self.partitions_wander {
            Duration::from_hours(168)
        } else {
            Duration::ZERO
        };
        Box::pin(async move {
            let settings = worker::Settings {
                batch: 4,
                attempts_max,
                hold_max: Duration::from_secs(5),
                collect_every: Duration::from_secs(2),
                held_back_every: Duration::from_secs(1),
                tombstone_ttl,
                offload: Offload::Inline,
                ..worker::Settings::default()
            };
            let ports = worker::Ports {
                queue: &queue,
                editions: &editions,
                clock: &clock,
                counters: &Counters::default(),
            };
            let stopped = async {
                stopped.await.ok();
            };
            let of = |count| {
                let ours = partitions.iter().copied();
                ours.filter(|partition| *partition < count).collect()
            };
            worker::run(ports, &settings, of, stopped).await
        })
    }
}
