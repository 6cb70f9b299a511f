//! What the consumers of one process know together: how much they have in hand, which attempts the
//! broker counted that were none, and whose connections are still being closed.
//!
//! ```text
//! consumer dropped ──> going ──connection closed──> it holds nothing, the next one may subscribe
//! consumer dropped ──> fetched or given back, not in work ──> forgiven once
//! fetched again ─────> the broker's count, less what is forgiven
//! ```

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use lapin::message::Delivery;
use uuid::Uuid;

use super::going::Going;
use super::wire;
use crate::change::Lane;

/// Messages that are remembered at most; beyond it all are forgotten, and the broker's count holds.
const FORGIVEN_MAX: usize = 100_000;

/// Shared by all consumers of a process.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) in_hand: InHand,
    pub(super) forgiven: Forgiven,
    pub(super) going: Going,
}

/// Changes that consumers of this process have fetched: the broker does not count them.
#[derive(Debug, Default)]
pub(super) struct InHand {
    live: AtomicU64,
    backfill: AtomicU64,
}

impl InHand {
    pub(super) fn count(&self, lane: Lane) -> u64 {
        self.of(lane).load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, lane: Lane) {
        self.of(lane).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn take(&self, lane: Lane) {
        self.of(lane).fetch_sub(1, Ordering::Relaxed);
    }

    fn of(&self, lane: Lane) -> &AtomicU64 {
        match lane {
            Lane::Live => &self.live,
            Lane::Backfill => &self.backfill,
        }
    }
}

/// How often the broker counted a message although nobody failed over it.
#[derive(Debug, Default)]
pub(super) struct Forgiven(Mutex<HashMap<Uuid, Past>>);

#[derive(Debug, Clone, Copy, Default)]
struct Past {
    count: u32,
    /// It was in work, so that something of it may be stored: it is never a first attempt again.
    was_begun: bool,
}

impl Forgiven {
    /// Each of these was here and not in work when its consumer went; with whether it had been.
    pub(super) fn add<'a>(&self, messages: impl Iterator<Item = (&'a Delivery, bool)>) {
        let id = |message: &Delivery| wire::message_id(&message.properties, &message.data);
        self.add_ids(messages.map(|(message, was_begun)| (id(message), was_begun)));
    }

    /// The attempt without what is forgiven of it.
    pub(super) fn less(&self, message: &Delivery, attempt: u32) -> u32 {
        if attempt == 1 {
            return 1;
        }
        self.less_id(
            wire::message_id(&message.properties, &message.data),
            attempt,
        )
    }

    fn add_ids(&self, ids: impl Iterator<Item = (Uuid, bool)>) {
        let mut forgiven = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if forgiven.len() > FORGIVEN_MAX {
            forgiven.clear();
        }
        for (id, was_begun) in ids {
            let past = forgiven.entry(id).or_default();
            past.count += 1;
            past.was_begun |= was_begun;
        }
    }

    fn less_id(&self, id: Uuid, attempt: u32) -> u32 {
        let forgiven = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let past = forgiven.get(&id).copied().unwrap_or_default();
        let least = 1 + u32::from(past.was_begun);
        attempt.saturating_sub(past.count).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_worked_on_is_counted_off_as_often_as_it_was_counted() {
        let forgiven = Forgiven::default();
        let [one, other, begun] = [1, 2, 3].map(Uuid::from_u128);
        forgiven.add_ids([(one, false), (begun, true)].into_iter());
        forgiven.add_ids([(one, false), (other, false)].into_iter());
        assert_eq!(forgiven.less_id(one, 3), 1);
        assert_eq!(forgiven.less_id(one, 5), 3, "two of them were in work");
        assert_eq!(forgiven.less_id(other, 2), 1);
        assert_eq!(forgiven.less_id(begun, 2), 2, "something may be stored");
        assert_eq!(forgiven.less_id(Uuid::from_u128(4), 4), 4);
    }
}
