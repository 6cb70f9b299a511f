//! What the queue is told, and what is kept of it.

use super::past::State;
use super::{Checker, Written};
use crate::change::{Act, Barrier, Change};
use crate::queue::Queue as _;
use crate::simulate::{QueueModel, VectorModel};

impl Checker {
    /// What is published is as the source had it at that version, or has had it since where edits are
    /// looked up or rows read: never older.
    pub(super) fn nothing_untrue(&self, queue: &QueueModel) -> Result<(), String> {
        let taken = std::mem::take(&mut queue.state().taken);
        let stray = |change: &Change| !change.version.is_some();
        for change in taken.iter().filter(|change| !stray(change)) {
            let had = |state: &State| state.fields == change.fields;
            let states = self.past.history.get(&change.key).map(Vec::as_slice);
            let unknown = states.is_none_or(|states| {
                states
                    .first()
                    .is_none_or(|first| first.version > change.version)
            });
            let absent = unknown && change.fields.is_none();
            if !absent && !self.past.states(&change.key, change.version).any(had) {
                return Err(format!(
                    "{} at {} is published as it never was",
                    change.key, change.version
                ));
            }
        }
        Ok(())
    }

    /// A floor that has acted is kept, and no tombstone goes that a change needs, parked or on its way.
    pub(super) fn nothing_forgotten(queue: &QueueModel, written: &[Written]) -> Result<(), String> {
        let passed = std::mem::take(&mut queue.state().passed);
        let mut written = written.iter();
        written.try_for_each(|written| forgets_nothing(queue, &passed, &written.store))
    }
}

fn forgets_nothing(
    queue: &QueueModel,
    passed: &[Barrier],
    store: &VectorModel,
) -> Result<(), String> {
    let partitions = queue.partitions();
    let (queue, mut store) = (queue.state(), store.state());
    for barrier in passed {
        if let Barrier::Floor {
            kind,
            version,
            act: Act::AtOnce,
            ..
        } = barrier
            && !store.control.voids(kind, *version)
        {
            return Err(format!(
                "the floor of {kind} at {version} is settled, but not kept"
            ));
        }
    }
    for floor in std::mem::take(&mut store.acted) {
        if !store.control.voids(&floor.kind, floor.version) {
            return Err(format!(
                "a floor of {} has acted, but is not kept",
                floor.kind
            ));
        }
    }
    let settled = store.control.settled(partitions).map(|mark| mark.version);
    for (key, version) in std::mem::take(&mut store.collections) {
        if settled.is_none_or(|settled| version >= settled) {
            return Err(format!(
                "the tombstone of {key} at {version} is gone, and older changes may be on their way"
            ));
        }
        if queue.parked.holds(&key, version) {
            return Err(format!(
                "the tombstone of {key} at {version} is gone, and a parked change needs it"
            ));
        }
    }
    Ok(())
}
