//! Which points a question is about, as labels that every store compares in the same way. Pure.
//!
//! ```text
//! metadata ──> labels, a date ──stored beside it──> filter inside the index, before anything is ranked
//! question ──> lists of labels, a range of dates ──────────┘
//! ```
//!
//! A store has an index of equal texts and one of numbers, and needs no more: what is compared without
//! regard to case, by its beginning or in another form is brought into one form here, once for all stores.

use std::collections::BTreeSet;

use super::date;
use crate::document::Fields;

/// What every point has: a point without labels is one from before there were any.
const ANY: &str = "any";
/// Beginnings that are kept of one link.
const BEGINNINGS_MAX: usize = 16;

/// Which points a question is about; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// Only points of these types; empty for all.
    pub kinds: Vec<String>,
    /// Only points that have at least one label of each of these lists.
    pub labels: Vec<Vec<String>>,
    /// Only points that are dated, at this second or later: since 1970, UTC.
    pub since: Option<i64>,
    /// Only points that are dated, at this second or earlier.
    pub until: Option<i64>,
}

impl Only {
    /// Points of these types.
    pub fn of_kinds(kinds: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            kinds: kinds.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// The same, and only points with one of these labels; without labels the same.
    #[must_use]
    pub fn and(mut self, labels: Vec<String>) -> Self {
        if !labels.is_empty() {
            self.labels.push(labels);
        }
        self
    }

    /// Whether a point of this type and metadata is one of them.
    pub fn admits(&self, kind: &str, metadata: &Fields) -> bool {
        let has = labels(metadata);
        let within = |date: i64| {
            self.since.is_none_or(|since| date >= since)
                && self.until.is_none_or(|until| date <= until)
        };
        let undated = self.since.is_none() && self.until.is_none();
        (self.kinds.is_empty() || self.kinds.iter().any(|one| one == kind))
            && self
                .labels
                .iter()
                .all(|any| any.iter().any(|one| has.contains(one)))
            && (undated || dated(metadata).is_some_and(within))
    }
}

/// Everything by which the metadata's document is found.
pub(crate) fn labels(metadata: &Fields) -> BTreeSet<String> {
    let texts = |names: &'static [&'static str]| {
        let found = names
            .iter()
            .filter_map(move |name| metadata.get(*name)?.as_str());
        found.filter(|text| !text.trim().is_empty())
    };
    let mut labels = BTreeSet::from([ANY.to_owned()]);
    labels.extend(texts(&["author_id", "owner_id"]).map(author));
    labels.extend(texts(&["author_full_name", "owner_full_name"]).map(name));
    labels.extend(texts(&["platform"]).map(platform));
    for text in texts(&["language"]) {
        labels.insert(language(text));
        // British English is English.
        labels.extend(text.split(['-', '_']).next().map(language));
    }
    for link in texts(&["link"]) {
        labels.extend(beginnings(link).map(label_of_beginning));
    }
    labels
}

/// When the metadata's document was published or else modified: seconds since 1970, UTC.
///
/// Published first: an article of 2019 whose typing error was mended today is one of 2019.
pub(crate) fn dated(metadata: &Fields) -> Option<i64> {
    let mut dates = ["published_at", "modified_at"].into_iter();
    dates.find_map(|name| date::seconds(metadata.get(name)?))
}

/// The label of an author's id, which is compared exactly.
pub fn author(id: &str) -> String {
    format!("author:{}", id.trim())
}

/// The label of an author's full name, in any case and spacing.
pub fn name(full_name: &str) -> String {
    format!("name:{}", folded(full_name))
}

/// The label of a platform, in any case.
pub fn platform(name: &str) -> String {
    format!("platform:{}", folded(name))
}

/// The label of a language as BCP 47 writes it, in any case.
pub fn language(tag: &str) -> String {
    format!("language:{}", folded(tag).replace('_', "-"))
}

/// The label of everything whose link begins like this, up to the last `/` in it; none without one. The
/// rest is compared by whoever asks.
pub fn link(prefix: &str) -> Option<String> {
    beginnings(prefix).last().map(label_of_beginning)
}

