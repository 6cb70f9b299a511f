//! Who writes: people into the source, and producers without versions straight into the queue.

use serde_json::json;

use super::{IDS, KINDS, STRAY_KIND, World};
use crate::change::{Change, DocumentKey, Operation, Version};
use crate::document::{Document, Fields};
use crate::simulate::Edit;

const PARAGRAPHS: [&str; 8] = [
    "alpha alpha alpha alpha alpha alpha alpha alpha alpha alpha alpha alpha alpha alpha",
    "beta beta beta beta beta beta beta beta beta beta beta beta beta beta beta beta",
    "gamma gamma gamma gamma gamma gamma gamma gamma gamma gamma gamma gamma gamma",
    "delta delta delta delta delta delta delta delta delta delta delta delta delta delta",
    "epsilon epsilon epsilon epsilon epsilon epsilon epsilon epsilon epsilon epsilon",
    "zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta",
    "eta eta eta eta eta eta eta eta eta eta eta eta eta eta eta eta eta eta",
    "theta theta theta theta theta theta theta theta theta theta theta theta theta",
];

impl World {
    pub(super) fn commit(&mut self, edits: Vec<Edit>) {
        if self.source.commit(edits) > 0 {
            self.edits += 1;
            self.checker.committed(&self.source);
        }
    }

    pub(super) fn key(&self) -> DocumentKey {
        let kind = KINDS[self.chaos.below(KINDS.len())];
        DocumentKey::text(kind, &self.chaos.below(IDS).to_string())
    }

    fn document(&self, key: DocumentKey) -> Document {
        let fields = self.content();
        Document { key, fields }
    }

    fn content(&self) -> Fields {
        if self.chaos.luck(6) && !self.calm {
            // No text: it cannot be prepared, and is parked.
            Fields::from_iter([("content".to_owned(), json!(5))])
        } else {
            self.fields(self.chaos.below(5))
        }
    }

    pub(super) fn fields(&self, paragraphs: usize) -> Fields {
        let text: Vec<_> = (0..paragraphs)
            .map(|_| PARAGRAPHS[self.chaos.below(PARAGRAPHS.len())])
            .collect();
        let author = ["ada", "grace"][self.chaos.below(2)];
        Fields::from_iter([
            ("content".to_owned(), json!(text.join("\n\n"))),
            ("author_id".to_owned(), json!(author)),
        ])
    }

    /// Somebody writes to the source.
    pub(super) fn edit(&mut self) {
        let edits = match self.chaos.below(40) {
            0 => vec![Edit::Drop(KINDS[self.chaos.below(KINDS.len())].to_owned())],
            1 => {
                let kind = KINDS[self.chaos.below(KINDS.len())];
                let ids = (0..self.chaos.below(IDS)).map(|id| id.to_string());
                let documents = ids.map(|id| self.document(DocumentKey::text(kind, &id)));
                vec![Edit::Replace(kind.to_owned(), documents.collect())]
            }
            2..12 => vec![Edit::Delete(self.key())],
            12..18 => (0..2 + self.chaos.below(3))
                .map(|_| match self.chaos.below(4) {
                    0 => Edit::Delete(self.key()),
                    _ => Edit::Save(self.document(self.key())),
                })
                .collect(),
            18..22 => vec![Edit::Amend(self.document(self.key()))],
            _ => vec![Edit::Save(self.document(self.key()))],
        };
        self.commit(edits);
    }

    /// A producer of the seed sends messages that have no version, mostly of documents that the source
    /// does not know.
    pub(super) fn stray(&mut self) {
        let key = if self.chaos.luck(25) {
            self.key()
        } else {
            DocumentKey::text(STRAY_KIND, &self.chaos.below(2).to_string())
        };
        for _ in 0..=self.chaos.below(3) {
            let key = key.clone();
            let fields = (!self.chaos.luck(15)).then(|| self.content());
            let operation = match &fields {
                Some(_) => Operation::Insert,
                None => Operation::Delete,
            };
            let mut change =
                Change::new(key, Version::NONE, operation, fields, self.clock.now_ms());
            // Of its own: repeats are told by it, and these are none.
            change.message_id = uuid::Uuid::from_u128(self.chaos.below(usize::MAX) as u128);
            self.checker.sent(&change);
            self.queue.produce(change);
        }
    }

    pub(super) fn is_poison(&self, change: &Change) -> bool {
        self.checker.is_poison(&change.key, change.fields.as_ref())
    }
}
