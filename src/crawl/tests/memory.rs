//! A source in memory that counts what is written; the crawl needs no change log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::change::{DocumentKey, Position, Time};
use crate::document::{Document, Fields, crawl_roots, kind};
use crate::logbook::{Logbook, Page, Pages, Run, Runs};
use crate::source::{Event, Reading, Source, Watch};
use crate::{Error, Result};

/// Documents that one read answers at most: the rest is for the next call.
const READ_MAX: usize = 2;

#[derive(Default)]
pub(super) struct Memory {
    documents: Mutex<BTreeMap<DocumentKey, Fields>>,
    writes: AtomicUsize,
    refuses: AtomicBool,
    silent: AtomicBool,
    unheard: AtomicUsize,
    pages: Mutex<BTreeMap<String, Page>>,
    runs: Mutex<BTreeMap<String, Run>>,
    claims: Mutex<BTreeMap<String, (String, u64)>>,
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

    /// As if pages had never been remembered.
    pub(super) fn forget_pages(&self) {
        self.pages.lock().unwrap().clear();
    }

    /// As if crawls had never been recorded.
    pub(super) fn forget_runs(&self) {
        self.runs.lock().unwrap().clear();
    }

    /// Saves fail from now on, or do so no more.
    pub(super) fn refuse_saves(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Questions for runs have no answer from now on, or have one again.
    pub(super) fn silence(&self, is_silent: bool) {
        self.silent.store(is_silent, Ordering::Relaxed);
    }

    /// How many questions had no answer.
    pub(super) fn unheard(&self) -> usize {
        self.unheard.load(Ordering::Relaxed)
    }

    /// How many documents were written or deleted since the last call. A delete of nothing counts as one, since it
    /// is synced, too.
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
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Error::Stopped { part: "the source" });
        }
        self.writes.fetch_add(documents.len(), Ordering::Relaxed);
        let mut stored = self.documents.lock().unwrap();
        stored.extend(
            documents
                .into_iter()
                .map(|document| (document.key, document.fields)),
        );
        Ok(())
    }

    async fn amend(&self, fields: Vec<Document>) -> Result<()> {
        self.writes.fetch_add(fields.len(), Ordering::Relaxed);
        let mut stored = self.documents.lock().unwrap();
        for given in fields {
            if let Some(there) = stored.get_mut(&given.key) {
                there.extend(given.fields);
            }
        }
        Ok(())
    }

    async fn delete(&self, keys: Vec<DocumentKey>) -> Result<usize> {
        let mut stored = self.documents.lock().unwrap();
        let gone = keys.iter().filter_map(|key| stored.remove(key)).count();
        self.writes.fetch_add(gone.max(1), Ordering::Relaxed);
        Ok(gone)
    }

    async fn read(&self, keys: Vec<DocumentKey>) -> Result<Reading<Vec<Option<Fields>>>> {
        let stored = self.documents.lock().unwrap();
        let keys = keys.iter().take(READ_MAX);
        Ok(reading(keys.map(|key| stored.get(key).cloned()).collect()))
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

impl Logbook for Memory {
    async fn pages(&self, which: Pages, limit: usize) -> Result<Vec<Page>> {
        let pages = self.pages.lock().unwrap();
        let pages = pages.values().filter(|page| match &which {
            Pages::Of(link) => page.link == *link,
            Pages::Making(key) => page.document.as_ref() == Some(key),
            Pages::Under(root, after) => {
                page.root == *root && after.as_ref().is_none_or(|after| page.link > *after)
            }
            Pages::After(after) => after.as_ref().is_none_or(|after| page.link > *after),
        });
        Ok(pages.take(limit).cloned().collect())
    }

    async fn save_pages(&self, pages: Vec<Page>) -> Result<()> {
        let pages = pages.into_iter().map(|page| (page.link.clone(), page));
        self.pages.lock().unwrap().extend(pages);
        Ok(())
    }

    async fn runs(&self, which: Runs, limit: usize) -> Result<Vec<Run>> {
        if self.silent.load(Ordering::Relaxed) {
            self.unheard.fetch_add(1, Ordering::Relaxed);
            return Err(Error::unavailable("the source", "answer")("it is silent"));
        }
        let runs = self.runs.lock().unwrap();
        let runs = runs.values().filter(|run| match &which {
            Runs::Of(link) => run.link == *link,
            Runs::After(after) => after.as_ref().is_none_or(|after| run.link > *after),
        });
        Ok(runs.take(limit).cloned().collect())
    }

    async fn save_run(&self, run: Run) -> Result<()> {
        self.runs.lock().unwrap().insert(run.link.clone(), run);
        Ok(())
    }

    async fn rooted(&self, kind: &str, roots: &[String]) -> Result<Vec<DocumentKey>> {
        let documents = self.everything().into_iter();
        let rooted = documents.filter(|document| {
            let mut found = crawl_roots(&document.fields);
            document.key.kind == kind && found.any(|one| roots.iter().any(|root| root == one))
        });
        Ok(rooted.map(|document| document.key).collect())
    }

    async fn claim(&self, link: &str, owner: &str, (now, until): (u64, u64)) -> Result<bool> {
        let mut claims = self.claims.lock().unwrap();
        let held = claims.get(link);
        if held.is_some_and(|(holder, until)| holder != owner && *until > now) {
            return Ok(false);
        }
        claims.insert(link.to_owned(), (owner.to_owned(), until));
        Ok(true)
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
