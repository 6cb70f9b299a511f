//! What is set aside, and what the checker asks of it.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use crate::change::{Change, DocumentKey, Version};
use crate::queue::Parked;

/// Parked messages in the order of their ids, each with the change that it was, if it was one.
#[derive(Debug, Default)]
pub(in crate::simulate) struct Shelf(BTreeMap<Uuid, (Parked, Option<Change>)>);

impl Shelf {
    pub(super) fn put(&mut self, parked: Parked, change: Option<Change>) {
        self.0.insert(parked.id, (parked, change));
    }

    pub(super) fn remove(&mut self, id: Uuid) {
        self.0.remove(&id);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Parked> {
        self.0.values().map(|(parked, _)| parked)
    }

    /// The changes that they were.
    pub(super) fn bodies(&self) -> impl Iterator<Item = &Change> {
        self.0.values().filter_map(|(_, change)| change.as_ref())
    }

    /// The documents of all that name one.
    pub(in crate::simulate) fn keys(&self) -> HashSet<DocumentKey> {
        self.all().filter_map(|parked| parked.key.clone()).collect()
    }

    /// The types of those.
    pub(in crate::simulate) fn kinds(&self) -> HashSet<String> {
        let keys = self.all().filter_map(|parked| parked.key.as_ref());
        keys.map(|key| key.kind.clone()).collect()
    }

    /// Whether a change of the key is here that is at or below the version.
    pub(in crate::simulate) fn holds(&self, key: &DocumentKey, version: Version) -> bool {
        self.all()
            .filter(|parked| parked.key.as_ref() == Some(key))
            .any(|parked| parked.version <= version)
    }

    /// The documents of those that can be read again.
    pub(in crate::simulate) fn retriable(&self) -> impl Iterator<Item = &DocumentKey> {
        self.all()
            .filter(|parked| parked.version.is_some())
            .filter_map(|parked| parked.key.as_ref())
    }

    /// Changes without a version.
    pub(in crate::simulate) fn strays(&self) -> impl Iterator<Item = &Change> {
        let all = self.0.values();
        all.filter_map(|(parked, change)| change.as_ref().filter(|_| !parked.version.is_some()))
    }

    /// Takes those out, but the ones that would be parked again.
    pub(super) fn take_strays(&mut self, is_poison: impl Fn(&Change) -> bool) -> Vec<Change> {
        let mut strays = Vec::new();
        self.0.retain(|_, (parked, change)| {
            let stray = change.take_if(|change| !parked.version.is_some() && !is_poison(change));
            let keep = stray.is_none();
            strays.extend(stray);
            keep
        });
        strays
    }
}
