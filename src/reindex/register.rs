//! Which editions of the index there are, and what a re-index does next. Pure.
//!
//! ```text
//! none ─begin─> asked ─copied─> dual ─ended─> filled ─clean─> verified ─switch─> none, old to remove
//!                 └───────────────┴─────────────┴───────────────┴──abandon──> none, new to remove
//! ```

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::feature::embed::Model;
use crate::feature::types::Types;

/// One full set of what the index holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// Its number; never used twice.
    pub number: u32,
    /// The model of its vectors.
    pub model: Model,
    /// The fingerprint of the cleaner and chunker that it was begun with.
    pub pipeline: String,
    /// The settings that open its model; null where they are not known.
    pub recipe: serde_json::Value,
}

impl Edition {
    /// Whether a new edition with the other's model and pipeline would come out the same.
    pub fn is_as(&self, other: &Self) -> bool {
        self.model.digest == other.model.digest && self.pipeline == other.pipeline
    }

    /// Whether it has the other's model, cleaner and chunker, whatever the settings of types are: what these
    /// outdate is known of each document, and reading the type again mends it.
    pub fn is_made_by_the_same(&self, other: &Self) -> bool {
        self.model.digest == other.model.digest
            && Types::program_part(&self.pipeline) == Types::program_part(&other.pipeline)
    }
}

/// How far the edition that is being filled has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It is there and empty. Whoever reads this writes both; capture is to fill it.
    Asked,
    /// Every queue has passed the beginning, and what was deleted before it is copied: nothing is
    /// settled any more that it does not hold.
    Dual,
    /// Every queue has passed the end: it holds every document of the source.
    Filled,
    /// It was compared with the source, and agreed.
    Verified,
}

/// An edition that is being filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// The edition.
    pub edition: Edition,
    /// How far it is.
    pub stage: Stage,
}

/// Every edition that has files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The one that is searched.
    pub current: Edition,
    /// The one that is being filled.
    pub next: Option<Next>,
    /// Those that nobody reads any more, and whose files are still to be removed.
    pub removing: BTreeSet<u32>,
    /// The highest number that was ever given.
    pub last: u32,
    /// The one that is searched took the place of one that could not be read, and was never filled.
    #[serde(default)]
    pub hollow: bool,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A new edition was made, with the next number.
    Begun(Edition),
    /// Every queue has passed the beginning, and tombstones and control state are copied.
    Copied,
    /// Every queue has passed the end.
    Ended,
    /// The comparison with the source found no difference.
    Clean,
    /// From here on the new edition is searched.
    Switched,
    /// The new edition is given up.
    Abandoned,
    /// The files of an edition are gone.
    Removed(u32),
}

/// What is seen from outside of the edition that is being filled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Every queue has passed the beginning.
    pub begun: bool,
    /// Every backfill queue has passed the end.
    pub ended: bool,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ask capture to fill the edition, and wait.
    Fill(u32),
    /// Copy tombstones and control state to the new edition.
    Copy,
    /// The end was seen: write it down.
    End,
    /// Compare the new edition with the source.
    Verify,
    /// Let the new edition be searched.
    Switch,
    /// Remove the files of an edition.
    Remove(u32),
    /// Nothing.
    Rest,
}

impl Register {
    /// The register of an index that has one edition.
    pub fn new(current: Edition) -> Self {
        Self {
            last: current.number,
            current,
            next: None,
            removing: BTreeSet::new(),
            hollow: false,
        }
    }

    /// The register after an empty edition took the place of all others, which nobody can read.
    #[must_use]
    pub fn replaced(&self, mut by: Edition) -> Self {
        by.number = self.number();
        let mut removing = self.removing.clone();
        removing.extend(self.needed());
        Self {
            removing,
            hollow: true,
            ..Self::new(by)
        }
    }

    /// The number of the next edition to be made.
    pub fn number(&self) -> u32 {
        self.last + 1
    }

    /// The numbers of all editions whose files are needed.
    pub fn needed(&self) -> BTreeSet<u32> {
        let next = self.next.iter().map(|next| next.edition.number);
        next.chain([self.current.number]).collect()
    }

    /// The register after an event; none where it cannot happen now.
    #[must_use]
    pub fn after(&self, event: Event) -> Option<Self> {
        let mut after = self.clone();
        match event {
            Event::Begun(edition) => {
                let fits = self.next.is_none() && edition.number == self.number();
                after.last = edition.number;
                let stage = Stage::Asked;
                after.next = fits.then_some(Next { edition, stage });
                fits.then_some(after)
            }
            Event::Copied => self.moved(Stage::Asked, Stage::Dual),
            Event::Ended => self.moved(Stage::Dual, Stage::Filled),
            Event::Clean => self.moved(Stage::Filled, Stage::Verified),
            Event::Switched => {
                let next = after.next.take()?;
                let old = std::mem::replace(&mut after.current, next.edition);
                after.removing.insert(old.number);
                after.hollow = false;
                (next.stage == Stage::Verified).then_some(after)
            }
            Event::Abandoned => {
                let next = after.next.take()?;
                after.removing.insert(next.edition.number);
                Some(after)
            }
            Event::Removed(number) => after.removing.remove(&number).then_some(after),
        }
    }

    fn moved(&self, from: Stage, to: Stage) -> Option<Self> {
        let mut after = self.clone();
        let next = after.next.as_mut().filter(|next| next.stage == from)?;
        next.stage = to;
        Some(after)
    }

