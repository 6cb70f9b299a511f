//! A document to the texts that are embedded: clean, then chunk. Pure; the oracle of what the index
//! must hold.
//!
//! ```text
//! kind, fields ──type──> metadata
//!                └─────> texts ──clean──> sections ──chunk──> chunks
//! ```

use std::borrow::Cow;

use serde_json::Value;

use crate::document::Fields;
use crate::feature::embed::Model;
use crate::feature::types::Types;
use crate::feature::{chunk, clean};
use crate::{Error, Result};

/// The version of the cleaner and the chunker: other output for any input means another one.
///
/// With the type's settings, the token limit and the model's digest it says everything that decides a
/// point.
pub const FINGERPRINT: &str = "clean-2 chunk-1";

/// The smallest token limit that leaves room for a prefix and some words.
pub const TOKEN_MAX_LEAST: usize = 32;

/// How large a chunk may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens of a chunk at most, its prefix and the special ones included; the model's own limit,
    /// or less, but at least [`TOKEN_MAX_LEAST`].
    pub token_max: usize,
}

impl Limits {
    /// The limits of what this model reads.
    pub fn of_model(model: &Model) -> Self {
        Self {
            token_max: model.token_limit,
        }
    }
}

/// What the index must hold for one document, vectors aside.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The metadata that manifest and every point carry.
    pub metadata: Fields,
    /// The whole cleaned text.
    pub text: String,
    /// The exact texts to embed, heading prefix included, in the order of the text; none is over
    /// the token limit.
    pub chunks: Vec<String>,
}

/// Prepares a document of the seed's types, or of one that nobody has described.
///
/// # Errors
/// As [`Types::prepare`].
pub fn prepare(
    kind: &str,
    fields: &Fields,
    limits: &Limits,
    count: &impl Fn(&str) -> usize,
) -> Result<Prepared> {
    Types::seed().prepare(kind, fields, limits, count)
}

impl Types {
    /// Prepares a document; equal arguments give equal results, everywhere and always.
    ///
    /// `count` gives the tokens of a text, the special ones included, and is asked about every word
    /// a small number of times. A document without text has no chunks.
    ///
    /// # Errors
    /// [`Error::Malformed`], naming the field, where one has the wrong JSON type. [`Error::Config`]
    /// where the limits cannot be.
    pub fn prepare(
        &self,
        kind: &str,
        fields: &Fields,
        limits: &Limits,
        count: &impl Fn(&str) -> usize,
    ) -> Result<Prepared> {
        if limits.token_max < TOKEN_MAX_LEAST {
            return Err(Error::Config {
                setting: "token_max".to_owned(),
                why: format!("{} is less than {TOKEN_MAX_LEAST}", limits.token_max),
            });
        }
        let spec = self.of(kind);
        let mut fields = Cow::Borrowed(fields);
        if !spec.redacted().is_empty() {
            self.redact(kind, fields.to_mut());
        }
        let metadata = spec.metadata(&fields)?;
        let title = metadata.get("title").and_then(Value::as_str).unwrap_or("");
        let sections = clean::sections(spec.form, &spec.texts(&fields)?, title);
        let mut text = String::new();
        let mut chunks = Vec::new();
        for section in &sections {
            for part in [&section.path, &section.text] {
                if !text.is_empty() && !part.is_empty() {
                    text.push_str("\n\n");
                }
                text.push_str(part);
            }
            let cut = chunk::chunk(section, *limits, count)?;
            chunks.extend(cut.iter().map(|chunk| chunk.text(section)));
        }
        Ok(Prepared {
            metadata,
            text,
            chunks,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sha2::{Digest, Sha256};

    use super::*;

    fn golden(kind: &str, content: &Value) -> Prepared {
        let fields = Fields::from_iter([("content".to_owned(), content.clone())]);
        let count = |text: &str| text.split_whitespace().count() + 2;
        prepare(kind, &fields, &Limits { token_max: 40 }, &count).unwrap()
    }

    #[test]
    fn other_output_needs_another_fingerprint() {
        let page = "# The title\n\nShare\n\nOne  𝐭𝐰\u{200d}𝐨 three. Four five.\n\n## A section\n\n- six\n- \
                    seven\n\n```rust\nfn eight() {\n    nine();\n}\n```\n\n| a | b |\n| c | d |\n";
        let words: Vec<_> = (0..300).map(|word| format!("word{word}.")).collect();
        let page = format!("{page}\n\n### Deeper\n\n{}", words.join(" A "));
        let code = "use a;\n\nfn b() {\n    c();\n\n    d();\n}\n\n".repeat(20);
        let mut digest = Sha256::new();
        for prepared in [
            golden("articles", &json!({"Title": "The title", "Content": page})),
            golden("posts", &json!({"Content": page})),
            golden(
                "repositories",
                &json!({"src/a.rs": code, "README.md": page}),
            ),
        ] {
            digest.update(format!("{prepared:?}"));
        }
        let digest = format!("{:x}", digest.finalize());
        assert_eq!(
            (FINGERPRINT, &digest[..16]),
            ("clean-2 chunk-1", "3bd0e89bb47da142")
        );
    }

    #[test]
    fn a_title_that_changes_changes_no_chunk() {
        let page =
            |title: &str| json!({"Title": title, "Content": format!("# {title}\n\n## A\n\nb")});
        let (old, new) = (
            golden("articles", &page("Old")),
            golden("articles", &page("New")),
        );
        assert_eq!(old.chunks, new.chunks);
        assert_ne!(old.metadata, new.metadata);
    }

    #[test]
    fn a_document_without_text_has_no_chunks() {
        for content in [
            json!(null),
            json!({}),
            json!({"Content": null}),
            json!({"Content": " \n"}),
        ] {
            let prepared = golden("articles", &content);
            assert_eq!((prepared.text.as_str(), prepared.chunks.len()), ("", 0));
        }
    }
}
