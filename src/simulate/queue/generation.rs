//! Changing the model's partition count while everything goes on.

use std::collections::HashSet;

use super::{QueueModel, State};
use crate::change::{Barrier, Change, Lane, Message, Place};
use crate::queue::{Generations, Outgoing, Turn};
use crate::simulate::Plant;
use crate::{Error, Result};

/// What is kept of the count, over every crash.
#[derive(Debug, Default)]
pub(super) struct Generation {
    pub(super) number: u32,
    pub(super) partitions: u32,
    wanted: u32,
    /// The count of the next one, while this one ends.
    next: Option<u32>,
    /// Whose end is settled.
    ended: HashSet<Place>,
}

impl Generation {
    pub(super) fn first(partitions: u32) -> Self {
        Self {
            number: 1,
            partitions,
            wanted: partitions,
            ..Self::default()
        }
    }

    pub(super) fn ended(&mut self, generation: u32, place: Place) {
        if generation == self.number {
            self.ended.insert(place);
        }
    }

    /// # Errors
    /// For anything but its end while it ends.
    pub(super) fn takes(&self, batch: &[Outgoing]) -> Result<()> {
        let is_end = |one: &Outgoing| matches!(one.message, Message::Barrier(Barrier::End { .. }));
        if self.next.is_none() || batch.iter().all(is_end) {
            return Ok(());
        }
        Err(Error::unavailable("queue", "take a message")(
            "its generation ends",
        ))
    }

    fn is_ended(&self) -> bool {
        let lanes = [Lane::Live, Lane::Backfill];
        let mut places =
            (0..self.partitions).flat_map(|partition| lanes.map(|lane| Place { partition, lane }));
        places.all(|place| self.ended.contains(&place))
    }
}

impl State {
    /// Takes in what a producer sends that is not ours, once the generation may take it.
    pub(super) fn produce(&mut self, change: Change) {
        if self.generation.next.is_some() {
            self.outside.push(change);
            return;
        }
        let outgoing = Outgoing::change(change, Lane::Live, self.generation.partitions);
        self.accept(outgoing);
    }

    /// The next step; none while an end is not settled.
    fn turn(&mut self, sent: bool, early: bool) -> Option<Turn> {
        let now = &mut self.generation;
        let next = match now.next {
            None if now.partitions == now.wanted => return Some(Turn::Stays),
            Some(next) if sent && (early || now.is_ended()) => {
                now.number += 1;
                now.partitions = next;
                now.next = None;
                now.ended.clear();
                let number = now.number;
                // What is left there is a repeated end, or garbage.
                self.places
                    .retain(|(generation, _), _| *generation == number);
                for change in std::mem::take(&mut self.outside) {
                    self.produce(change);
                }
                return Some(Turn::Begun);
            }
            Some(_) if sent => return None,
            Some(next) => next,
            None => now.wanted,
        };
        now.next = Some(next);
        Some(Turn::End(Barrier::End {
            generation: now.number,
            partitions: now.partitions,
            next,
        }))
    }
}

impl QueueModel {
    /// A person sets another count.
    pub(in crate::simulate) fn set_partitions(&self, partitions: u32) {
        tracing::trace!(partitions, "another count is asked for");
        self.state().generation.wanted = partitions;
    }

    /// The generation of now, from 1.
    pub(in crate::simulate) fn generation(&self) -> u32 {
        self.state().generation.number
    }
}

impl Generations for QueueModel {
    async fn current(&self) -> Result<u32> {
        self.chaos.step("queue", "say its generation").await?;
        Ok(self.state().generation.partitions)
    }

    async fn turn(&self, sent: bool) -> Result<Turn> {
        self.chaos
            .step("queue", "change its partition count")
            .await?;
        let early = self.chaos.has(Plant::NextGenerationEarly);
        let turn = loop {
            let changed = self.shared.changed.notified();
            let turn = self.state().turn(sent, early);
            match turn {
                Some(turn) => break turn,
                None => changed.await,
            }
        };
        tracing::trace!(?turn, "its generation");
        self.shared.changed.notify_waiters();
        self.chaos
            .step("queue", "change its partition count")
            .await?;
        Ok(turn)
    }
}
