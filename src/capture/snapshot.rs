//! Which pages of which types are still to be read: the state of a snapshot. Pure.
//!
//! ```text
//! begin(kind, floor) ──> page, page, … ──empty page──> floor through every queue ──> next kind
//!
//! fill(edition) ──> begin through every queue ──> pages of every type ──> end through every queue
//! ```
//!
//! Filling an edition of the index is no snapshot: it finds no deletes and holds no watermark back,
//! since the index that is searched does not wait for it. It goes on while no snapshot does.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::change::{Act, Barrier, Version};

/// Snapshots under way, the first one being read; saved with the position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPlan {
    parts: VecDeque<Part>,
    /// True while the index cannot hold everything up to the position: before the first snapshot
    /// has passed, and after a gap. No watermark is sent until then; nor while a replaced type waits.
    catching_up: bool,
    /// The edition that is being filled.
    #[serde(default)]
    fill: Option<Fill>,
    /// The last edition whose filling came to its end.
    #[serde(default)]
    filled: Option<u32>,
}

/// The filling of an edition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fill {
    edition: u32,
    /// Its beginning was confirmed in every queue.
    begun: bool,
    /// The types that are waiting or being read, in order.
    kinds: VecDeque<String>,
    /// The last `_id` of the first of them that was published.
    after: Option<String>,
}

/// The snapshot of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    kind: String,
    /// What no page raises above it was deleted before the snapshot began.
    floor: Version,
    /// The last `_id` that was published.
    after: Option<String>,
    /// The type was replaced at this floor: until the snapshot has passed, the index lacks it.
    #[serde(default)]
    replaced: bool,
}

/// What a snapshot does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read and publish the page of this type after this `_id`.
    Page {
        /// The type.
        kind: String,
        /// What its snapshot does not raise is void; a type that begins anew has another.
        floor: Version,
        /// The last `_id` that was published.
        after: Option<String>,
    },
    /// Say to every queue that the filling of this edition begins.
    BeginFill {
        /// The edition.
        edition: u32,
    },
    /// Read and publish the page of this type after this `_id`, for this edition.
    Fill {
        /// The edition.
        edition: u32,
        /// The type.
        kind: String,
        /// The last `_id` that was published.
        after: Option<String>,
    },
    /// Say to every queue that the filling of this edition ends.
    EndFill {
        /// The edition.
        edition: u32,
    },
    /// Nothing is left.
    Done,
}

impl SnapshotPlan {
    /// The plan of a source that was never read, or whose changes were lost: all of these types.
    pub fn all(kinds: impl IntoIterator<Item = String>, floor: Version) -> Self {
        let mut plan = Self {
            parts: VecDeque::new(),
            catching_up: true,
            fill: None,
            filled: None,
        };
        for kind in kinds {
            plan.add(kind, floor);
        }
        plan.finish_if_empty();
        plan
    }

    /// Adds a type; one that is waiting or being read begins anew with the higher floor of the two. (Who
    /// asks after a crash sees an older time than the crashed one saw, and what was sent of its floor
    /// would wait for ever.)
    pub fn add(&mut self, kind: String, floor: Version) {
        self.read(kind, floor, false);
    }

    /// Adds a type whose documents were replaced by others, which no event names.
    pub fn replaced(&mut self, kind: String, floor: Version) {
        self.read(kind, floor, true);
    }

    fn read(&mut self, kind: String, floor: Version, replaced: bool) {
        let (old, others) = std::mem::take(&mut self.parts)
            .into_iter()
            .partition::<VecDeque<_>, _>(|part| part.kind == kind);
        self.parts = others;
        let old = old.into_iter().next();
        self.parts.push_back(Part {
            floor: old.as_ref().map_or(floor, |old| old.floor.max(floor)),
            after: None,
            replaced: replaced || old.is_some_and(|old| old.replaced),
            kind,
        });
    }

