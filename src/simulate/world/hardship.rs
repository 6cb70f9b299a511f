//! What befalls a world: lost history, garbage, long outages, processes that stand still, partitions
//! that change hands.

use std::time::Duration;

use super::{PARTITIONS, World};
use crate::change::{Lane, Place};
use crate::queue::Queue as _;
use crate::simulate::VectorModel;

impl World {
    /// What no role can help.
    pub(super) fn misfortune(&mut self) {
        match self.chaos.below(4) {
            0 => self.source.trim(),
            1 => {
                self.source.state().checkpoint = None;
                // Whoever ran with it is gone too.
                self.roles[0].task = None;
            }
            2 => self.queue.garbage(self.place(Lane::Live)),
            _ => self.another_count(),
        }
    }

    /// A person sets another partition count and starts capture anew, which reads it then: after it has ended what it
    /// has in hand, or after a kill.
    pub(super) fn another_count(&mut self) {
        let count = 1 + self.chaos.below(PARTITIONS as usize);
        self.queue
            .set_partitions(u32::try_from(count).unwrap_or(PARTITIONS));
        self.roles[0].stop = None;
        if self.chaos.luck(50) {
            self.roles[0].task = None;
        }
    }

    /// What lasts.
    pub(super) async fn hardship(&mut self) {
        let seconds = 1 + self.chaos.below(30) as u64;
        match self.chaos.below(8) {
            0 | 1 => {
                let role = self.chaos.below(self.roles.len());
                let steps = 1 + self.chaos.below(60) as u64;
                tracing::trace!(role, steps, "frozen");
                self.roles[role].frozen_until = self.steps + steps;
            }
            2 => self.store().go_away(Duration::from_secs(seconds)),
            3 => self.store().slow_down(Duration::from_secs(seconds)),
            4 => {
                let lane = [Lane::Live, Lane::Backfill][self.chaos.below(2)];
                let place = self.place(lane);
                self.queue.hold(place, Duration::from_secs(seconds));
            }
            5 | 6 if self.partitions_wander => self.share(),
            _ => self.pass_time(seconds * 1000).await,
        }
    }

    /// Everything is well again.
    pub(super) fn relieve(&mut self) {
        self.chaos.set_faults(false);
        self.editions.come_back();
        self.queue.let_go();
        for role in &mut self.roles {
            role.frozen_until = 0;
        }
    }

    /// The store of the edition that is searched, or of another one.
    fn store(&self) -> VectorModel {
        let any = self.editions.register().needed();
        let other = any.into_iter().nth(self.chaos.below(2));
        let other = other.and_then(|number| self.editions.store(number));
        other.unwrap_or_else(|| self.editions.current().1)
    }

    fn place(&self, lane: Lane) -> Place {
        let partition = self.chaos.below(self.queue.partitions() as usize);
        Place {
            partition: u32::try_from(partition).unwrap_or(0),
            lane,
        }
    }
}
