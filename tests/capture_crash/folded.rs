//! What a reader of the queue knows: the newest of every key, less what floors have voided. No IO.
//!
//! ```text
//! change ──newer than what is folded, above the floor──> documents
//! floor at once ──first sight──────────┐
//! floor when passed ──all partitions──>┴──> void at or below it
//! ```
//!
//! It also notes what must not last: a change that nobody has seen, in a place where newer ones came before. A
//! broker that refuses it and takes those makes it so; then all of those have to come again behind it. A
//! watermark above it must not have come at all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::ops::Bound;

use lockstep::change::{
    Act, Barrier, Change, DocumentKey, Lane, Message, Operation, Place, Time, Version,
};
use lockstep::document::Fields;
use uuid::Uuid;

/// A floor of this type is the test's own, and voids nothing.
pub(super) const DRAIN: &str = "drain";

/// The state folded from every message received so far.
#[derive(Debug, Default)]
pub(super) struct Folded {
    documents: HashMap<DocumentKey, (Version, Option<Fields>)>,
    floors: HashMap<String, Version>,
    /// The partitions that each waiting floor has passed.
    passed: HashMap<Uuid, BTreeSet<u32>>,
    /// The places that have handed out each of the test's own barriers.
    drained: HashMap<Uuid, HashSet<Place>>,
    /// Every change of a live lane.
    seen: HashSet<(DocumentKey, Version)>,
    /// The keys and types that something was said of at a time, by an event.
    edits: HashSet<(DocumentKey, Time)>,
    voids: HashSet<(String, Time)>,
    /// The changes of each live lane.
    taken: HashMap<Place, BTreeMap<Version, DocumentKey>>,
    watermarks: HashMap<Place, Version>,
    /// Changes that came first after a newer one of their place, as long as those are owed behind it.
    late: Vec<Late>,
    /// Changes of live lanes, repeats included.
    received: usize,
    rows: usize,
    repeats: usize,
}

/// A change that was first seen after a newer one of its place.
#[derive(Debug, Clone)]
pub(super) struct Late {
    pub(super) key: DocumentKey,
    pub(super) version: Version,
    pub(super) operation: Operation,
    place: Place,
    /// What has to come again, by version; a watermark has no key.
    pub(super) owed: BTreeMap<Version, Option<DocumentKey>>,
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, key, version) = (self.operation, &self.key, self.version);
        let (count, first) = (self.owed.len(), self.owed.first_key_value());
        write!(
            f,
            "{operation:?} of {key} at {version}, before which {count} came: {first:?}"
        )
    }
}

impl Folded {
    /// Folds one message; `partitions` is how many a floor has to pass.
    pub(super) fn fold(&mut self, place: Place, message: Message, partitions: u32) {
        match message {
            Message::Change(change) => self.change(place, change),
            Message::Barrier(Barrier::Watermark { version, .. }) => {
                let reached = self.watermarks.entry(place).or_default();
                *reached = version.max(*reached);
            }
            // No edition is filled here, and the partition count stays what it is.
            Message::Barrier(Barrier::Fill { .. } | Barrier::End { .. }) => {}
            Message::Barrier(Barrier::Floor { id, kind, .. }) if kind == DRAIN => {
                self.drained.entry(id).or_default().insert(place);
            }
            Message::Barrier(Barrier::Floor {
                id,
                kind,
                version,
                act,
            }) => match act {
                Act::AtOnce => {
                    self.voids.insert((kind.clone(), version.time));
                    self.void(kind, version);
                }
                Act::WhenPassed => {
                    let passed = self.passed.entry(id).or_default();
                    passed.insert(place.partition);
                    if passed.len() == partitions as usize {
                        self.void(kind, version);
                    }
                }
            },
        }
    }

    fn change(&mut self, place: Place, change: Change) {
        let Change {
            key,
            version,
            operation,
            fields,
            ..
        } = change;
        if place.lane == Lane::Live {
            self.received += 1;
            self.edits.insert((key.clone(), version.time));
            let is_new = self.seen.insert((key.clone(), version));
            self.repeats += usize::from(!is_new);
            if is_new {
                self.comes_late(place, &key, version, operation);
            }
            self.comes_again(place, version);
        } else {
            self.rows += 1;
        }
        let floor = self.floors.get(&key.kind).copied().unwrap_or_default();
        let folded = self.documents.entry(key).or_default();
        if version > floor && version >= folded.0 {
            *folded = (version, fields);
        }
    }

    /// What came before a change and is newer has to come again; a watermark never does.
    fn comes_late(
        &mut self,
        place: Place,
        key: &DocumentKey,
        version: Version,
        operation: Operation,
    ) {
        let newer = (Bound::Excluded(version), Bound::Unbounded);
        let taken = self.taken.entry(place).or_default();
        let newer = taken.range(newer);
        let mut owed: BTreeMap<_, _> = newer.map(|(at, key)| (*at, Some(key.clone()))).collect();
        taken.insert(version, key.clone());
        let mark = self.watermarks.get(&place).filter(|mark| **mark > version);
        owed.extend(mark.map(|mark| (*mark, None)));
        if !owed.is_empty() {
            self.late.push(Late {
                key: key.clone(),
                version,
                operation,
                place,
                owed,
            });
        }
    }

    fn comes_again(&mut self, place: Place, version: Version) {
        for late in &mut self.late {
            if late.place == place {
                late.owed.remove(&version);
            }
        }
        self.late.retain(|late| !late.owed.is_empty());
    }

    fn void(&mut self, kind: String, version: Version) {
        for (key, (folded, fields)) in &mut self.documents {
            if key.kind == kind && *folded <= version {
                *fields = None;
            }
        }
        let floor = self.floors.entry(kind).or_default();
        *floor = version.max(*floor);
    }

    /// The documents that there are.
    pub(super) fn documents(&self) -> BTreeMap<DocumentKey, Fields> {
        let there = self.documents.iter();
        there
            .filter_map(|(key, (_, fields))| Some((key.clone(), fields.clone()?)))
            .collect()
    }

    /// The newest version of a key, if it was ever heard of.
    pub(super) fn version(&self, key: &DocumentKey) -> Option<Version> {
        self.documents.get(key).map(|(version, _)| *version)
    }

    /// Whether an edit of this key came, with this time.
    pub(super) fn has_edit(&self, key: &DocumentKey, time: Time) -> bool {
        self.edits.contains(&(key.clone(), time))
    }

    /// Whether the floor of this type came, with this time.
    pub(super) fn has_void(&self, kind: &str, time: Time) -> bool {
        self.voids.contains(&(kind.to_owned(), time))
    }

    /// The places that have handed out this barrier of the test's own.
    pub(super) fn drained(&self, id: Uuid) -> HashSet<Place> {
        self.drained.get(&id).cloned().unwrap_or_default()
    }

    /// How many places have a watermark at or after this time.
    pub(super) fn watermarked(&self, time: Time) -> usize {
        let reached = self.watermarks.values();
        reached.filter(|reached| reached.time >= time).count()
    }

    /// What came late and is owed something.
    pub(super) fn late(&self) -> &[Late] {
        &self.late
    }

    /// Changes of live lanes so far, repeats included.
    pub(super) fn received(&self) -> usize {
        self.received
    }

    /// How much came, in words.
    pub(super) fn tally(&self) -> String {
        format!(
            "{} changes ({} repeats), {} rows of snapshots, {} floors, {} late updates",
            self.received,
            self.repeats,
            self.rows,
            self.voids.len() + self.passed.len(),
            self.late.len(),
        )
    }
}