    /// The types that are waiting or being read, in order.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.kind.as_str())
    }

    /// Adds the filling of an edition with these types, unless it is under way or has ended.
    pub fn fill(&mut self, edition: u32, kinds: impl IntoIterator<Item = String>) {
        let known = self.fill.as_ref().map(|fill| fill.edition);
        if known == Some(edition) || self.filled == Some(edition) {
            return;
        }
        self.fill = Some(Fill {
            edition,
            begun: false,
            kinds: kinds.into_iter().collect(),
            after: None,
        });
    }

    /// Gives up what is being filled.
    pub fn give_up_filling(&mut self) {
        self.fill = None;
    }

    /// Takes over what another plan was filling.
    pub(super) fn go_on_filling(&mut self, before: Self) {
        (self.fill, self.filled) = (before.fill, before.filled);
    }

    /// What to do next.
    pub fn step(&self) -> Step {
        if let Some(part) = self.parts.front() {
            return Step::Page {
                kind: part.kind.clone(),
                floor: part.floor,
                after: part.after.clone(),
            };
        }
        self.fill.as_ref().map_or(Step::Done, Fill::step)
    }

    /// The page of this step was confirmed up to this `_id`. A step that is no longer the next one,
    /// because its type began anew meanwhile, changes nothing.
    pub fn published(&mut self, step: &Step, last: String) {
        if self.step() != *step {
            return;
        }
        if let Some(part) = self.parts.front_mut() {
            part.after = Some(last);
        } else if let Some(fill) = &mut self.fill {
            fill.after = Some(last);
        }
    }

    /// The barrier that follows the last page of the type being read.
    ///
    /// Its id follows from type and floor, so that a repeat after a crash is the same barrier.
    pub fn barrier(&self) -> Option<Barrier> {
        let part = self.parts.front()?;
        let mut name = Vec::from(part.floor.to_bytes());
        name.extend_from_slice(part.kind.as_bytes());
        Some(Barrier::Floor {
            id: Uuid::new_v5(&Uuid::NAMESPACE_OID, &name),
            kind: part.kind.clone(),
            version: part.floor,
            act: Act::WhenPassed,
        })
    }

    /// What this step had to say was confirmed in every partition, or it had no page left.
    pub fn ended(&mut self, step: &Step) {
        if self.step() != *step {
            return;
        }
        match step {
            Step::Page { .. } => {
                self.parts.pop_front();
                self.finish_if_empty();
            }
            Step::EndFill { edition } => {
                (self.fill, self.filled) = (None, Some(*edition));
            }
            Step::BeginFill { .. } | Step::Fill { .. } => {
                if let Some(fill) = &mut self.fill {
                    fill.ended();
                }
            }
            Step::Done => {}
        }
    }

    /// Whether a snapshot is under way; filling an edition is none.
    pub fn is_active(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Whether something is left to do.
    pub fn has_step(&self) -> bool {
        self.is_active() || self.fill.is_some()
    }

    /// Whether the index cannot yet hold everything up to the position.
    pub fn is_catching_up(&self) -> bool {
        self.catching_up || self.parts.iter().any(|part| part.replaced)
    }

    fn finish_if_empty(&mut self) {
        if self.parts.is_empty() {
            self.catching_up = false;
        }
    }
}

impl Fill {
    fn step(&self) -> Step {
        let edition = self.edition;
        match self.kinds.front() {
            _ if !self.begun => Step::BeginFill { edition },
            None => Step::EndFill { edition },
            Some(kind) => Step::Fill {
                edition,
                kind: kind.clone(),
                after: self.after.clone(),
            },
        }
    }

