//! What a comparison found, in bounded memory: whom to look at again, and what to tell. Pure.

use std::collections::BTreeMap;

use super::{Difference, Excused, Kind, Report};
use crate::change::{DocumentKey, PointId};
use crate::queue::Parked;

/// Documents, and points that nobody names, to look at again; a broken index has more, but by then
/// it needs a snapshot and not a list.
const SUSPECTS_MAX: usize = 10_000;
/// Differences, and excused documents, that a report tells one by one.
const TOLD_MAX: usize = 1000;

/// Documents that differed when looked at for the first time, and their points that no manifest
/// named.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    keys: BTreeMap<DocumentKey, Vec<PointId>>,
    held: usize,
    /// What did not fit; taken for a difference without a second look.
    beyond: u64,
}

impl Suspects {
    /// Remembers a document to look at again.
    pub(super) fn document(&mut self, key: &DocumentKey) {
        if self.keys.contains_key(key) {
            return;
        }
        if self.has_room() {
            self.keys.insert(key.clone(), Vec::new());
        }
    }

    /// Remembers a point to look at again.
    pub(super) fn orphan(&mut self, key: &DocumentKey, id: PointId) {
        if self.has_room() {
            self.keys.entry(key.clone()).or_default().push(id);
        }
    }

    fn has_room(&mut self) -> bool {
        let room = self.held < SUSPECTS_MAX;
        if room {
            self.held += 1;
        } else {
            self.beyond += 1;
        }
        room
    }

    /// Whom to look at again, and how many did not fit.
    pub(super) fn into_parts(self) -> (BTreeMap<DocumentKey, Vec<PointId>>, u64) {
        (self.keys, self.beyond)
    }
}

/// The newest parked change of each document that differed.
#[derive(Debug, Default)]
pub(super) struct Excuses(BTreeMap<DocumentKey, Parked>);

impl Excuses {
    /// Takes in a parked change of a suspect.
    pub(super) fn add(&mut self, key: DocumentKey, parked: Parked) {
        let newest = self.0.entry(key).or_insert_with(|| parked.clone());
        if newest.version < parked.version {
            *newest = parked;
        }
    }

    /// The parked change that explains a difference: one that the index has not overtaken.
    fn of(&self, difference: &Difference) -> Option<&Parked> {
        let indexed = difference.version.unwrap_or_default();
        (self.0.get(&difference.key)).filter(|parked| parked.version >= indexed)
    }
}

impl Report {
    /// Takes in a difference that is still there: excused, or told, or only counted.
    pub(super) fn add(&mut self, difference: Difference, excuses: &Excuses, repair: bool) {
        // Another producer's document is in no source; sent again it would be taken for deleted.
        let is_unversioned = difference.version.is_some_and(|version| !version.is_some());
        if difference.kind == Kind::Surplus && is_unversioned {
            return;
        }
        if let Some(parked) = excuses.of(&difference) {
            self.excuse(difference.key, parked);
            return;
        }
        if difference.kind == Kind::Orphan {
            self.orphans += 1;
        } else {
            self.difference_count += 1;
        }
        // What cannot be prepared fails again however often it is sent.
        let helps = difference.kind != Kind::Unusable;
        if repair && helps && self.resync.last() != Some(&difference.key) {
            self.resync.push(difference.key.clone());
        }
        if self.differences.len() < TOLD_MAX {
            self.differences.push(difference);
        }
    }

    fn excuse(&mut self, key: DocumentKey, parked: &Parked) {
        let known = self.excused.iter().any(|known| known.key == key);
        if !known && self.excused.len() < TOLD_MAX {
            self.excused.push(Excused {
                key,
                reason: parked.reason.clone(),
            });
        }
    }

