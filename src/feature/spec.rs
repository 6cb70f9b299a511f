//! What the fields of one type mean: which hold text and which are metadata.
//!
//! ```text
//! fields ──TypeSpec──> metadata (small, readable values under the seed's names)
//!                 └──> texts (name, raw text), in stored order
//! ```
//!
//! `null` is the same as absent. A field of another JSON type than its meaning asks for is
//! [`crate::Error::Malformed`], naming the field.

mod value;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use value::{not_scalar, scalar, wrong_type};

use super::types::TypeSettings;
use crate::Result;
use crate::document::Fields;

/// The most metadata values of a type that does not name its own.
const VALUES_MAX: usize = 64;

/// How a type's texts are cleaned and cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Prose with the furniture of a page around it.
    Article,
    /// Prose as its author typed it.
    #[default]
    Prose,
    /// Code; the texts keep their letters and their layout.
    Code,
    /// Files: each text's name is its path.
    Files,
}

/// What the fields of one type mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeSpec {
    /// How its texts are written.
    pub(crate) form: Form,
    /// Top-level fields that hold text: a string, or an object of strings.
    texts: Vec<String>,
    /// What is metadata, in this order.
    labels: Vec<Label>,
    /// Whether every other top-level scalar is metadata too, before the labels.
    takes_scalars: bool,
    /// Paths that are taken out.
    redacted: Vec<String>,
}

/// A field that is metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    field: String,
    /// A field of that field.
    inner: Option<String>,
    /// The name that it gets.
    name: String,
}

/// One raw text of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawText<'a> {
    /// Its name in the object that holds it (a file's path), or the field's own.
    pub(crate) name: &'a str,
    /// As it is stored.
    pub(crate) text: &'a str,
}

/// Fields that hold text where a type does not say which.
const TEXTS: [&str; 3] = ["content", "text", "body"];

/// Fields of these that are metadata then.
const LABELS: [(&str, &str); 3] = [
    ("Title", "title"),
    ("title", "title"),
    ("language", "language"),
];

impl TypeSpec {
    /// That of a type which nobody has described.
    pub(crate) fn general() -> Self {
        Self::of_texts(TEXTS.map(str::to_owned).into())
    }

    /// Every scalar is metadata.
    fn of_texts(texts: Vec<String>) -> Self {
        let label = |holder: &String, (from, to): (&str, &str)| Label {
            field: holder.clone(),
            inner: Some(from.to_owned()),
            name: to.to_owned(),
        };
        let labels = texts
            .iter()
            .flat_map(|holder| LABELS.map(|names| label(holder, names)));
        Self {
            form: Form::Prose,
            labels: labels.collect(),
            takes_scalars: true,
            texts,
            redacted: Vec::new(),
        }
    }

