//! What brings one document's points up to date. Pure.
//!
//! ```text
//! change + prepared texts + the manifest that is there ──> Stale | Plan { manifest, texts }
//! ```
//!
//! A point's id is a function of its text, so the plan needs no differences: whatever of its ids is
//! stored already is kept, the rest is embedded.

use std::collections::HashMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::change::{Change, DocumentKey, Operation, PointId, Version};
use crate::feature::prepare::Prepared;
use crate::vector::{Control, Entry, Manifest, Stamp};

/// Between the ranks of two neighbours, so that many insertions fit in.
const RANK_GAP: i64 = 1 << 32;

/// The writes that bring one document's points up to date.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What the index will hold; a tombstone for a delete.
    pub manifest: Manifest,
    /// The text of each of the manifest's points, in order.
    pub texts: Vec<String>,
}

/// Whether a change still matters: false where the index holds a newer version, or a floor has
/// voided this one. An equal version does: it is a repeat that may have been cut short.
pub fn is_current(
    key: &DocumentKey,
    version: Version,
    stored: Option<&Manifest>,
    control: &Control,
) -> bool {
    !control.voids(&key.kind, version)
        && stored.is_none_or(|manifest| manifest.stamp.version <= version)
}

impl Plan {
    /// The plan of a change whose document was prepared; `stored` lends its ranks, and says what
    /// has been stored at this version before.
    pub fn new(
        change: &Change,
        prepared: Prepared,
        stored: Option<&Manifest>,
        fingerprint: &str,
    ) -> Self {
        let ids = point_ids(&change.key, &prepared.chunks);
        let known: HashMap<PointId, i64> = stored
            .iter()
            .flat_map(|manifest| &manifest.points)
            .map(|entry| (entry.id, entry.rank))
            .collect();
        let old: Vec<Option<i64>> = ids.iter().map(|id| known.get(id).copied()).collect();
        let points = ids
            .into_iter()
            .zip(ranks(&old))
            .map(|(id, rank)| Entry { id, rank });
        let mut manifest = Manifest {
            key: change.key.clone(),
            stamp: change.version.into(),
            deleted: false,
            committed_ms: change.committed_ms,
            fingerprint: fingerprint.to_owned(),
            metadata: prepared.metadata,
            text: prepared.text,
            points: points.collect(),
        };
        let stored = stored.map(|manifest| manifest.stamp);
        manifest.stamp = Stamp::over(stored, change.version, digest(&manifest));
        Self {
            manifest,
            texts: prepared.chunks,
        }
    }

    /// The plan of a delete, where the change is one.
    ///
    /// A tombstone is dated when it is buried: it stays for a while after that. A delete of last month that is
    /// read today still has a worker before it that may be slow today.
    pub fn of_delete(change: &Change, stored: Option<&Manifest>, now_ms: u64) -> Option<Self> {
        let gone = change.operation == Operation::Delete || change.fields.is_none();
        gone.then(|| {
            let stored = stored.map(|manifest| manifest.stamp);
            let stamp = Stamp::over(stored, change.version, Stamp::DIGEST_GONE);
            Self {
                manifest: Manifest::tombstone(
                    change.key.clone(),
                    stamp,
                    change.committed_ms.max(now_ms),
                ),
                texts: Vec::new(),
            }
        })
    }
}

impl Manifest {
    /// The manifest of a deleted document.
    pub fn tombstone(key: DocumentKey, stamp: Stamp, committed_ms: u64) -> Self {
        Self {
            key,
            stamp,
            deleted: true,
            committed_ms,
            fingerprint: String::new(),
            metadata: crate::document::Fields::new(),
            text: String::new(),
            points: Vec::new(),
        }
    }

    /// The ids of its points.
    pub fn point_ids(&self) -> Vec<PointId> {
        self.points.iter().map(|entry| entry.id).collect()
    }
}

