//! How many documents are asked for at a time by their keys, and how many are answered. Pure.
//!
//! ```text
//! keys ──due──> a few of them ──> found, or as many as there is room for ──taken──> the answer, in order
//! ```
//!
//! A query is answered in an order of the server's own: where it was broken off, the answer ends before the first
//! document that it did not bring.

use std::collections::{HashMap, HashSet};

use crate::change::DocumentKey;
use crate::document::{Document, Fields};
use crate::source::PAGE_BYTES;

/// A document, and its bytes in the database.
pub(super) type Weighed = (Fields, usize);

/// The most keys of one query.
const KEYS_MAX: usize = 1000;

/// Keys of the first query, before anything is known of their documents' size; a next one has at most so many times more.
const KEYS_FIRST: usize = 4;

/// What is answered so far.
#[derive(Debug)]
pub(super) struct Portion {
    found: Vec<Option<Weighed>>,
    bytes: usize,
    /// Keys of the next query.
    size: usize,
    is_over: bool,
}

impl Portion {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            found: Vec::new(),
            bytes: 0,
            size: KEYS_FIRST,
            is_over: false,
        }
    }

    /// Those of `keys` that are to be asked for next; none when the answer is complete.
    pub(super) fn due<'a>(&self, keys: &'a [DocumentKey]) -> &'a [DocumentKey] {
        if self.is_over {
            return &[];
        }
        let rest = keys.get(self.found.len()..).unwrap_or_default();
        rest.get(..self.size).unwrap_or(rest)
    }

    /// With so many bytes a query may be broken off.
    pub(super) fn room(&self) -> usize {
        PAGE_BYTES.saturating_sub(self.bytes)
    }

    /// Takes in what a query for the due keys found; `is_whole` where it was not broken off.
    pub(super) fn take(
        &mut self,
        asked: &[DocumentKey],
        mut documents: HashMap<DocumentKey, Weighed>,
        is_whole: bool,
    ) {
        let mut times: HashMap<&DocumentKey, usize> = HashMap::new();
        for key in asked {
            *times.entry(key).or_default() += 1;
        }
        let is_whole = is_whole || times.keys().all(|key| documents.contains_key(*key));
        let before = self.found.len();
        for key in asked {
            // One that is asked for again is answered again.
            let left = times.entry(key).or_default();
            *left = left.saturating_sub(1);
            let document = if *left == 0 {
                documents.remove(key)
            } else {
                documents.get(key).cloned()
            };
            if self.bytes >= PAGE_BYTES || (document.is_none() && !is_whole) {
                break;
            }
            self.bytes += document.as_ref().map_or(0, |(_, bytes)| *bytes);
            self.found.push(document);
        }
        let taken = self.found.len() - before;
        self.is_over = self.bytes >= PAGE_BYTES || (taken < asked.len() && !self.found.is_empty());
        self.size = match self.bytes.checked_div(self.found.len()) {
            // Nothing is known of the first: alone, it is answered whatever its size.
            None => 1,
            Some(mean) => (self.room() / mean.max(1))
                .min(asked.len().saturating_mul(KEYS_FIRST))
                .clamp(1, KEYS_MAX),
        };
    }

    /// The answer.
    pub(super) fn into_found(self) -> Vec<Option<Weighed>> {
        self.found
    }
}

/// What one query has brought.
#[derive(Debug)]
pub(super) struct Brought<'a> {
    /// Keys that no row had yet.
    missing: HashSet<&'a DocumentKey>,
    documents: HashMap<DocumentKey, Weighed>,
    bytes: usize,
    room: usize,
}

impl<'a> Brought<'a> {
    /// Nothing yet, of what these keys name; it is full with so many bytes.
    pub(super) fn new(asked: &'a [DocumentKey], room: usize) -> Self {
        Self {
            missing: asked.iter().collect(),
            documents: HashMap::new(),
            bytes: 0,
            room,
        }
    }

    /// Takes in a row with so many bytes. One that nobody asked for counts for nothing: to the server the integer 5
    /// equals the double 5.0, and to us they are two keys.
    pub(super) fn row(&mut self, Document { key, fields }: Document, bytes: usize) {
        if self.missing.remove(&key) {
            self.bytes += bytes;
            self.documents.insert(key, (fields, bytes));
        }
    }