    /// That of a type with these settings.
    ///
    /// # Errors
    /// Every fault, as `<setting>: why`.
    pub(crate) fn new(settings: &TypeSettings) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let redacted = settings.redacted.clone().unwrap_or_default();
        let hidden = |path: &str| {
            redacted.iter().any(|hidden| {
                path.strip_prefix(hidden.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        let texts = settings
            .text
            .clone()
            .unwrap_or_else(|| TEXTS.map(str::to_owned).into());
        let named = settings.text.iter().flatten();
        for text in named {
            if text.trim().is_empty() {
                faults.push(format!("text: `{text}` is no field"));
            } else if hidden(text) {
                faults.push(format!("text: `{text}` is redacted too"));
            }
        }
        if redacted
            .iter()
            .any(|path| path.split('.').any(str::is_empty))
        {
            faults.push("redacted: an empty name is no field".to_owned());
        }
        let mut spec = Self::of_texts(texts);
        spec.form = settings.chunking.unwrap_or_default();
        if let Some(metadata) = &settings.metadata {
            spec.takes_scalars = false;
            spec.labels.clear();
            for text in metadata {
                match Label::parse(text) {
                    Ok(label) if hidden(&label.path()) => {
                        faults.push(format!("metadata: `{text}` is redacted too"));
                    }
                    Ok(label) => spec.labels.push(label),
                    Err(why) => faults.push(format!("metadata: `{text}` {why}")),
                }
            }
        }
        spec.redacted = redacted;
        if faults.is_empty() {
            Ok(spec)
        } else {
            Err(faults)
        }
    }

    /// Paths that are taken out of a document before anything else is done with it.
    pub(crate) fn redacted(&self) -> &[String] {
        &self.redacted
    }

    /// The metadata: in the order of the settings, or, without any, in stored order.
    pub(crate) fn metadata(&self, fields: &Fields) -> Result<Fields> {
        let mut metadata = Fields::new();
        if self.takes_scalars {
            self.scalars(fields, &mut metadata);
        }
        for label in &self.labels {
            let value = match (&label.inner, fields.get(&label.field)) {
                (None, value) => value,
                (Some(inner), Some(Value::Object(holder))) => holder.get(inner),
                (Some(_), _) => None,
            };
            let Some(value) = value.filter(|value| !value.is_null()) else {
                continue;
            };
            let path = label.path();
            // An id is one under whatever name it is stored or kept.
            let id = if label.name.ends_with("_id") {
                &label.name
            } else {
                &path
            };
            let value = scalar(id, value).ok_or_else(|| not_scalar(&path))?;
            metadata.insert(label.name.clone(), value);
        }
        Ok(metadata)
    }

    /// The texts, in stored order; a text that is absent is left out.
    pub(crate) fn texts<'a>(&'a self, fields: &'a Fields) -> Result<Vec<RawText<'a>>> {
        let mut texts = Vec::new();
        for holder in &self.texts {
            match fields.get(holder) {
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
            let is_label =
                |label: &Label| label.field == holder && label.inner.as_ref() == Some(name);
            if self.labels.iter().any(is_label) {
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
            .filter(|(name, value)| !self.texts.contains(*name) && !value.is_null())
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
            Form::Article | Form::Prose | Form::Code => "a string or an object of strings",
        }
    }
}

impl Label {
    /// `field`, `field as name`, or `field.inner as name`, whose name is otherwise the inner one.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (path, name) = match text.split_once(" as ") {
            Some((path, name)) => (path.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        let words: Vec<&str> = path.split('.').collect();
        let is_word = |word: &&str| !word.is_empty() && !word.contains(char::is_whitespace);
        if !words.iter().chain(&name).all(is_word) {
            return Err("is no field, nor `field as name`");
        }
        let (field, inner) = match words.as_slice() {
            [field] => (*field, None),
            [field, inner] => (*field, Some(*inner)),
            _ => return Err("is deeper than a field of a field"),
        };
        Ok(Self {
            field: field.to_owned(),
            inner: inner.map(str::to_owned),
            name: name.or(inner).unwrap_or(field).to_owned(),
        })
    }

    fn path(&self) -> String {
        match &self.inner {
            Some(inner) => format!("{}.{inner}", self.field),
            None => self.field.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::value::VALUE_BYTES_MAX;
    use super::*;
    use crate::document::kind;
    use crate::feature::types::Types;

    fn of(kind: &str) -> &'static TypeSpec {
        Types::seed().of(kind)
    }

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
        let spec = of(kind::ARTICLES);
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
        let metadata = of(kind::REPOSITORIES).metadata(&repository);
        assert_eq!(
            Value::Object(metadata.unwrap()),
            json!({"owner_id": "7", "author_id": "7", "author_full_name": "N"})
        );
        let other = fields(json!({"owner_id": "o", "score": 1.5, "tags": ["a"], "body": "B"}));
        let metadata = of("notes").metadata(&other);
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
            let (spec, stored) = (of(kind), fields(stored));
            let error = spec.texts(&stored).err().or(spec.metadata(&stored).err());
            let message = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(message.starts_with(named), "{kind}: {message}");
        }
    }

    #[test]
    fn metadata_is_never_big() {
        let stored = fields(json!({"link": "é".repeat(5000)}));
        let metadata = of(kind::POSTS).metadata(&stored).unwrap();
        let link = metadata["link"].as_str().unwrap();
        assert!(link.len() <= VALUE_BYTES_MAX && link.len() > VALUE_BYTES_MAX - 4);
    }
}
