//! What was found against what is stored: what to write, and what has vanished. Pure.

use std::collections::HashSet;

use serde_json::Value;

use crate::change::DocumentKey;
use crate::document::{CRAWL_ROOT, Document, Fields};

/// Whether a found document must be written over what is stored under its key.
///
/// The order of fields does not count; nothing that changes by itself, like a time of crawling, is
/// stored.
pub(crate) fn differs(stored: Option<&Fields>, found: &Document) -> bool {
    stored != Some(&found.fields)
}

/// A page crawled by itself stays a page of the folder that it was found in before.
pub(crate) fn keep_root(stored: Option<&Fields>, found: &mut Document) {
    if let Some(root) = stored.and_then(|fields| fields.get(CRAWL_ROOT)) {
        found.fields.insert(CRAWL_ROOT.to_owned(), root.clone());
    }
}

/// The keys of a page of stored documents that were found under one of `roots` once and are there no
/// more.
///
/// `present` holds what the walk came by, whether or not it could be read. Only a complete walk
/// may ask: what was not looked at has not vanished.
pub(crate) fn vanished(
    stored: &[Document],
    roots: &[String],
    present: &HashSet<DocumentKey>,
) -> Vec<DocumentKey> {
    stored
        .iter()
        .filter(|document| {
            let root = document.fields.get(CRAWL_ROOT).and_then(Value::as_str);
            roots.iter().any(|one| Some(one.as_str()) == root) && !present.contains(&document.key)
        })
        .map(|document| document.key.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(id: &str, root: &str, title: &str) -> Document {
        let Value::Object(fields) = json!({"crawl_root": root, "title": title}) else {
            unreachable!("an object was written")
        };
        Document {
            key: DocumentKey::text("articles", id),
            fields,
        }
    }

    #[test]
    fn a_title_makes_a_difference_and_the_order_of_fields_does_not() {
        let found = document("a", "r", "one");
        assert!(differs(None, &found));
        assert!(differs(Some(&document("a", "r", "two").fields), &found));
        let reversed: Fields = found.fields.clone().into_iter().rev().collect();
        assert!(!differs(Some(&reversed), &found));
    }

    #[test]
    fn only_what_the_root_no_longer_has_is_gone() {
        let stored = [
            document("kept", "r", ""),
            document("gone", "r", ""),
            document("elsewhere", "r2", ""),
        ];
        let present = HashSet::from([stored[0].key.clone()]);
        let roots = ["r".to_owned()];
        assert_eq!(vanished(&stored, &roots, &present), [stored[1].key.clone()]);
    }

    #[test]
    fn a_page_crawled_by_itself_keeps_its_folder() {
        let mut found = document("a", "file:///a", "new");
        keep_root(Some(&document("a", "folder", "old").fields), &mut found);
        assert_eq!(found.fields["crawl_root"], "folder");
    }
}