    /// Closes the report.
    pub(super) fn finish(mut self, beyond: u64) -> Self {
        self.difference_count += beyond;
        self.resync.sort_unstable();
        self.resync.dedup();
        self.clean = self.difference_count == 0 && self.orphans == 0;
        self
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::change::{Lane, Place, Time, Version};

    fn key(id: &str) -> DocumentKey {
        DocumentKey::text("posts", id)
    }

    fn version(sequence: u64) -> Version {
        Version::read(1, Time::from_sequence(sequence))
    }

    fn difference(id: &str, kind: Kind, indexed: Option<u64>) -> Difference {
        Difference {
            key: key(id),
            version: indexed.map(version),
            kind,
            detail: String::new(),
        }
    }

    fn parked(sequence: u64) -> Excuses {
        let parked = |sequence| Parked {
            id: Uuid::nil(),
            key: Some(key("a")),
            version: version(sequence),
            operation: None,
            place: Place {
                partition: 0,
                lane: Lane::Live,
            },
            reason: format!("reason {sequence}"),
            attempts: 1,
            parked_ms: 0,
        };
        let mut excuses = Excuses::default();
        excuses.add(key("a"), parked(sequence));
        excuses.add(key("a"), parked(1));
        excuses
    }

    fn report(differences: Vec<Difference>, excuses: &Excuses) -> Report {
        let mut report = Report::default();
        for difference in differences {
            report.add(difference, excuses, true);
        }
        report.finish(0)
    }

    #[test]
    fn a_difference_is_told_counted_and_named_for_resync_once() {
        let found = vec![
            difference("a", Kind::Text, Some(5)),
            difference("a", Kind::PointMissing, Some(5)),
            difference("b", Kind::Unusable, None),
        ];
        let report = report(found, &Excuses::default());
        assert!(!report.clean);
        assert_eq!((report.difference_count, report.differences.len()), (3, 3));
        assert_eq!(report.resync, [key("a")]);
    }

    #[test]
    fn a_parked_change_excuses_its_document_until_the_index_is_newer() {
        for (indexed, clean) in [
            (None, true),
            (Some(4), true),
            (Some(5), true),
            (Some(6), false),
        ] {
            let found = vec![difference("a", Kind::Missing, indexed)];
            let report = report(found, &parked(5));
            assert_eq!(report.clean, clean, "{indexed:?}");
            let reasons: Vec<_> = report
                .excused
                .iter()
                .map(|one| one.reason.as_str())
                .collect();
            let expected: &[&str] = if clean { &["reason 5"] } else { &[] };
            assert_eq!(reasons, expected);
        }
        let other = report(vec![difference("b", Kind::Missing, None)], &parked(5));
        assert!(!other.clean);
    }

    #[test]
    fn another_producers_document_is_never_sent_again() {
        for (version, again) in [(Version::NONE, 0), (version(3), 1)] {
            let mut report = Report::default();
            let surplus = Difference {
                version: Some(version),
                ..difference("a", Kind::Surplus, None)
            };
            report.add(surplus, &Excuses::default(), true);
            assert_eq!(
                (report.resync.len(), report.difference_count),
                (again, again as u64)
            );
        }
    }

    #[test]
    fn an_orphan_is_no_difference_of_a_document_but_not_clean() {
        let report = report(
            vec![difference("a", Kind::Orphan, None)],
            &Excuses::default(),
        );
        assert_eq!((report.orphans, report.difference_count), (1, 0));
        assert!(!report.clean);
    }

    #[test]
    fn a_broken_index_is_counted_in_bounded_memory() {
        let mut suspects = Suspects::default();
        for document in 0..SUSPECTS_MAX + 7 {
            suspects.document(&key(&document.to_string()));
        }
        suspects.document(&key("0"));
        let (keys, beyond) = suspects.into_parts();
        assert_eq!((keys.len(), beyond), (SUSPECTS_MAX, 7));
        let found = (0..TOLD_MAX + 7).map(|id| difference(&id.to_string(), Kind::Text, None));
        let report = report(found.collect(), &Excuses::default());
        assert_eq!(report.differences.len(), TOLD_MAX);
        assert_eq!(report.difference_count, TOLD_MAX as u64 + 7);
        assert!(!Report::default().finish(7).clean);
    }
}
