//! Writes what was found, in batches: only what differs, and in the end away with what vanished.

use std::collections::HashSet;

use serde_json::Value;

use super::harvest::{Found, Missed};
use super::{Progress, Report, Skipped, reconcile};
use crate::Result;
use crate::change::DocumentKey;
use crate::document::{Document, Fields, kind};
use crate::logbook::{Logbook, Page};
use crate::source::Source;

/// Documents or pages a save, and the bytes of text at which a batch is closed early.
const BATCH_DOCUMENTS: usize = 32;
const BATCH_BYTES: usize = 8 << 20;
/// Documents a delete of what vanished.
const DELETED_AT_ONCE: usize = 256;

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

    /// A host asked to come again at this time.
    pub(crate) fn later(&mut self, until_ms: u64) {
        self.report.later_ms = self.report.later_ms.max(Some(until_ms));
    }

    /// Writes the rest, deletes what vanished from `root` if it was walked whole, and reports.
    pub(crate) async fn finish(self, root: Option<&str>) -> Result<Report> {
        let roots: Vec<String> = root.map(str::to_owned).into_iter().collect();
        self.finish_all(&roots).await
    }

    /// The same for several roots, of which all or none were walked whole.
    pub(crate) async fn finish_all(mut self, roots: &[String]) -> Result<Report> {
        self.flush().await?;
        if self.complete && !roots.is_empty() {
            for kind in [kind::ARTICLES, kind::POSTS, kind::REPOSITORIES] {
                self.sweep(kind, roots).await?;
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
        let mut found = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        if found.is_empty() {
            return Ok(());
        }
        let keys = found.iter().map(|document| document.key.clone()).collect();
        let stored = self.source.read(keys).await?.found;
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
        Ok(())
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