    /// Whether the query is to be broken off.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.room
    }

    /// The documents, and whether the query was not broken off.
    pub(super) fn into_parts(self) -> (HashMap<DocumentKey, Weighed>, bool) {
        let is_whole = !self.is_full();
        (self.documents, is_whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: usize) -> DocumentKey {
        DocumentKey::text("articles", &id.to_string())
    }

    fn keys(ids: impl IntoIterator<Item = usize>) -> Vec<DocumentKey> {
        ids.into_iter().map(key).collect()
    }

    /// Asks as a reader does, of documents with these bytes, which come in the order of their ids: the answer's bytes,
    /// and the keys of each query.
    fn answered(stored: &[usize], keys: &[DocumentKey]) -> (Vec<Option<usize>>, Vec<usize>) {
        let server = |asked: &[DocumentKey]| -> Vec<_> {
            let rows = stored.iter().enumerate();
            let rows = rows.map(|(id, bytes)| (key(id), *bytes));
            rows.filter(|(key, _)| asked.contains(key)).collect()
        };
        answered_by(server, keys)
    }

    /// The same of a server that brings these rows.
    fn answered_by(
        server: impl Fn(&[DocumentKey]) -> Vec<(DocumentKey, usize)>,
        keys: &[DocumentKey],
    ) -> (Vec<Option<usize>>, Vec<usize>) {
        let (mut portion, mut queries) = (Portion::new(), Vec::new());
        loop {
            let asked = portion.due(keys);
            if asked.is_empty() {
                let found = portion.into_found().into_iter();
                return (found.map(|it| it.map(|it| it.1)).collect(), queries);
            }
            queries.push(asked.len());
            assert!(queries.len() < 100, "it asks without an end: {queries:?}");
            let mut brought = Brought::new(asked, portion.room());
            for (key, bytes) in server(asked) {
                let fields = Fields::new();
                brought.row(Document { key, fields }, bytes);
                if brought.is_full() {
                    break;
                }
            }
            let (documents, is_whole) = brought.into_parts();
            portion.take(asked, documents, is_whole);
        }
    }

    #[test]
    fn small_documents_are_answered_all_at_once_by_few_queries() {
        let stored = [1_500; 250];
        let (found, queries) = answered(&stored, &keys(0..256));
        assert_eq!(found[..250], [Some(1_500); 250]);
        assert!(found[250..].iter().all(Option::is_none));
        assert_eq!(queries, [4, 16, 64, 172]);
        assert_eq!(answered(&stored, &[]), (Vec::new(), Vec::new()));
    }

    #[test]
    fn an_answer_ends_behind_the_document_that_fills_it() {
        let third = PAGE_BYTES / 3;
        let (found, queries) = answered(&[third; 20], &keys(0..20));
        assert_eq!(found.len(), 4);
        assert_eq!(queries, [4]);
        let (found, _) = answered(&[PAGE_BYTES * 2; 20], &keys(0..20));
        assert_eq!(found, [Some(PAGE_BYTES * 2)]);
    }

    #[test]
    fn an_answer_ends_before_what_a_broken_off_query_did_not_bring() {
        let large = PAGE_BYTES * 2;
        // The server brings the last one first.
        let (found, queries) = answered(&[large; 3], &keys([2, 1, 0]));
        assert_eq!((found, queries), (vec![Some(large)], vec![3, 1]));
        let stored = [10, 10, 10, 10, large, 10, large];
        let (found, _) = answered(&stored, &keys([0, 1, 2, 3, 5, 6, 4]));
        assert_eq!(found, [Some(10); 4]);
        // That one is not there is known only of a query that came to its end.
        let (found, queries) = answered(&[large], &keys([7, 0]));
        assert_eq!(found, [None, Some(large)]);
        assert_eq!(queries, [2, 1, 1]);
    }

    #[test]
    fn a_row_that_nobody_asked_for_is_no_answer_and_ends_no_query() {
        let id = r#"{"$numberDouble":"5.0"}"#.to_owned();
        let kind = "articles".to_owned();
        let (missing, equal) = (key(5), DocumentKey { kind, id });
        // A large one, and it comes first.
        let server = |asked: &[DocumentKey]| -> Vec<_> {
            let stored = asked.iter().filter(|asked| **asked != missing);
            let stored = stored.map(|key| (key.clone(), 10));
            let stray = (equal.clone(), PAGE_BYTES * 2);
            [stray].into_iter().chain(stored).collect()
        };
        let (found, queries) = answered_by(server, &keys([5, 6]));
        assert_eq!((found, queries), (vec![None, Some(10)], vec![2]));
        let (found, queries) = answered_by(server, &keys([5]));
        assert_eq!((found, queries), (vec![None], vec![1]));
    }

    #[test]
    fn a_document_that_is_asked_for_again_is_answered_and_counted_again() {
        let half = PAGE_BYTES / 2;
        let (found, _) = answered(&[half], &keys([0, 9, 0, 0]));
        assert_eq!(found, [Some(half), None, Some(half)]);
    }
}
