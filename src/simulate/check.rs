//! The promises, checked after every step and at rest.

mod rest;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::source::{Logged, index, version};
use super::{EmbedModel, QueueModel, SourceModel, VectorModel};
use crate::change::{DocumentKey, PointId, Version};
use crate::document::Fields;
use crate::feature::embed::Embedder;
use crate::feature::plan::point_ids;
use crate::feature::prepare::{Limits, Prepared, prepare};
use crate::search::shown;
use crate::source::Body;
use crate::vector::{Manifest, Near, Point};

/// What is known of the past.
pub(super) struct Checker {
    embedder: Arc<EmbedModel>,
    looks_up: bool,
    history: BTreeMap<DocumentKey, Vec<State>>,
    logged: usize,
    /// How often each text became new in a document.
    allowed: HashMap<String, u64>,
    /// The last manifest seen of each key: its version, and whether it was a tombstone.
    last: BTreeMap<DocumentKey, (Version, bool)>,
    /// Events before this place are known to be published, or lie before a snapshot.
    carried: usize,
}

/// A document from some version on.
#[derive(Debug, Clone)]
struct State {
    version: Version,
    /// The version names a whole type: what it voids may be there again at the same moment.
    floor: bool,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Gone,
    Poison,
    Text {
        ids: Vec<PointId>,
        prepared: Prepared,
    },
}

impl Checker {
    pub(super) fn new(embedder: Arc<EmbedModel>, looks_up: bool) -> Self {
        Self {
            embedder,
            looks_up,
            history: BTreeMap::new(),
            logged: 0,
            allowed: HashMap::new(),
            last: BTreeMap::new(),
            carried: 0,
        }
    }

    fn content(&self, key: &DocumentKey, fields: Option<&Fields>) -> Content {
        let Some(fields) = fields else {
            return Content::Gone;
        };
        let limits = Limits::of_model(self.embedder.model());
        match prepare(&key.kind, fields, &limits, &|text: &str| {
            self.embedder.token_count(text)
        }) {
            Ok(prepared) => Content::Text {
                ids: point_ids(key, &prepared.chunks),
                prepared,
            },
            Err(_) => Content::Poison,
        }
    }

    /// Takes in what was just committed.
    pub(super) fn committed(&mut self, source: &SourceModel) {
        let state = source.state();
        let new: Vec<Logged> = state.log.get(self.logged..).unwrap_or_default().to_vec();
        self.logged = state.log.len();
        for logged in new {
            let at = version(&logged);
            match &logged.body {
                Body::Edit { key, fields, .. } => {
                    let content = self.content(key, fields.as_ref());
                    self.remember(
                        key.clone(),
                        State {
                            version: at,
                            floor: false,
                            content,
                        },
                    );
                }
                Body::Dropped { kind } | Body::Replaced { kind } => {
                    let known = self.history.keys().chain(state.documents.keys());
                    let mut keys: Vec<_> = known.filter(|key| key.kind == *kind).cloned().collect();
                    keys.sort();
                    keys.dedup();
                    for key in keys {
                        let content = self.content(&key, state.documents.get(&key));
                        self.remember(
                            key,
                            State {
                                version: at,
                                floor: true,
                                content,
                            },
                        );
                    }
                }
                Body::Idle => {}
            }
        }
    }

    fn remember(&mut self, key: DocumentKey, state: State) {
        let states = self.history.entry(key).or_default();
        if let Content::Text { ids, prepared } = &state.content {
            let before = match states.last().map(|state| &state.content) {
                Some(Content::Text { ids, .. }) if !state.floor => ids.as_slice(),
                _ => &[],
            };
            for (id, text) in ids.iter().zip(&prepared.chunks) {
                if !before.contains(id) {
                    *self.allowed.entry(text.clone()).or_default() += 1;
                }
            }
        }
        states.push(state);
    }

