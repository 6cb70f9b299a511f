//! What may be found of each document from when on. No IO.
//!
//! ```text
//! write, done at T ──> from T on, each paragraph in this revision or a later one
//! manifest or floor at S ──> what was done up to S is settled: nothing older is found
//! ```

use std::collections::HashMap;

use lockstep::change::{DocumentKey, Time};

use crate::support::edited::{PARAGRAPHS, Revision, marks, text};

/// The collections, each with every second document.
pub(super) const KINDS: [&str; 2] = ["articles", "posts"];

/// The least revision of each paragraph.
type Oldest = [Revision; PARAGRAPHS];

/// All that was done.
#[derive(Debug, Default)]
pub(crate) struct Book {
    done: HashMap<usize, Vec<Done>>,
    /// The documents that were written last.
    latest: Vec<usize>,
    last: Time,
}

#[derive(Debug)]
struct Done {
    time: Time,
    oldest: Oldest,
    is_delete: bool,
}

impl Book {
    /// A document was written: the source's clock says when.
    pub(super) fn done(&mut self, document: usize, time: Time, oldest: Oldest, is_delete: bool) {
        self.last = self.last.max(time);
        self.done.entry(document).or_default().push(Done {
            time,
            oldest,
            is_delete,
        });
        self.latest.push(document);
    }

    /// When the last write was done.
    pub(crate) fn last(&self) -> Time {
        self.last
    }

    /// The documents written last, newest first.
    pub(super) fn latest(&self, count: usize) -> Vec<usize> {
        let mut latest: Vec<_> = self.latest.iter().rev().take(count).copied().collect();
        latest.sort_unstable();
        latest.dedup();
        latest
    }

    /// A text that is gone, where something of the document is, and whether all of it is.
    pub(super) fn gone(&self, document: usize, settled: Time) -> Option<(String, bool)> {
        let done = self.settled(document, settled)?;
        let paragraph = done.oldest.iter().position(|oldest| *oldest > 1)?;
        let gone = text((document, paragraph), done.oldest[paragraph] - 1);
        Some((gone, done.is_delete))
    }

    /// Fails where a text tells a revision that is gone since what is settled.
    pub(super) fn check(&self, document: usize, settled: Time, found: &str) {
        let Some(done) = self.settled(document, settled) else {
            return;
        };
        for ((of, paragraph), revision) in marks(found) {
            assert!(
                of != document || revision >= done.oldest[paragraph],
                "revision {revision} of paragraph {paragraph} of document {document} is found, though \
                 up to {settled:?} it was {}: {done:?}",
                if done.is_delete { "deleted" } else { "edited" },
            );
        }
    }

    fn settled(&self, document: usize, settled: Time) -> Option<&Done> {
        let mut done = self.done.get(&document)?.iter().rev();
        done.find(|done| done.time <= settled)
    }
}

/// The key of a number.
pub(super) fn key(document: usize) -> DocumentKey {
    DocumentKey::text(KINDS[document % KINDS.len()], &format!("d{document}"))
}