/// The label of everything below this link, where it does not end with `/`; none where it does. Less than what
/// begins like it: `https://example.org.uk/` is not below `https://example.org`.
pub fn below(link: &str) -> Option<String> {
    (!link.ends_with('/')).then(|| label_of_beginning(&format!("{link}/")))
}

fn label_of_beginning(beginning: &str) -> String {
    format!("link:{beginning}")
}

/// A link up to each of its `/`.
fn beginnings(link: &str) -> impl Iterator<Item = &str> {
    let ends = link.match_indices('/').map(|(at, _)| at + 1);
    let ends = ends.take(BEGINNINGS_MAX);
    ends.filter_map(move |end| link.get(..end))
}

fn folded(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fields(value: &Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    fn article() -> Fields {
        fields(
            &json!({"author_id": "Id-1", "author_full_name": "Ada  Lovelace", "platform": "Medium",
            "language": "en-GB", "link": "https://example.org/a/b", "published_at": "2019-05-01",
            "modified_at": "2024-05-01"}),
        )
    }

    #[test]
    fn a_document_is_found_by_every_form_of_what_it_says() {
        let admits = |label: String| {
            Only::default()
                .and(vec![label])
                .admits("articles", &article())
        };
        for label in [
            author(" Id-1"),
            name("ada LOVELACE "),
            platform("medium"),
            language("EN"),
            language("en_gb"),
            link("https://example.org/a/").unwrap(),
            link("https://example.org/a/not-the-end").unwrap(),
            link("https://").unwrap(),
        ] {
            assert!(admits(label.clone()), "{label}");
        }
        for label in [
            author("id-1"),
            name("Ada"),
            platform("substack"),
            language("en-us"),
            link("https://example.org/b/").unwrap(),
        ] {
            assert!(!admits(label.clone()), "{label}");
        }
        assert_eq!(link("example"), None);
        assert!(admits(below("https://example.org").unwrap()));
        assert!(!admits(below("https://example").unwrap()));
        assert_eq!(below("https://example.org/"), None);
    }

    #[test]
    fn every_list_counts_and_of_each_one_label_is_enough() {
        let only = Only::of_kinds(["articles", "posts"])
            .and(vec![platform("web"), platform("medium")])
            .and(vec![language("en")]);
        assert!(only.admits("posts", &article()));
        assert!(!only.admits("repositories", &article()));
        assert!(
            !only
                .clone()
                .and(vec![language("de")])
                .admits("posts", &article())
        );
        assert_eq!(only.clone().and(Vec::new()), only);
    }

    #[test]
    fn a_range_is_of_the_day_of_publication_or_else_of_the_last_change() {
        let within = |metadata: &Fields, since, until| {
            let only = Only {
                since,
                until,
                ..Only::default()
            };
            only.admits("articles", metadata)
        };
        let published = dated(&article());
        assert_eq!(published, Some(1_556_668_800));
        assert!(within(&article(), published, published));
        assert!(!within(
            &article(),
            published.map(|second| second + 1),
            None
        ));
        assert!(!within(
            &article(),
            None,
            published.map(|second| second - 1)
        ));
        let changed = fields(&json!({"published_at": "last spring", "modified_at": "2024-05-01"}));
        assert!(within(&changed, published, None));
        assert!(!within(&Fields::new(), None, published));
        assert!(within(&Fields::new(), None, None));
    }

    #[test]
    fn whatever_the_metadata_there_is_a_label_and_not_too_many() {
        assert_eq!(labels(&Fields::new()).len(), 1);
        let odd = fields(&json!({"author_id": 7, "language": "", "link": "/".repeat(1000)}));
        assert_eq!(labels(&odd).len(), 1 + BEGINNINGS_MAX);
        // A question that is deeper than what is kept is as deep as that.
        let deep = format!("https://example.org/{}", "a/".repeat(40));
        assert!(labels(&fields(&json!({"link": deep}))).contains(&link(&deep).unwrap()));
    }
}
