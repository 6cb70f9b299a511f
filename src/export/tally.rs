//! What was written, counted and digested line by line. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{About, Selection};
use crate::moment::rfc3339;
use crate::token::hex;

/// What an export holds: its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The form of the lines; another one has another number.
    pub format: u32,
    /// What was asked for.
    #[serde(flatten)]
    pub selection: Selection,
    /// Documents.
    pub documents: u64,
    /// Lines.
    pub lines: u64,
    /// Bytes of all lines, their ends included.
    pub bytes: u64,
    /// The same by type.
    pub by_type: BTreeMap<String, PerType>,
    /// SHA-256 of all lines, in hexadecimal digits.
    pub sha256: String,
    /// [`About::as_of_ms`] as RFC 3339.
    pub as_of: Option<String>,
    /// What is the same for the whole.
    #[serde(flatten)]
    pub about: About,
}

/// What of it is of one type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerType {
    /// Documents.
    pub documents: u64,
    /// Lines.
    pub lines: u64,
}

/// What was written so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    by_type: BTreeMap<String, PerType>,
    bytes: u64,
    digest: Sha256,
}

impl Tally {
    pub(super) fn document(&mut self, kind: &str) {
        self.of(kind).documents += 1;
    }

    /// Takes whole lines.
    pub(super) fn take(&mut self, kind: &str, lines: &[u8]) {
        self.digest.update(lines);
        self.bytes += lines.len() as u64;
        // Each line ends with its own end.
        let count = lines.split(|byte| *byte == b'\n').count() - 1;
        self.of(kind).lines += count as u64;
    }

    pub(super) fn summary(self, selection: Selection, about: About) -> Summary {
        let sum = |count: fn(&PerType) -> u64| self.by_type.values().map(count).sum();
        let digest = self.digest.finalize();
        Summary {
            format: 1,
            selection,
            documents: sum(|one| one.documents),
            lines: sum(|one| one.lines),
            bytes: self.bytes,
            sha256: hex(&digest),
            as_of: about.as_of_ms.map(rfc3339),
            by_type: self.by_type,
            about,
        }
    }

    fn of(&mut self, kind: &str) -> &mut PerType {
        if !self.by_type.contains_key(kind) {
            self.by_type.insert(kind.to_owned(), PerType::default());
        }
        self.by_type
            .get_mut(kind)
            .expect("the type should be there: put there above")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_all_lines_however_they_were_cut() {
        let summary = |parts: &[&str]| {
            let mut tally = Tally::default();
            tally.document("posts");
            for part in parts {
                tally.take("posts", part.as_bytes());
            }
            tally.summary(Selection::default(), About::default())
        };
        let whole = summary(&["a\nb\n"]);
        assert_eq!(whole, summary(&["a\n", "b\n"]));
        assert_ne!(whole.sha256, summary(&["b\n", "a\n"]).sha256);
        assert_eq!((whole.documents, whole.lines, whole.bytes), (1, 2, 4));
        let known = "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2";
        assert_eq!(whole.sha256, known);
    }
}
