//! What is exported. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{Fields, author_id};
use crate::vector::Manifest;

/// What a line is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A document: its cleaned text and metadata.
    #[default]
    Documents,
    /// A chunk of one: the text as it was embedded.
    Chunks,
    /// A chunk with its vector.
    Vectors,
}

impl What {
    /// Each.
    pub const ALL: [Self; 3] = [Self::Documents, Self::Chunks, Self::Vectors];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Chunks => "chunks",
            Self::Vectors => "vectors",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// What a line is.
    pub what: What,
    /// Only documents of this author: a full name, in any case, or an id.
    pub author: Option<String>,
    /// Only documents of these types; none for all.
    pub types: Vec<String>,
    /// Only documents whose last change was committed at this time or later: milliseconds since 1970, UTC.
    pub since_ms: Option<u64>,
}

/// A selection by which documents can be judged.
#[derive(Debug)]
pub(crate) struct Wanted {
    selection: Selection,
    ids: Vec<String>,
    name: String,
}

impl Wanted {
    /// `known_id` is the author's, where the name is somebody's who is stored.
    pub(crate) fn new(selection: Selection, known_id: Option<String>) -> Self {
        let author = selection.author.as_deref().unwrap_or_default().trim();
        let ids = known_id
            .into_iter()
            .chain([author.to_owned(), author_id(author)])
            .collect();
        Self {
            name: folded(author),
            ids,
            selection,
        }
    }

    pub(crate) fn what(&self) -> What {
        self.selection.what
    }

    pub(crate) fn into_selection(self) -> Selection {
        self.selection
    }

    /// Whether the document is asked for.
    pub(crate) fn is(&self, manifest: &Manifest) -> bool {
        let Selection {
            types,
            since_ms,
            author,
            ..
        } = &self.selection;
        (types.is_empty() || types.contains(&manifest.key.kind))
            && since_ms.is_none_or(|since| manifest.committed_ms >= since)
            && (author.is_none() || self.is_theirs(&manifest.metadata))
    }

    fn is_theirs(&self, metadata: &Fields) -> bool {
        let text = |name| metadata.get(name).and_then(Value::as_str);
        let by_id = |field| text(field).is_some_and(|id| self.ids.iter().any(|own| own == id));
        let by_name = |field| text(field).is_some_and(|name| folded(name) == self.name);
        ["author_id", "owner_id"].into_iter().any(by_id)
            || ["author_full_name", "owner_full_name"]
                .into_iter()
                .any(by_name)
    }
}

fn folded(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::change::{DocumentKey, Version};
    use crate::vector::Stamp;

    fn manifest(kind: &str, committed_ms: u64, metadata: &Value) -> Manifest {
        Manifest {
            key: DocumentKey::text(kind, "a"),
            stamp: Stamp::from(Version::NONE),
            deleted: false,
            committed_ms,
            fingerprint: String::new(),
            metadata: metadata.as_object().cloned().unwrap_or_default(),
            text: String::new(),
            points: Vec::new(),
        }
    }

    #[test]
    fn an_author_is_known_by_the_name_an_id_and_the_stored_persons_id() {
        let wanted = |author: &str, known: Option<&str>| {
            let selection = Selection {
                author: Some(author.to_owned()),
                ..Selection::default()
            };
            Wanted::new(selection, known.map(str::to_owned))
        };
        let theirs = |wanted: Wanted, metadata: Value| wanted.is(&manifest("posts", 0, &metadata));
        let ada = json!({"author_id": "7", "author_full_name": "Ada  Lovelace"});
        assert!(theirs(wanted("ada lovelace", None), ada.clone()));
        assert!(theirs(wanted("7", None), ada.clone()));
        assert!(theirs(wanted("Countess", Some("7")), ada.clone()));
        assert!(!theirs(wanted("Ada", None), ada));
        let owned = json!({"owner_id": author_id("Ada Lovelace")});
        assert!(theirs(wanted("Ada Lovelace", None), owned));
        assert!(!theirs(wanted("Ada Lovelace", None), json!({})));
    }

    #[test]
    fn types_and_time_narrow_each_by_itself() {
        let selection = Selection {
            types: vec!["posts".into()],
            since_ms: Some(5),
            ..Selection::default()
        };
        let wanted = Wanted::new(selection, None);
        assert!(wanted.is(&manifest("posts", 5, &json!({}))));
        assert!(!wanted.is(&manifest("posts", 4, &json!({}))));
        assert!(!wanted.is(&manifest("articles", 5, &json!({}))));
    }
}
