//! What the fields of a type mean: which hold text and which are metadata.
//!
//! ```text
//! fields ──TypeSpec──> metadata (small, readable values under the seed's names)
//!                 └──> texts (name, raw text), in stored order
//! ```
//!
//! `null` is the same as absent. A field of another JSON type than its meaning asks for is
//! [`Error::Malformed`], naming the field.

use serde_json::Value;

use crate::document::{Fields, kind};
use crate::{Error, Result};

/// The most bytes that one metadata value keeps; a longer string is cut.
const VALUE_BYTES_MAX: usize = 2048;

/// The most metadata values of a type that does not name its own.
const VALUES_MAX: usize = 64;

/// How a type's texts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Prose with the furniture of a page around it.
    Article,
    /// Prose as its author typed it.
    Prose,
    /// Files: each text's name is its path.
    Files,
}

/// What the fields of one type mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TypeSpec {
    /// How its texts are written.
    pub(crate) form: Form,
    /// Top-level fields that hold text: a string, or an object of strings.
    texts: &'static [&'static str],
    /// Strings in those objects that are metadata, and the name that they get there.
    labels: &'static [(&'static str, &'static str)],
    /// Top-level fields that are metadata, and the names that they get; `None` takes every scalar.
    metadata: Option<&'static [(&'static str, &'static [&'static str])]>,
}

/// One raw text of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawText<'a> {
    /// Its name in the object that holds it (a file's path), or the field's own.
    pub(crate) name: &'a str,
    /// As it is stored.
    pub(crate) text: &'a str,
}

const PAGE: TypeSpec = TypeSpec {
    form: Form::Article,
    texts: &["content"],
    labels: &[("Title", "title"), ("language", "language")],
    metadata: Some(&[
        ("platform", &["platform"]),
        ("link", &["link"]),
        ("author_id", &["author_id"]),
        ("author_full_name", &["author_full_name"]),
        ("published_at", &["published_at"]),
        ("modified_at", &["modified_at"]),
    ]),
};

const REPOSITORY: TypeSpec = TypeSpec {
    form: Form::Files,
    texts: &["content"],
    labels: &[],
    metadata: Some(&[
        ("platform", &["platform"]),
        ("name", &["name"]),
        ("link", &["link"]),
        ("owner_id", &["owner_id", "author_id"]),
        ("owner_full_name", &["author_full_name"]),
        ("published_at", &["published_at"]),
        ("modified_at", &["modified_at"]),
    ]),
};

const GENERIC: TypeSpec = TypeSpec {
    form: Form::Prose,
    texts: &["content", "text", "body"],
    labels: &[
        ("Title", "title"),
        ("title", "title"),
        ("language", "language"),
    ],
    metadata: None,
};

impl TypeSpec {
    /// The specification of a type; one that the seed does not know gets a general one.
    pub(crate) fn of(kind: &str) -> Self {
        match kind {
            kind::ARTICLES => PAGE,
            kind::POSTS => Self {
                form: Form::Prose,
                ..PAGE
            },
            kind::REPOSITORIES => REPOSITORY,
            _ => GENERIC,
        }
    }

    /// The metadata, in a fixed order for the seed's types and in stored order for others.
    pub(crate) fn metadata(&self, fields: &Fields) -> Result<Fields> {
        let mut metadata = Fields::new();
        match self.metadata {
            Some(names) => {
                for (from, to) in names {
                    let Some(value) = present(fields, from) else {
                        continue;
                    };
                    let value = scalar(from, value).ok_or_else(|| not_scalar(from))?;
                    for name in *to {
                        metadata.insert((*name).to_owned(), value.clone());
                    }
                }
            }
            None => self.scalars(fields, &mut metadata),
        }
        for holder in self.texts {
            let Some(Value::Object(texts)) = fields.get(*holder) else {
                continue;
            };
            for (from, to) in self.labels {
                let Some(value) = present(texts, from) else {
                    continue;
                };
                let field = format!("{holder}.{from}");
                let value = scalar(to, value).ok_or_else(|| not_scalar(&field))?;
                metadata.insert((*to).to_owned(), value);
            }
        }
        Ok(metadata)
    }

    /// The texts, in stored order; a text that is absent is left out.
    pub(crate) fn texts<'a>(&self, fields: &'a Fields) -> Result<Vec<RawText<'a>>> {
        let mut texts = Vec::new();
        for holder in self.texts {
            match fields.get(*holder) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if self.form != Form::Files => {
                    texts.push(RawText { name: holder, text });
                }
                Some(Value::Object(named)) => self.named_texts(holder, named, &mut texts)?,
                Some(other) => return Err(wrong_type(holder, self.wanted(), other)),
            }
        }
        Ok(texts)
    }

    fn named_texts<'a>(
        &self,
        holder: &str,
        named: &'a Fields,
        texts: &mut Vec<RawText<'a>>,
    ) -> Result<()> {
        for (name, value) in named {
            if self.labels.iter().any(|(label, _)| label == name) {
                continue;
            }
            match value {
                Value::Null => {}
                Value::String(text) => texts.push(RawText { name, text }),
                other => return Err(wrong_type(&format!("{holder}.{name}"), "a string", other)),
            }
        }
        Ok(())
    }

    fn scalars(&self, fields: &Fields, metadata: &mut Fields) {
        let values = fields
            .iter()
            .filter(|(name, value)| !self.texts.contains(&name.as_str()) && !value.is_null())
            .filter_map(|(name, value)| Some((name, scalar(name, value)?)))
            .take(VALUES_MAX);
        for (name, value) in values {
            metadata.insert(name.clone(), value);
        }
        if let Some(owner) = metadata.get("owner_id").cloned() {
            metadata.entry("author_id").or_insert(owner);
        }
    }

    fn wanted(&self) -> &'static str {
        match self.form {
            Form::Files => "an object of path and text",
            Form::Article | Form::Prose => "a string or an object of strings",
        }
    }
}

