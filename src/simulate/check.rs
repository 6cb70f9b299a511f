//! The promises, checked after every step and at rest.

mod fresh;
mod past;
mod rest;
mod search;
mod stray;
mod switch;
mod told;

use std::collections::BTreeMap;

use super::source::{index, version};
use super::{EditionsModel, QueueModel, SourceModel, VectorModel};
use crate::change::{DocumentKey, Operation, Version};
use crate::reindex::Stage;
use crate::source::Body;
use crate::vector::Manifest;
use past::{Content, Past};

/// What is known of the past, and what was seen last.
pub(super) struct Checker {
    past: Past,
    /// The last manifest seen of each key in each edition: its version, and whether it was a
    /// tombstone.
    last: BTreeMap<u32, BTreeMap<DocumentKey, (Version, bool)>>,
    /// The edition that was searched when it was looked last.
    searched: (u32, VectorModel),
    /// Events before this place are known to be published, or lie before a snapshot.
    carried: usize,
    /// What producers without versions sent for each key, in order.
    strays: BTreeMap<DocumentKey, Vec<Content>>,
    /// One worker does everything: what arrives last is stored last.
    lone: bool,
    /// The writes of each edition that were looked at.
    seen: BTreeMap<u32, u64>,
    /// A bug: the search does not ask which points a manifest names.
    pub(super) careless_search: bool,
    /// The settled watermark that was seen last.
    settled: Option<Version>,
    /// Tombstones that were collected from editions which are searched no more.
    buried: BTreeMap<DocumentKey, Version>,
}

impl Checker {
    pub(super) fn new(editions: &EditionsModel, looks_up: bool, lone: bool) -> Self {
        let embedder = editions.embedder(1);
        let embedder = embedder.expect("the first edition should be open: nothing happened yet");
        Self {
            past: Past::new(embedder, looks_up),
            last: BTreeMap::new(),
            searched: editions.current(),
            carried: 0,
            strays: BTreeMap::new(),
            lone,
            seen: BTreeMap::new(),
            careless_search: false,
            settled: None,
            buried: BTreeMap::new(),
        }
    }

    /// Takes in what was just committed.
    pub(super) fn committed(&mut self, source: &SourceModel) {
        self.past.committed(source);
    }

    /// Documents whose current content cannot be prepared.
    pub(super) fn poisoned(&self, source: &SourceModel) -> Vec<DocumentKey> {
        self.past.poisoned(source)
    }

    /// What holds after every step.
    pub(super) fn step(
        &mut self,
        source: &SourceModel,
        queue: &QueueModel,
        editions: &EditionsModel,
    ) -> Result<(), String> {
        let standing = editions_of(editions);
        for (number, store) in &standing {
            let writes = store.state().writes;
            if self.seen.insert(*number, writes) != Some(writes) {
                self.nothing_stale(*number, store)?;
            }
        }
        self.nothing_untrue(queue)?;
        let written = written_to(editions);
        for (number, store) in &standing {
            if !written.iter().any(|written| written.number == *number) {
                // What it forgot before it was said to be written to does not count.
                store.state().collections.clear();
            }
        }
        Self::nothing_forgotten(queue, &written)?;
        Self::nothing_unstored(queue, &written)?;
        self.nothing_lost_at_the_switch(queue, editions)?;
        self.nothing_claimed(queue, &editions.current().1)?;
        self.nothing_lost(source, queue)
    }