    /// What to do next. Whoever does it may be cut off, or be two: each action may be repeated.
    pub fn action(&self, seen: Seen) -> Action {
        if let Some(number) = self.removing.first() {
            return Action::Remove(*number);
        }
        let Some(next) = &self.next else {
            return Action::Rest;
        };
        let fill = Action::Fill(next.edition.number);
        match next.stage {
            Stage::Asked if seen.begun => Action::Copy,
            Stage::Dual if seen.ended => Action::End,
            Stage::Asked | Stage::Dual => fill,
            Stage::Filled => Action::Verify,
            Stage::Verified => Action::Switch,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edition(number: u32) -> Edition {
        Edition {
            number,
            model: Model {
                name: format!("model-{number}"),
                digest: number.to_string(),
                dimension: 2,
                token_limit: 32,
            },
            pipeline: "p".to_owned(),
            recipe: serde_json::Value::Null,
        }
    }

    #[test]
    fn settings_of_a_type_make_another_edition_but_not_another_program() {
        let with = |pipeline: &str| Edition {
            pipeline: pipeline.to_owned(),
            ..edition(1)
        };
        let plain = with("clean-1 chunk-1");
        let typed = with("clean-1 chunk-1 types-12345678");
        assert!(!plain.is_as(&typed) && plain.is_made_by_the_same(&typed));
        assert!(!typed.is_made_by_the_same(&with("clean-2 chunk-1 types-12345678")));
        assert!(!plain.is_made_by_the_same(&edition(1)));
    }

    fn done(register: &Register, events: &[Event]) -> Option<Register> {
        events.iter().try_fold(register.clone(), |register, event| {
            register.after(event.clone())
        })
    }

    const SEEN: Seen = Seen {
        begun: true,
        ended: true,
    };

    #[test]
    fn an_edition_is_searched_only_after_every_stage_and_then_the_old_one_goes() {
        let start = Register::new(edition(1));
        assert_eq!(start.action(SEEN), Action::Rest);
        let steps = [
            (Event::Begun(edition(2)), Action::Copy),
            (Event::Copied, Action::End),
            (Event::Ended, Action::Verify),
            (Event::Clean, Action::Switch),
            (Event::Switched, Action::Remove(1)),
            (Event::Removed(1), Action::Rest),
        ];
        let mut register = start;
        for (event, action) in steps {
            register = register.after(event).unwrap();
            assert_eq!(register.action(SEEN), action);
        }
        assert_eq!(register, Register::new(edition(2)));
    }

    #[test]
    fn nothing_is_copied_or_ended_before_every_queue_has_passed() {
        let asked = done(&Register::new(edition(1)), &[Event::Begun(edition(2))]).unwrap();
        assert_eq!(asked.action(Seen::default()), Action::Fill(2));
        let dual = asked.after(Event::Copied).unwrap();
        let begun = Seen {
            begun: true,
            ended: false,
        };
        assert_eq!(dual.action(begun), Action::Fill(2));
    }

    #[test]
    fn what_was_given_up_is_removed_and_its_number_is_not_given_again() {
        let start = Register::new(edition(1));
        let events = [Event::Begun(edition(2)), Event::Copied, Event::Abandoned];
        let dropped = done(&start, &events).unwrap();
        assert_eq!(dropped.action(SEEN), Action::Remove(2));
        let again = dropped.after(Event::Removed(2)).unwrap();
        assert_eq!((again.current.number, again.number()), (1, 3));
        assert_eq!(again.after(Event::Begun(edition(2))), None);
    }

    #[test]
    fn what_nobody_can_read_goes_with_what_was_being_filled_until_another_is_full() {
        let asked = done(&Register::new(edition(1)), &[Event::Begun(edition(2))]).unwrap();
        let replaced = asked.replaced(edition(0));
        assert_eq!((replaced.current.number, replaced.hollow), (3, true));
        assert_eq!(replaced.removing, BTreeSet::from([1, 2]));
        let filled = [
            Event::Begun(edition(4)),
            Event::Copied,
            Event::Ended,
            Event::Clean,
            Event::Switched,
        ];
        assert!(!done(&replaced, &filled).unwrap().hollow);
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (1u32..6).prop_map(|number| Event::Begun(edition(number))),
            Just(Event::Copied),
            Just(Event::Ended),
            Just(Event::Clean),
            Just(Event::Switched),
            Just(Event::Abandoned),
            (1u32..6).prop_map(Event::Removed),
        ]
    }

    proptest! {
        /// Whatever is tried in whatever order: what is searched was verified right before, and no
        /// edition that is needed is ever one to be removed.
        #[test]
        fn only_a_verified_edition_becomes_the_current_one(events in prop::collection::vec(any_event(), 0..40)) {
            let mut register = Register::new(edition(1));
            for event in events {
                let Some(after) = register.after(event.clone()) else { continue };
                if after.current != register.current {
                    let next = register.next.as_ref().unwrap();
                    prop_assert_eq!((next.stage, &next.edition), (Stage::Verified, &after.current));
                    prop_assert_eq!(event, Event::Switched);
                }
                prop_assert!(after.needed().is_disjoint(&after.removing));
                prop_assert!(after.last >= register.last);
                register = after;
            }
        }
    }
}
