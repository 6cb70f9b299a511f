//! What the settled watermark says is so: the index holds everything up to it.

use super::super::{QueueModel, VectorModel};
use super::Checker;
use super::past::{Content, State};
use crate::change::{DocumentKey, Version};
use crate::queue::Queue as _;

impl Checker {
    /// The settled watermark never goes back, and claims nothing that is not there.
    pub(super) fn nothing_claimed(
        &mut self,
        queue: &QueueModel,
        store: &VectorModel,
    ) -> Result<(), String> {
        let store = store.state();
        let settled = store.control.settled(queue.partitions());
        let settled = settled.map(|mark| mark.version);
        if settled == self.settled {
            return Ok(());
        }
        if settled < self.settled {
            return Err(format!(
                "the settled watermark went back from {:?} to {settled:?}",
                self.settled
            ));
        }
        self.settled = settled;
        // A looked-up edit of a document that is gone by then is stored with its delete.
        let Some(settled) = settled.filter(|_| !self.past.looks_up) else {
            return Ok(());
        };
        // A parked change counts as settled, and holds the floors of its type back.
        let parked = queue.state().parked.kinds();
        let is_parked = |key: &DocumentKey| parked.contains(&key.kind);
        for (key, states) in &self.past.history {
            let until = states.partition_point(|state| state.version <= settled);
            let (settled_states, later) = states.split_at(until);
            let Some(last) = settled_states.last().filter(|_| !is_parked(key)) else {
                continue;
            };
            let highest = store.highest.get(key).max(self.buried.get(key));
            let floor = store.control.floors.get(&key.kind);
            if highest < Some(&last.version) && !is_void(last, later, floor) {
                let version = last.version;
                return Err(format!(
                    "everything up to {settled} is said to be settled, and {key} at {version} is not"
                ));
            }
        }
        Ok(())
    }
}

/// Whether nothing of this state is wanted any more. What replaced a type is wanted, though its own floor
/// has the same version; but not what was gone again before its page was read: its delete may come later.
fn is_void(state: &State, later: &[State], floor: Option<&Version>) -> bool {
    let is_gone = |state: &State| matches!(state.content, Content::Gone);
    let gone = is_gone(state) || later.iter().any(is_gone);
    floor.is_some_and(|floor| *floor > state.version || (gone && *floor == state.version))
}