    /// Versions never go back; content belongs to its version; named points are there.
    fn nothing_stale(&mut self, number: u32, store: &VectorModel) -> Result<(), String> {
        let state = store.state();
        for (key, manifest) in &state.manifests {
            let last = self
                .last
                .entry(number)
                .or_default()
                .insert(key.clone(), (manifest.stamp.version, manifest.deleted));
            let collected = state.collected.get(key);
            if let Some((last, _)) = last
                && manifest.stamp.version < last
                && !(is_stray(manifest) && collected.is_some_and(|collected| *collected >= last))
            {
                return Err(format!(
                    "{key} went back from {last} to {}",
                    manifest.stamp.version
                ));
            }
            let void = state.control.voids(&key.kind, manifest.stamp.version);
            if is_stray(manifest) {
                self.was_sent(manifest)?;
            } else if manifest.deleted {
                self.past.is_gone(manifest)?;
            } else if !void {
                self.past.is_true(manifest)?;
            }
            if let Some(id) = manifest
                .point_ids()
                .iter()
                .find(|id| !state.points.contains_key(id))
                && !void
            {
                return Err(format!(
                    "{key} at {} names {id}, which is not there",
                    manifest.stamp.version
                ));
            }
        }
        for (key, (version, deleted)) in self.last.get(&number).into_iter().flatten() {
            let collected = state
                .collected
                .get(key)
                .is_some_and(|collected| collected >= version);
            if !deleted && !collected && !state.manifests.contains_key(key) {
                return Err(format!(
                    "the manifest of {key} at {version} is gone, with no tombstone"
                ));
            }
        }
        Ok(())
    }

    /// A change is settled only when it is stored, or something newer is.
    ///
    /// In a new edition, too, from the moment that it is said to be written to.
    fn nothing_unstored(queue: &QueueModel, written: &[Written]) -> Result<(), String> {
        let mut queue = queue.state();
        let settled = std::mem::take(&mut queue.settled);
        let accepted = &queue.accepted;
        for Written {
            number,
            is_next,
            store,
        } in written
        {
            let state = store.state();
            for (key, version, operation) in &settled {
                let stored = state
                    .highest
                    .get(key)
                    .is_some_and(|highest| highest >= version);
                // A message without a version may be settled with a void change that overtook it.
                let versioned =
                    |(other, version): &(DocumentKey, Version)| other == key && version.is_some();
                let beside = || !version.is_some() && accepted.iter().any(versioned);
                let concerned = *operation != Operation::Fill || *is_next;
                let void = state.control.voids(&key.kind, *version);
                if concerned && !stored && !void && !beside() {
                    return Err(format!(
                        "{key} at {version} is settled, but not stored in edition {number}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// A position is saved only when everything before it was taken in by the queue.
    fn nothing_lost(&mut self, source: &SourceModel, queue: &QueueModel) -> Result<(), String> {
        let state = source.state();
        let Some(checkpoint) = &state.checkpoint else {
            return Ok(());
        };
        let saved = index(&checkpoint.position);
        self.carried = self.carried.max(state.snapshot_from);
        let accepted = &queue.state().accepted;
        for logged in state.log.get(self.carried..saved).unwrap_or_default() {
            let Body::Edit { key, fields, .. } = &logged.body else {
                continue;
            };
            let at = version(logged);
            let looked_up_late = self.past.looks_up && fields.is_some();
            if !looked_up_late && !accepted.contains(&(key.clone(), at)) {
                return Err(format!(
                    "the position passed {key} at {at}, which nobody has"
                ));
            }
        }
        self.carried = self.carried.max(saved);
        Ok(())
    }
}

fn is_stray(manifest: &Manifest) -> bool {
    !manifest.stamp.version.is_some()
}

/// The edition that is searched, and the one that is being filled.
fn editions_of(editions: &EditionsModel) -> Vec<(u32, VectorModel)> {
    let needed = editions.register().needed().into_iter();
    needed
        .filter_map(|number| Some((number, editions.store(number)?)))
        .collect()
}

/// An edition in which everything that is settled must be.
struct Written {
    number: u32,
    is_next: bool,
    store: VectorModel,
}

fn written_to(editions: &EditionsModel) -> Vec<Written> {
    let register = editions.register();
    let next = register.next.filter(|next| next.stage >= Stage::Dual);
    let next = next.map(|next| (next.edition.number, true));
    next.into_iter()
        .chain([(register.current.number, false)])
        .filter_map(|(number, is_next)| {
            let store = editions.store(number)?;
            Some(Written {
                number,
                is_next,
                store,
            })
        })
        .collect()
}
