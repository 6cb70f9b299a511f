//! What each document was, from version to version.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::change::{DocumentKey, PointId, Version};
use crate::document::Fields;
use crate::feature::embed::Embedder;
use crate::feature::plan::point_ids;
use crate::feature::prepare::{Limits, Prepared, prepare};
use crate::simulate::source::{Logged, version};
use crate::simulate::{EmbedModel, SourceModel};
use crate::source::Body;
use crate::vector::Manifest;

/// Everything that was committed, and what of it may be embedded.
pub(super) struct Past {
    pub(super) embedder: Arc<EmbedModel>,
    pub(super) looks_up: bool,
    pub(super) history: BTreeMap<DocumentKey, Vec<State>>,
    logged: usize,
    pub(super) allowed: Allowed,
}

/// How often each text became new in a document, and so may be embedded.
#[derive(Default)]
pub(super) struct Allowed(HashMap<String, u64>);

/// A document from some version on.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) version: Version,
    /// The version names a whole type: what it voids may be there again at the same moment.
    pub(super) floor: bool,
    pub(super) content: Content,
    /// As the source had it.
    pub(super) fields: Option<Fields>,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Gone,
    Poison,
    Text {
        ids: Vec<PointId>,
        prepared: Prepared,
    },
}

impl Past {
    pub(super) fn new(embedder: Arc<EmbedModel>, looks_up: bool) -> Self {
        Self {
            embedder,
            looks_up,
            history: BTreeMap::new(),
            logged: 0,
            allowed: Allowed::default(),
        }
    }

    pub(super) fn content(&self, key: &DocumentKey, fields: Option<&Fields>) -> Content {
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
                            fields: fields.clone(),
                        },
                    );
                }
                Body::Dropped { kind } | Body::Replaced { kind } => {
                    let known = self.history.keys().chain(state.documents.keys());
                    let mut keys: Vec<_> = known.filter(|key| key.kind == *kind).cloned().collect();
                    keys.sort();
                    keys.dedup();
                    for key in keys {
                        let fields = state.documents.get(&key).cloned();
                        let content = self.content(&key, fields.as_ref());
                        self.remember(
                            key,
                            State {
                                version: at,
                                floor: true,
                                content,
                                fields,
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
        let before = states.last().filter(|_| !state.floor);
        let before = before.map(|before| &before.content);
        self.allowed.add(before, &state.content);
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

    /// The states that a reading at this version may have seen.
    pub(super) fn states(
        &self,
        key: &DocumentKey,
        version: Version,
    ) -> impl Iterator<Item = &State> {
        let states = self.history.get(key).map(Vec::as_slice).unwrap_or_default();
        let before = states.partition_point(|state| state.version <= version);
        let until = if self.looks_up { states.len() } else { before };
        states
            .get(before.saturating_sub(1)..until)
            .unwrap_or_default()
            .iter()
    }

    pub(super) fn is_true(&self, manifest: &Manifest) -> Result<(), String> {
        let fits = |state: &State| match &state.content {
            Content::Text { ids, prepared } => {
                *ids == manifest.point_ids() && prepared.metadata == manifest.metadata
            }
            Content::Gone | Content::Poison => false,
        };
        if self.states(&manifest.key, manifest.stamp.version).any(fits) {
            return Ok(());
        }
        Err(format!(
            "{} at {} holds what it never was",
            manifest.key, manifest.stamp.version
        ))
    }

    /// A tombstone is true when the document was gone at its version. One that a floor made may be
    /// early: the document was deleted between the start of the snapshot and its page.
    pub(super) fn is_gone(&self, grave: &Manifest) -> Result<(), String> {
        let states = self
            .history
            .get(&grave.key)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let before = states.partition_point(|state| state.version <= grave.stamp.version);
        let by_floor = grave.stamp.version.order == Version::ORDER_READ - 1;
        let until = if by_floor { states.len() } else { before };
        let mut seen = states
            .get(before.saturating_sub(1)..until)
            .unwrap_or_default()
            .iter();
        let gone = |state: &State| {
            matches!(state.content, Content::Gone)
                || (state.floor && state.version == grave.stamp.version)
        };
        if before == 0 || seen.any(gone) {
            return Ok(());
        }
        Err(format!(
            "{} is buried at {}, but it was there",
            grave.key, grave.stamp.version
        ))
    }
}

impl Allowed {
    /// Counts what is new in a content.
    pub(super) fn add(&mut self, before: Option<&Content>, content: &Content) {
        let Content::Text { ids, prepared } = content else {
            return;
        };
        let before = match before {
            Some(Content::Text { ids, .. }) => ids.as_slice(),
            _ => &[],
        };
        for (id, text) in ids.iter().zip(&prepared.chunks) {
            if !before.contains(id) {
                *self.0.entry(text.clone()).or_default() += 1;
            }
        }
    }

    pub(super) fn of(&self, text: &str) -> u64 {
        self.0.get(text).copied().unwrap_or(0)
    }
}
