//! A source in memory that counts what is written; the crawl needs no change log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Result;
use crate::change::{DocumentKey, Position, Time};
use crate::document::{Document, Fields, kind};
use crate::source::{Event, Reading, Source, Watch};

#[derive(Default)]
pub(super) struct Memory {
    documents: Mutex<BTreeMap<DocumentKey, Fields>>,
    writes: AtomicUsize,
}

impl Memory {
    /// The stored documents but the people, in the order of keys.
    pub(super) fn documents(&self) -> Vec<Document> {
        let mut documents = self.everything();
        documents.retain(|document| document.key.kind != kind::USERS);
        documents
    }

    /// Every stored document, in the order of keys.
    pub(super) fn everything(&self) -> Vec<Document> {
        let documents = self.documents.lock().unwrap();
        documents
            .iter()
            .map(|(key, fields)| Document {
                key: key.clone(),
                fields: fields.clone(),
            })
            .collect()
    }

    /// How many documents were written or deleted since the last call.
    pub(super) fn writes(&self) -> usize {
        self.writes.swap(0, Ordering::Relaxed)
    }
}

fn reading<T>(found: T) -> Reading<T> {
    Reading {
        time: Time::from_sequence(0),
        read_ms: 0,
        found,
    }
}

impl Source for Memory {
    type Watch = Silence;

    async fn save(&self, documents: Vec<Document>) -> Result<()> {
        self.writes.fetch_add(documents.len(), Ordering::Relaxed);
        let mut stored = self.documents.lock().unwrap();
        stored.extend(
            documents
                .into_iter()
                .map(|document| (document.key, document.fields)),
        );
        Ok(())
    }

    async fn delete(&self, keys: Vec<DocumentKey>) -> Result<usize> {
        let mut stored = self.documents.lock().unwrap();
        let gone = keys.iter().filter_map(|key| stored.remove(key)).count();
        self.writes.fetch_add(gone, Ordering::Relaxed);
        Ok(gone)
    }

    async fn read(&self, keys: Vec<DocumentKey>) -> Result<Reading<Vec<Option<Fields>>>> {
        let stored = self.documents.lock().unwrap();
        Ok(reading(
            keys.iter().map(|key| stored.get(key).cloned()).collect(),
        ))
    }

    async fn page(
        &self,
        kind: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Reading<Vec<Document>>> {
        let documents = self.everything();
        let page = documents.into_iter().filter(|document| {
            document.key.kind == kind && after.as_ref().is_none_or(|after| document.key.id > *after)
        });
        Ok(reading(page.take(limit).collect()))
    }

    async fn kinds(&self) -> Result<Vec<String>> {
        let kinds = self.everything().into_iter();
        let kinds: BTreeSet<_> = kinds.map(|document| document.key.kind).collect();
        Ok(kinds.into_iter().collect())
    }

    async fn watch(&self, _: Option<Position>) -> Result<Silence> {
        Ok(Silence)
    }
}

/// A change log in which nothing ever happens.
pub(super) struct Silence;

impl Watch for Silence {
    fn here(&self) -> (Position, Time) {
        (Position(Vec::new()), Time::from_sequence(0))
    }

    async fn next(&mut self, _: usize) -> Result<Vec<Event>> {
        std::future::pending().await
    }
}