    fn ended(&mut self) {
        if self.begun {
            self.kinds.pop_front();
            self.after = None;
        }
        self.begun = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Time;

    fn floor(sequence: u64) -> Version {
        Version::floor(1, Time::from_sequence(sequence))
    }

    fn page(kind: &str, sequence: u64, after: Option<&str>) -> Step {
        Step::Page {
            kind: kind.into(),
            floor: floor(sequence),
            after: after.map(str::to_owned),
        }
    }

    #[test]
    fn a_snapshot_goes_on_after_the_page_that_was_confirmed() {
        let mut plan = SnapshotPlan::all(["a".into(), "b".into()], floor(3));
        assert_eq!(plan.step(), page("a", 3, None));
        plan.published(&page("a", 3, None), "7".into());
        assert_eq!(plan.step(), page("a", 3, Some("7")));
        plan.ended(&page("a", 3, Some("7")));
        assert_eq!(plan.step(), page("b", 3, None));
        assert!(plan.is_catching_up());
        plan.ended(&page("b", 3, None));
        assert_eq!((plan.step(), plan.is_catching_up()), (Step::Done, false));
    }

    #[test]
    fn a_type_that_is_added_again_begins_anew_and_stands_once() {
        let mut plan = SnapshotPlan::all(["a".into()], floor(3));
        plan.published(&page("a", 3, None), "7".into());
        plan.add("a".into(), floor(9));
        assert_eq!(plan.step(), page("a", 9, None));
        let Some(Barrier::Floor { version, .. }) = plan.barrier() else {
            panic!("no floor")
        };
        assert_eq!(version, floor(9));
        plan.ended(&page("a", 9, None));
        assert!(!plan.is_active());
    }

    #[test]
    fn a_floor_that_was_sent_is_not_followed_by_a_lower_one() {
        let mut plan = SnapshotPlan::default();
        plan.add("a".into(), floor(9));
        plan.add("a".into(), floor(3));
        assert_eq!(plan.step(), page("a", 9, None));
    }

    #[test]
    fn a_replaced_type_is_missing_until_its_snapshot_has_passed_and_one_that_is_read_again_is_not()
    {
        let mut plan = SnapshotPlan::default();
        plan.add("a".into(), floor(3));
        assert!(!plan.is_catching_up());
        plan.replaced("b".into(), floor(4));
        // Asked for once more, it is as missing as before.
        plan.add("b".into(), floor(5));
        plan.ended(&page("a", 3, None));
        assert!(plan.is_catching_up());
        plan.ended(&page("b", 5, None));
        assert!(!plan.is_catching_up());
    }

    #[test]
    fn a_page_that_is_confirmed_after_its_type_began_anew_changes_nothing() {
        let mut plan = SnapshotPlan::all(["a".into()], floor(3));
        plan.add("a".into(), floor(9));
        plan.published(&page("a", 3, None), "7".into());
        plan.ended(&page("a", 3, None));
        assert_eq!(plan.step(), page("a", 9, None));
    }

    #[test]
    fn an_edition_is_filled_between_two_marks_and_no_watermark_waits_for_it() {
        let fill = |kind: &str, after: Option<&str>| Step::Fill {
            edition: 2,
            kind: kind.into(),
            after: after.map(str::to_owned),
        };
        let (begin, end) = (Step::BeginFill { edition: 2 }, Step::EndFill { edition: 2 });
        let mut plan = SnapshotPlan::default();
        plan.fill(2, ["a".into(), "b".into()]);
        for step in [begin, fill("a", None)] {
            assert_eq!(plan.step(), step);
            plan.ended(&step);
        }
        plan.published(&fill("b", None), "7".into());
        // A repeated request changes nothing, and a snapshot goes first.
        plan.fill(2, ["c".into()]);
        plan.add("c".into(), floor(3));
        assert_eq!(plan.step(), page("c", 3, None));
        plan.ended(&page("c", 3, None));
        assert!(!plan.is_active() && !plan.is_catching_up() && plan.has_step());
        for step in [fill("b", Some("7")), end] {
            assert_eq!(plan.step(), step);
            plan.ended(&step);
        }
        plan.fill(2, ["a".into()]);
        assert_eq!(plan.step(), Step::Done);
        plan.fill(3, []);
        assert_eq!(plan.step(), Step::BeginFill { edition: 3 });
        plan.give_up_filling();
        assert_eq!(plan.step(), Step::Done);
    }

    #[test]
    fn an_empty_source_has_nothing_to_catch_up_with() {
        assert!(!SnapshotPlan::all([], floor(0)).is_catching_up());
    }
}