/// A digest of all that manifest and points hold, ranks included: two workers that store one content
/// over different manifests may give it different ranks. Never that of a tombstone, nor 0.
fn digest(manifest: &Manifest) -> u32 {
    let mut digest = Sha256::new();
    let metadata = manifest
        .metadata
        .iter()
        .map(|(name, value)| (name, Value::to_string(value)));
    let metadata = metadata.flat_map(|(name, value)| [name.clone(), value]);
    for text in [manifest.fingerprint.clone(), manifest.text.clone()]
        .into_iter()
        .chain(metadata)
    {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    for entry in &manifest.points {
        digest.update(entry.id.0.as_bytes());
        digest.update(entry.rank.to_be_bytes());
    }
    let digest = digest.finalize();
    let word = digest
        .iter()
        .take(4)
        .fold(0, |word, byte| word << 8 | u32::from(*byte));
    word.clamp(1, Stamp::DIGEST_GONE - 1)
}

/// The point of each text, equal ones told apart by their occurrence.
pub fn point_ids(key: &DocumentKey, texts: &[String]) -> Vec<PointId> {
    let mut seen: HashMap<&str, u32> = HashMap::new();
    texts
        .iter()
        .map(|text| {
            let occurrence = seen.entry(text).or_default();
            let id = PointId::new(key, text, *occurrence);
            *occurrence += 1;
            id
        })
        .collect()
}

/// Strictly growing ranks that leave as many of the old ones as they are as can be.
fn ranks(old: &[Option<i64>]) -> Vec<i64> {
    let mut ranks: Vec<Option<i64>> = vec![None; old.len()];
    for at in longest_growing(old) {
        if let (Some(slot), Some(rank)) = (ranks.get_mut(at), old.get(at)) {
            *slot = *rank;
        }
    }
    fill(&ranks).unwrap_or_else(|| {
        (1..)
            .map(|place: i64| place * RANK_GAP)
            .take(old.len())
            .collect()
    })
}

/// Puts evenly spaced ranks between the fixed ones; none where there is no room.
fn fill(fixed: &[Option<i64>]) -> Option<Vec<i64>> {
    let mut filled: Vec<i64> = Vec::with_capacity(fixed.len());
    let mut rest = fixed;
    while let Some(first) = rest.first() {
        if let Some(rank) = first {
            filled.push(*rank);
            rest = rest.get(1..)?;
            continue;
        }
        let gap = rest.iter().take_while(|rank| rank.is_none()).count();
        let count = i64::try_from(gap).ok()?;
        let (low, step) = match (filled.last(), rest.get(gap).copied().flatten()) {
            (low, None) => {
                let low = low.copied().unwrap_or(0);
                low.checked_add((count + 1).checked_mul(RANK_GAP)?)?;
                (low, RANK_GAP)
            }
            (Some(low), Some(high)) => (*low, high.checked_sub(*low)? / (count + 1)),
            (None, Some(high)) => {
                let low = high.checked_sub((count + 1).checked_mul(RANK_GAP)?)?;
                (low, RANK_GAP)
            }
        };
        if step == 0 {
            return None;
        }
        filled.extend((1..=count).map(|place| low + place * step));
        rest = rest.get(gap..)?;
    }
    Some(filled)
}

/// The places of a longest strictly growing subsequence (patience sorting), nones left out.
fn longest_growing(values: &[Option<i64>]) -> Vec<usize> {
    let mut tails: Vec<(i64, usize)> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; values.len()];
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        let length = tails.partition_point(|(tail, _)| tail < value);
        let previous = length.checked_sub(1).and_then(|shorter| tails.get(shorter));
        if let Some(slot) = before.get_mut(at) {
            *slot = previous.map(|(_, at)| *at);
        }
        tails.truncate(tails.len().max(length));
        match tails.get_mut(length) {
            Some(tail) => *tail = (*value, at),
            None => tails.push((*value, at)),
        }
    }
    let mut chain = Vec::with_capacity(tails.len());
    let mut next = tails.last().map(|(_, at)| *at);
    while let Some(at) = next {
        chain.push(at);
        next = before.get(at).copied().flatten();
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::change::Time;
    use crate::document::Fields;

    fn change(sequence: u64, operation: Operation) -> Change {
        let version = Version {
            epoch: 1,
            time: Time::from_sequence(sequence),
            order: 0,
        };
        let fields = (operation != Operation::Delete).then(Fields::new);
        Change::new(
            DocumentKey::text("posts", "a"),
            version,
            operation,
            fields,
            0,
        )
    }

    fn prepared(chunks: &[&str]) -> Prepared {
        let chunks = chunks.iter().map(|&chunk| chunk.to_owned()).collect();
        Prepared {
            metadata: Fields::new(),
            text: String::new(),
            chunks,
        }
    }

    fn plan(chunks: &[&str], stored: Option<&Manifest>) -> Manifest {
        Plan::new(&change(2, Operation::Update), prepared(chunks), stored, "f").manifest
    }

    #[test]
    fn an_older_version_is_not_current_and_an_equal_one_is_done_again() {
        let stored = plan(&["x"], None);
        let none = Control::default();
        for (sequence, current) in [(1, false), (2, true), (3, true)] {
            let change = change(sequence, Operation::Update);
            assert_eq!(
                is_current(&change.key, change.version, Some(&stored), &none),
                current
            );
        }
    }

    #[test]
    fn a_floor_voids_what_is_at_or_below_it_but_nothing_without_a_version() {
        let change = change(2, Operation::Update);
        let control = Control {
            floors: [("posts".into(), change.version)].into(),
            ..Control::default()
        };
        assert!(!is_current(&change.key, change.version, None, &control));
        assert!(is_current(&change.key, Version::NONE, None, &control));
        assert!(is_current(
            &DocumentKey::text("notes", "a"),
            change.version,
            None,
            &control
        ));
    }

    #[test]
    fn a_tombstone_is_as_young_as_its_burial_whenever_the_delete_was() {
        let delete = change(2, Operation::Delete);
        let dated = |now_ms| {
            let plan = Plan::of_delete(&delete, None, now_ms).unwrap();
            (plan.manifest.deleted, plan.manifest.committed_ms)
        };
        assert_eq!(dated(700), (true, 700));
        let late = Change {
            committed_ms: 900,
            ..delete.clone()
        };
        let plan = Plan::of_delete(&late, None, 700).unwrap();
        assert_eq!(plan.manifest.committed_ms, 900, "our clock is behind");
        assert!(Plan::of_delete(&change(2, Operation::Update), None, 700).is_none());
    }

    #[test]
    fn an_insertion_moves_no_other_rank() {
        let before = plan(&["a", "b", "c"], None);
        let after = plan(&["new", "a", "between", "b", "c", "last"], Some(&before));
        for entry in &before.points {
            assert!(after.points.contains(entry));
        }
    }

    #[test]
    fn a_moved_text_keeps_its_point_and_equal_texts_have_their_own() {
        let before = plan(&["a", "b", "same", "same"], None);
        let after = plan(&["same", "b", "a", "same"], Some(&before));
        let ids = |manifest: &Manifest| {
            let mut ids = manifest.point_ids();
            ids.sort();
            ids.dedup();
            ids
        };
        assert_eq!((ids(&before), ids(&before).len()), (ids(&after), 4));
    }

    proptest! {
        #[test]
        fn ranks_grow_strictly_whatever_was_there(
            old in prop::collection::vec(
                prop::option::of(prop_oneof![0i64..9, any::<i64>(), Just(i64::MAX), Just(i64::MIN)]),
                0..30,
            )
        ) {
            let new = ranks(&old);
            prop_assert_eq!(new.len(), old.len());
            prop_assert!(new.windows(2).all(|pair| pair[0] < pair[1]));
        }

        #[test]
        fn a_growing_sequence_is_kept_whole(mut old in prop::collection::vec(any::<i64>(), 0..30)) {
            old.sort_unstable();
            old.dedup();
            let known: Vec<_> = old.iter().copied().map(Some).collect();
            prop_assert_eq!(ranks(&known), old);
        }
    }
}