    /// Documents whose current content cannot be prepared.
    pub(super) fn poisoned(&self, source: &SourceModel) -> Vec<DocumentKey> {
        let state = source.state();
        let poison =
            |key: &DocumentKey, fields| matches!(self.content(key, Some(fields)), Content::Poison);
        state
            .documents
            .iter()
            .filter(|(key, fields)| poison(key, fields))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// What holds after every step.
    pub(super) fn step(
        &mut self,
        source: &SourceModel,
        queue: &QueueModel,
        store: &VectorModel,
    ) -> Result<(), String> {
        self.nothing_stale(store)?;
        Self::nothing_unstored(queue, store)?;
        self.nothing_lost(source, queue)
    }

    /// Versions never go back; content belongs to its version; named points are there.
    fn nothing_stale(&mut self, store: &VectorModel) -> Result<(), String> {
        let state = store.state();
        for (key, manifest) in &state.manifests {
            let last = self
                .last
                .insert(key.clone(), (manifest.version, manifest.deleted));
            if let Some((last, _)) = last
                && manifest.version < last
            {
                return Err(format!(
                    "{key} went back from {last} to {}",
                    manifest.version
                ));
            }
            let void = state.control.voids(&key.kind, manifest.version);
            if manifest.deleted {
                self.is_gone(manifest)?;
            } else if !void {
                self.is_true(manifest)?;
            }
            if let Some(id) = manifest
                .point_ids()
                .iter()
                .find(|id| !state.points.contains_key(id))
                && !void
            {
                return Err(format!(
                    "{key} at {} names {id}, which is not there",
                    manifest.version
                ));
            }
        }
        for (key, (version, deleted)) in &self.last {
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

    /// The states that a reading at this version may have seen.
    fn states(&self, key: &DocumentKey, version: Version) -> impl Iterator<Item = &State> {
        let states = self.history.get(key).map(Vec::as_slice).unwrap_or_default();
        let before = states.partition_point(|state| state.version <= version);
        let until = if self.looks_up { states.len() } else { before };
        states
            .get(before.saturating_sub(1)..until)
            .unwrap_or_default()
            .iter()
    }

    fn is_true(&self, manifest: &Manifest) -> Result<(), String> {
        let fits = |state: &State| match &state.content {
            Content::Text { ids, prepared } => {
                *ids == manifest.point_ids() && prepared.metadata == manifest.metadata
            }
            Content::Gone | Content::Poison => false,
        };
        if self.states(&manifest.key, manifest.version).any(fits) {
            return Ok(());
        }
        Err(format!(
            "{} at {} holds what it never was",
            manifest.key, manifest.version
        ))
    }

    /// A tombstone is true when the document was gone at its version. One that a floor made may be
    /// early: the document was deleted between the start of the snapshot and its page.
    fn is_gone(&self, grave: &Manifest) -> Result<(), String> {
        let states = self
            .history
            .get(&grave.key)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let before = states.partition_point(|state| state.version <= grave.version);
        let by_floor = grave.version.order == Version::ORDER_READ - 1;
        let until = if by_floor { states.len() } else { before };
        let mut seen = states
            .get(before.saturating_sub(1)..until)
            .unwrap_or_default()
            .iter();
        let gone = |state: &State| {
            matches!(state.content, Content::Gone)
                || (state.floor && state.version == grave.version)
        };
        if before == 0 || seen.any(gone) {
            return Ok(());
        }
        Err(format!(
            "{} is buried at {}, but it was there",
            grave.key, grave.version
        ))
    }

    /// Whatever a search shows belongs to a document as its manifest's version had it.
    pub(super) fn nothing_orphaned(&self, store: &VectorModel) -> Result<(), String> {
        let state = store.state();
        let near = |point: &Point| Near {
            point: point.clone(),
            score: 0.0,
        };
        let manifests = state.manifests.values().cloned().collect();
        for hit in shown(
            state.points.values().map(near).collect(),
            manifests,
            &state.control,
        ) {
            let is_text = |content: &str| {
                self.states(&hit.key, hit.version)
                    .any(|state| match &state.content {
                        Content::Text { prepared, .. } => {
                            prepared.chunks.iter().any(|text| text == content)
                        }
                        Content::Gone | Content::Poison => false,
                    })
            };
            if let Some(passage) = hit
                .passages
                .iter()
                .find(|passage| !is_text(&passage.content))
            {
                return Err(format!(
                    "a search shows {:?} of {}",
                    passage.content, hit.key
                ));
            }
        }
        Ok(())
    }

    /// A change is settled only when it is stored, or something newer is.
    fn nothing_unstored(queue: &QueueModel, store: &VectorModel) -> Result<(), String> {
        let settled = std::mem::take(&mut queue.state().settled);
        let state = store.state();
        for (key, version) in settled {
            let stored = state
                .highest
                .get(&key)
                .is_some_and(|highest| *highest >= version);
            if !stored && !state.control.voids(&key.kind, version) {
                return Err(format!("{key} at {version} is settled, but not stored"));
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
            let looked_up_late = self.looks_up && fields.is_some();
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
