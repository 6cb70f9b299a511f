//! Names of collections. Pure.
//!
//! | what | name | its alias |
//! |---|---|---|
//! | manifests of `posts`, edition 1 | `cleaned_posts@1` | `cleaned_posts` |
//! | points of `posts`, edition 1 | `vector_posts@1` | `vector_posts` |
//! | floors, watermarks, types | `lockstep_control` | |
//!
//! An edition is one whole index: a re-index fills the next one beside it, and then moves every alias.
//! All names begin with the setting `vector.name`, where there is one.

use std::fmt::Write as _;

/// Parts an edition from a name; no escaped type holds it.
const EDITION_MARK: char = '@';

/// The two collections of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Family {
    /// One point a document: its manifest.
    Cleaned,
    /// One point a chunk.
    Vector,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::Cleaned, Self::Vector];

    fn name(self) -> &'static str {
        match self {
            Self::Cleaned => "cleaned",
            Self::Vector => "vector",
        }
    }
}

/// Makes names.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// Of the index of this name; an empty one needs no prefix.
    pub(super) fn new(name: &str) -> Self {
        let prefix = if name.is_empty() {
            String::new()
        } else {
            format!("{}_", escaped(name))
        };
        Self { prefix }
    }

    /// The name that people and other programs use; an alias.
    pub(super) fn plain(&self, family: Family, kind: &str) -> String {
        format!("{}{}_{}", self.prefix, family.name(), escaped(kind))
    }

    /// The collection itself.
    pub(super) fn real(&self, family: Family, kind: &str, edition: u32) -> String {
        let plain = self.plain(family, kind);
        format!("{plain}{EDITION_MARK}{edition}")
    }

    /// What holds for all types and editions.
    pub(super) fn control(&self) -> String {
        format!("{}lockstep_control", self.prefix)
    }

    /// The edition of a collection of ours; none for any other collection.
    pub(super) fn edition(&self, real: &str) -> Option<u32> {
        let (plain, edition) = real.strip_prefix(&self.prefix)?.split_once(EDITION_MARK)?;
        let ours = Family::BOTH.iter().any(|family| {
            plain
                .strip_prefix(family.name())
                .is_some_and(|rest| rest.starts_with('_'))
        });
        ours.then(|| edition.parse().ok())?
    }
}

/// The text with everything that a server may refuse in a name, and our own mark, written as `%` and
/// two digits.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || "_-.".contains(character) || !character.is_ascii() {
            escaped.push(character);
        } else {
            write!(escaped, "%{:02X}", u32::from(character))
                .expect("writing to a text should not fail: it only grows");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_types_have_the_seeds_names() {
        let names = Names::new("");
        assert_eq!(names.plain(Family::Cleaned, "articles"), "cleaned_articles");
        assert_eq!(names.plain(Family::Vector, "posts"), "vector_posts");
        assert_eq!(names.real(Family::Vector, "posts", 2), "vector_posts@2");
        assert_eq!(names.control(), "lockstep_control");
        assert_eq!(Names::new("a b").control(), "a%20b_lockstep_control");
    }

    #[test]
    fn no_two_types_share_a_collection_and_the_edition_is_read_back() {
        let names = Names::new("team");
        let kinds = ["a", "a@1", "a%401", "a/b", "a\\b", "é", "a.b", "A"];
        let real = |kind: &str| names.real(Family::Vector, kind, 1);
        let mut all: Vec<_> = kinds.iter().map(|kind| real(kind)).collect();
        assert!(all.iter().all(|name| names.edition(name) == Some(1)));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), kinds.len());
        let forbidden = ['<', '>', ':', '"', '/', '\\', '|', '?', '*', '\0', '\u{1f}'];
        let worst: String = forbidden.iter().collect();
        assert!(!real(&worst).contains(forbidden));
        for other in [
            "vector_a@1",
            "team_vector_a",
            "team_other@1",
            "team_vector_a@x",
        ] {
            assert_eq!(names.edition(other), None, "{other}");
        }
    }
}