fn present<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

/// A value as metadata carries it: text, number or truth. Ids are always text, so that a filter
/// finds them whatever their stored type.
fn scalar(name: &str, value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(Value::String(cut(text))),
        Value::Number(number) if name.ends_with("_id") => Some(Value::String(number.to_string())),
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::Object(wrapped) => extended(name, wrapped),
        Value::Null | Value::Array(_) => None,
    }
}

/// The readable value of an extended JSON wrapper, such as `{"$oid": "…"}`.
fn extended(name: &str, wrapped: &Fields) -> Option<Value> {
    let (kind, inner) = wrapped.iter().next().filter(|_| wrapped.len() == 1)?;
    match (kind.as_str(), inner) {
        ("$oid" | "$uuid" | "$symbol" | "$numberDecimal", Value::String(text)) => {
            Some(Value::String(cut(text)))
        }
        ("$date", _) => scalar(name, inner),
        ("$numberInt" | "$numberLong" | "$numberDouble", Value::String(text)) => {
            match serde_json::from_str(text) {
                Ok(number @ Value::Number(_)) => scalar(name, &number),
                _ => Some(Value::String(cut(text))),
            }
        }
        _ => None,
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(VALUE_BYTES_MAX)].to_owned()
}

fn not_scalar(field: &str) -> Error {
    let why = "it should be a text, a number, a date, an id, or true or false";
    Error::malformed(format!("field {field}"), why)
}

fn wrong_type(field: &str, wanted: &str, found: &Value) -> Error {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let why = format!("it should be {wanted} and is {found}");
    Error::malformed(format!("field {field}"), why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(fields) => fields,
            other => panic!("{other} should be an object"),
        }
    }

    #[test]
    fn a_title_and_a_language_are_metadata_and_no_text() {
        let stored = fields(json!({
            "platform": "medium", "link": "https://example.com/a", "author_id": {"$oid": "65f0"},
            "published_at": {"$date": "2024-05-01T00:00:00Z"}, "modified_at": null,
            "content": {"Title": "T", "Subtitle": "S", "Content": "C", "language": "en"},
        }));
        let spec = TypeSpec::of(kind::ARTICLES);
        assert_eq!(
            Value::Object(spec.metadata(&stored).unwrap()),
            json!({
                "platform": "medium", "link": "https://example.com/a", "author_id": "65f0",
                "published_at": "2024-05-01T00:00:00Z", "title": "T", "language": "en",
            })
        );
        let texts: Vec<_> = spec.texts(&stored).unwrap();
        let texts: Vec<_> = texts.iter().map(|text| (text.name, text.text)).collect();
        assert_eq!(texts, [("Subtitle", "S"), ("Content", "C")]);
    }

    #[test]
    fn an_owner_is_an_author_too() {
        let repository = fields(json!({"owner_id": {"$numberLong": "7"}, "owner_full_name": "N"}));
        let metadata = TypeSpec::of(kind::REPOSITORIES).metadata(&repository);
        assert_eq!(
            Value::Object(metadata.unwrap()),
            json!({"owner_id": "7", "author_id": "7", "author_full_name": "N"})
        );
        let other = fields(json!({"owner_id": "o", "score": 1.5, "tags": ["a"], "body": "B"}));
        let metadata = TypeSpec::of("notes").metadata(&other);
        assert_eq!(
            Value::Object(metadata.unwrap()),
            json!({"owner_id": "o", "score": 1.5, "author_id": "o"})
        );
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named() {
        let cases = [
            (kind::ARTICLES, json!({"content": 5}), "field content "),
            (
                kind::POSTS,
                json!({"content": {"Content": []}}),
                "field content.Content ",
            ),
            (
                kind::REPOSITORIES,
                json!({"content": "x"}),
                "field content ",
            ),
            (
                kind::REPOSITORIES,
                json!({"content": {"a.rs": {"b": 1}}}),
                "field content.a.rs ",
            ),
            (
                kind::ARTICLES,
                json!({"link": {"href": "x"}}),
                "field link ",
            ),
            (
                kind::ARTICLES,
                json!({"content": {"Title": []}}),
                "field content.Title ",
            ),
            ("notes", json!({"body": true}), "field body "),
        ];
        for (kind, stored, named) in cases {
            let (spec, stored) = (TypeSpec::of(kind), fields(stored));
            let error = spec.texts(&stored).err().or(spec.metadata(&stored).err());
            let message = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(message.starts_with(named), "{kind}: {message}");
        }
    }

    #[test]
    fn metadata_is_never_big() {
        let stored = fields(json!({"link": "é".repeat(5000)}));
        let metadata = TypeSpec::of(kind::POSTS).metadata(&stored).unwrap();
        let link = metadata["link"].as_str().unwrap();
        assert!(link.len() <= VALUE_BYTES_MAX && link.len() > VALUE_BYTES_MAX - 4);
    }
}
