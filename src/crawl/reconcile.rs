//! What was found against what is stored: what to write, and of which crawls it is. Pure.

use serde_json::Value;

use crate::document::{CRAWL_ROOT, Document, Fields, crawl_roots};

/// Whether a found document must be written over what is stored under its key.
///
/// The order of fields does not count; nothing that changes by itself, like a time of crawling, is
/// stored.
pub(crate) fn differs(stored: Option<&Fields>, found: &Document) -> bool {
    stored != Some(&found.fields)
}

/// A page crawled by itself stays a page of the folder that it was found in before.
pub(crate) fn keep_roots(stored: Option<&Fields>, found: &mut Document) {
    if let Some(roots) = stored.and_then(|fields| fields.get(CRAWL_ROOT)) {
        found.fields.insert(CRAWL_ROOT.to_owned(), roots.clone());
    }
}

/// A document found in a folder within a folder is one of both: whichever is walked whole tells that it is gone.
pub(crate) fn join_roots(stored: Option<&Fields>, found: &mut Document) {
    let known: Vec<&str> = stored.into_iter().flat_map(crawl_roots).collect();
    if known.is_empty() {
        return;
    }
    let new = crawl_roots(&found.fields).filter(|root| !known.contains(root));
    let roots: Vec<&str> = known.iter().copied().chain(new).collect();
    if let Some(roots) = written(&roots) {
        found.fields.insert(CRAWL_ROOT.to_owned(), roots);
    }
}

/// The roots of a stored document without these; none where nothing is left of them.
pub(crate) fn without_roots(stored: &Fields, roots: &[String]) -> Option<Value> {
    let is_other = |root: &&str| roots.iter().all(|one| one != root);
    let left: Vec<&str> = crawl_roots(stored).filter(is_other).collect();
    written(&left)
}

/// Roots as they are stored.
fn written(roots: &[&str]) -> Option<Value> {
    match roots {
        [] => None,
        [one] => Some(Value::from(*one)),
        several => Some(Value::from(several)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::change::DocumentKey;

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
    fn a_page_crawled_by_itself_keeps_its_folder() {
        let mut found = document("a", "file:///a", "new");
        keep_roots(Some(&document("a", "folder", "old").fields), &mut found);
        assert_eq!(found.fields["crawl_root"], "folder");
    }

    #[test]
    fn a_page_of_a_folder_within_a_folder_is_one_of_both_and_settles() {
        let (inner, outer) = ("file:///a/b", "file:///a");
        let mut found = document("a", inner, "");
        join_roots(None, &mut found);
        assert_eq!(found.fields["crawl_root"], inner);
        join_roots(Some(&document("a", outer, "").fields), &mut found);
        assert_eq!(found.fields["crawl_root"], json!([outer, inner]));
        for root in [inner, outer] {
            let mut again = document("a", root, "");
            join_roots(Some(&found.fields), &mut again);
            assert!(!differs(Some(&found.fields), &again), "{root}");
        }
    }

    #[test]
    fn what_a_folder_lets_go_of_is_the_others_and_nobodys_where_there_is_none() {
        let mut found = document("a", "inner", "");
        join_roots(Some(&document("a", "outer", "").fields), &mut found);
        let without = |roots: &[&str]| {
            let roots: Vec<String> = roots.iter().map(|&root| root.to_owned()).collect();
            without_roots(&found.fields, &roots)
        };
        assert_eq!(without(&["inner"]), Some(json!("outer")));
        assert_eq!(without(&["other"]), Some(json!(["outer", "inner"])));
        assert_eq!(without(&["outer", "inner"]), None);
    }

    #[test]
    fn a_document_that_no_crawl_brought_has_the_root_of_the_one_that_found_it() {
        let mut found = document("a", "r", "");
        join_roots(Some(&Fields::new()), &mut found);
        assert_eq!(found.fields["crawl_root"], "r");
    }
}
