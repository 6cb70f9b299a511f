//! Writes what was found, in batches: only what differs, and in the end away with what vanished.

use std::collections::HashSet;

use serde_json::Value;
use url::Url;

use super::harvest::{Found, Missed};
use super::{Progress, Report, Skipped, platform, reconcile};
use crate::Result;
use crate::change::DocumentKey;
use crate::document::{CRAWL_ROOT, Document, Fields, Repository, kind};
use crate::logbook::{Logbook, Page};
use crate::source::{Source, progressed, read_all};

/// Documents or pages a save, and the bytes of text at which a batch is closed early.
const BATCH_DOCUMENTS: usize = 32;
const BATCH_BYTES: usize = 8 << 20;
/// Documents a delete of what vanished.
const DELETED_AT_ONCE: usize = 256;
/// Parts of a repository that are looked for at once behind the last one that was found.
const PARTS_AT_ONCE: usize = 32;
/// The types that crawls bring.
const KINDS: [&str; 3] = [kind::ARTICLES, kind::POSTS, kind::REPOSITORIES];

/// Brings one source up to date with one harvest.
pub(crate) struct Writer<'a, S, P> {
    source: &'a S,
    progress: &'a P,
    pending: Vec<Document>,
    pending_bytes: usize,
    /// What is to be remembered of the pages of what is pending.
    pages: Vec<Page>,
    /// In whose place something pending is.
    replaced: Vec<DocumentKey>,
    present: HashSet<DocumentKey>,
    done: usize,
    complete: bool,
    keep_root: bool,
    report: Report,
}

impl<'a, S: Source + Logbook, P: Progress> Writer<'a, S, P> {
    pub(crate) fn new(source: &'a S, progress: &'a P) -> Self {
        Self {
            source,
            progress,
            pending: Vec::new(),
            pending_bytes: 0,
            pages: Vec::new(),
            replaced: Vec::new(),
            present: HashSet::new(),
            done: 0,
            complete: true,
            keep_root: false,
            report: Report::default(),
        }
    }

    /// From here on a document that is stored already keeps the roots that are stored with it.
    pub(crate) fn keep_root(&mut self) {
        self.keep_root = true;
    }

    /// Takes one thing that a reader came by.
    pub(crate) async fn take(&mut self, found: Found) -> Result<()> {
        match found {
            Found::Total(things) => self.progress.total(things),
            Found::Document(document) => {
                self.add(document).await?;
                self.count();
            }
            Found::Partial(document, skipped) => {
                self.add(document).await?;
                self.skip(skipped);
                self.count();
            }
            Found::Missed(Missed { skipped, key }) | Found::Fed(Missed { skipped, key }) => {
                self.present.extend(key);
                self.skip(skipped);
                self.count();
            }
            Found::Same(key) => {
                self.report.unchanged += 1;
                self.report.keys.push(key.clone());
                self.present.insert(key);
                self.count();
            }
            Found::Gone(key) => {
                self.report.deleted += self.source.delete(vec![key]).await?;
                self.count();
            }
            Found::InPlaceOf(found, keys) => {
                self.replaced.extend(keys);
                Box::pin(self.take(*found)).await?;
            }
            Found::Visited(found, page) => {
                self.pages.push(*page);
                Box::pin(self.take(*found)).await?;
                // Of many pages that did not change, or are missing, no document makes a batch.
                if self.pages.len() >= BATCH_DOCUMENTS {
                    self.flush().await?;
                }
            }
            Found::Unseen(skipped) => {
                self.complete = false;
                self.skip(skipped);
            }
        }
        Ok(())
    }

    /// Counts something of many that could not be read at all.
    pub(crate) fn miss(&mut self, skipped: Skipped) {
        self.skip(skipped);
        self.count();
    }

    /// Takes a document.
    pub(crate) async fn add(&mut self, document: Document) -> Result<()> {
        if document.key.kind != kind::USERS {
            self.report.keys.push(document.key.clone());
        }
        self.present.insert(document.key.clone());
        self.pending_bytes += text_bytes(&document.fields);
        self.pending.push(document);
        if self.pending.len() >= BATCH_DOCUMENTS || self.pending_bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// The key of a found document, where another one is to be stored under it with this batch.
    pub(crate) fn pending(&self, found: &Found) -> Option<DocumentKey> {
        let (Found::Document(found) | Found::Partial(found, _)) = found else {
            return None;
        };
        let mut pending = self.pending.iter().map(|document| &document.key);
        pending.find(|key| **key == found.key).cloned()
    }

    /// A host asked to come again at this time.
    pub(crate) fn later(&mut self, until_ms: u64) {
        self.report.later_ms = self.report.later_ms.max(Some(until_ms));
    }

    /// Writes the rest and reports; nothing is taken for vanished.
    pub(crate) async fn finish(mut self) -> Result<Report> {
        self.flush().await?;
        Ok(self.report)
    }

    /// Writes the rest, deletes what of these types vanished from the roots, if all of them were walked whole, and
    /// reports.
    pub(crate) async fn finish_walk(mut self, roots: &[String], kinds: &[&str]) -> Result<Report> {
        self.flush().await?;
        if self.complete && !roots.is_empty() {
            for kind in kinds {
                self.sweep(kind, roots).await?;
            }
        }
        Ok(self.report)
    }

    /// The same for the links that were asked for, which are this type from now on: what they brought when they
    /// were read as another goes, too.
    pub(crate) async fn finish_as(mut self, roots: &[String], read: &str) -> Result<Report> {
        self.flush().await?;
        if self.complete && !roots.is_empty() {
            for kind in KINDS {
                if kind == read {
                    self.sweep(kind, roots).await?;
                } else {
                    self.let_go(kind, roots).await?;
                }
            }
        }
        Ok(self.report)
    }

    /// Stores what is pending, deletes what that is in the place of, and only then stores what is remembered
    /// of its pages: after a crash in between they are read once more.
    async fn flush(&mut self) -> Result<()> {
        self.store().await?;
        let mut replaced = std::mem::take(&mut self.replaced);
        replaced.retain(|key| !self.present.contains(key));
        if !replaced.is_empty() {
            self.report.deleted += self.source.delete(replaced).await?;
        }
        let pages = std::mem::take(&mut self.pages);
        if pages.is_empty() {
            return Ok(());
        }
        self.source.save_pages(pages).await
    }

    async fn store(&mut self) -> Result<()> {
        let mut found = last_of_each(std::mem::take(&mut self.pending));
        self.pending_bytes = 0;
        if found.is_empty() {
            return Ok(());
        }
        let keys = found.iter().map(|document| document.key.clone()).collect();
        let stored = read_all(self.source, keys).await?;
        let mut at = stored.iter().map(Option::as_ref);
        let before = found.len();
        found.retain_mut(|document| {
            let stored = at.next().flatten();
            if self.keep_root {
                reconcile::keep_roots(stored, document);
            } else {
                reconcile::join_roots(stored, document);
            }
            let differs = reconcile::differs(stored, document);
            if document.key.kind != kind::USERS {
                self.report.saved += usize::from(differs);
                self.report.unchanged += usize::from(!differs);
            }
            differs
        });
        tracing::debug!(found = before, differing = found.len(), "wrote a batch");
        if found.is_empty() {
            Ok(())
        } else {
            self.source.save(found).await
        }
    }

    /// Deletes what was found under one of the roots once and is there no more: only a walk that was complete may ask, since
    /// what was not looked at has not vanished.
    async fn sweep(&mut self, kind: &str, roots: &[String]) -> Result<()> {
        let mut vanished = self.source.rooted(kind, roots).await?;
        vanished.retain(|key| !self.present.contains(key));
        for keys in vanished.chunks(DELETED_AT_ONCE) {
            self.report.deleted += self.source.delete(keys.to_vec()).await?;
        }
        if kind == kind::REPOSITORIES {
            for root in roots {
                if !is_spelling(root, roots) {
                    self.cut(root).await?;
                }
            }
        }
        Ok(())
    }

    /// Deletes the parts of a repository that were not found, whatever root they have: earlier versions stored them
    /// under the spelling of the link that was asked for, and their numbers are one for all spellings.
    async fn cut(&mut self, identity: &str) -> Result<()> {
        for first in (0..).step_by(PARTS_AT_ONCE) {
            let parts = (first..first + PARTS_AT_ONCE).map(|part| Repository::key(identity, part));
            let mut left: Vec<_> = parts.filter(|key| !self.present.contains(key)).collect();
            let is_behind = left.len() == PARTS_AT_ONCE;
            // A delete is synced though nothing is there, and after most crawls nothing is.
            let mut stored = Vec::new();
            while !left.is_empty() {
                let read = self.read_next(&mut left).await?;
                stored.extend(read.into_iter().map(|(key, _)| key));
            }
            if !stored.is_empty() {
                self.report.deleted += self.source.delete(stored).await?;
            } else if is_behind {
                break;
            }
        }
        Ok(())
    }

    /// Lets go of documents of a type that was not looked for: no walk told that they vanished, so that those which
    /// another crawl found are its own from now on. The others are deleted.
    async fn let_go(&mut self, kind: &str, roots: &[String]) -> Result<()> {
        let mut left = self.source.rooted(kind, roots).await?;
        left.retain(|key| !self.present.contains(key));
        while !left.is_empty() {
            let (mut own, mut shared) = (Vec::new(), Vec::new());
            for (key, fields) in self.read_next(&mut left).await? {
                match reconcile::without_roots(&fields, roots) {
                    None => own.push(key),
                    Some(roots) => {
                        let fields = Fields::from_iter([(CRAWL_ROOT.to_owned(), roots)]);
                        shared.push(Document { key, fields });
                    }
                }
            }
            if !own.is_empty() {
                self.report.deleted += self.source.delete(own).await?;
            }
            if !shared.is_empty() {
                self.source.amend(shared).await?;
            }
        }
        Ok(())
    }

    /// Takes the next keys off and reads what is stored under them: no more than one answer holds, as each document
    /// may be as large as a source allows.
    async fn read_next(&self, keys: &mut Vec<DocumentKey>) -> Result<Vec<(DocumentKey, Fields)>> {
        let asked = keys.iter().take(BATCH_DOCUMENTS).cloned().collect();
        let stored = self.source.read(asked).await?.found;
        progressed(keys.len(), stored.len())?;
        let read = keys.drain(..stored.len().min(keys.len()));
        let there = read
            .zip(stored)
            .filter_map(|(key, fields)| Some((key, fields?)));
        Ok(there.collect())
    }

    fn skip(&mut self, skipped: Skipped) {
        self.progress.skipped(&skipped);
        self.report.skipped.push(skipped);
    }

    fn count(&mut self) {
        self.done += 1;
        self.progress.done(self.done);
    }
}

/// Whether a root is only how the link of another one of them was spelled.
fn is_spelling(root: &str, roots: &[String]) -> bool {
    let identity = Url::parse(root).map(|url| platform::repository_identity(&url));
    identity.is_ok_and(|identity| identity != root && roots.contains(&identity))
}

/// What several pages or rows of one batch make is what the last of them says: were all compared with what is stored,
/// which of them is written would change from crawl to crawl. Of several batches each is compared with what the one
/// before stored.
fn last_of_each(mut found: Vec<Document>) -> Vec<Document> {
    let mut known = HashSet::new();
    found.reverse();
    found.retain(|document| known.insert(document.key.clone()));
    found.reverse();
    found
}

/// The bytes of text in fields, nested ones included: what a batch's size is made of.
fn text_bytes(fields: &Fields) -> usize {
    fields
        .iter()
        .map(|(name, value)| name.len() + bytes(value))
        .sum()
}

fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes).sum(),
        Value::Object(fields) => text_bytes(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}
