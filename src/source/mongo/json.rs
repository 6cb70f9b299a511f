//! BSON to extended JSON and back.
//!
//! ```text
//! _id    ──canonical──> text of a DocumentKey     {"$numberInt":"5"}   every type told apart
//! fields ──relaxed────> Fields                    5                    as people write them
//! ```
//!
//! Written from the raw bytes in one pass. Text that is not UTF-8 is read with replacement
//! characters: one such document must not stop every other.

use bson::raw::{RawBinaryRef, RawElement};
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document as BsonDocument, RawBsonRef, RawDocument};
use serde_json::{Map, Number, Value, json};

use crate::change::DocumentKey;
use crate::document::Fields;
use crate::{Error, Result};

/// Which of the two forms of extended JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Every number names its type.
    Canonical,
    /// Numbers and dates as JSON has them; loses the width of an integer.
    Relaxed,
}

type Bare<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The text of an `_id`, as [`DocumentKey`] holds it.
pub(super) fn id_text(id: RawBsonRef<'_>) -> Result<String> {
    let value = value(id, Form::Canonical);
    Ok(value.map_err(malformed("_id"))?.to_string())
}

/// The key of a document that carries an `_id`.
pub(super) fn key(kind: &str, id: RawBsonRef<'_>) -> Result<DocumentKey> {
    let (kind, id) = (kind.to_owned(), id_text(id)?);
    Ok(DocumentKey { kind, id })
}

/// The inverse of [`id_text`].
pub(super) fn id(text: &str) -> Result<Bson> {
    serde_json::from_str(text).map_err(|error| malformed(format!("_id {text}"))(error.into()))
}

/// The fields of a stored document, without its `_id`.
pub(super) fn fields(document: &RawDocument) -> Result<Fields> {
    let mut fields = object(document, Form::Relaxed).map_err(malformed("stored document"))?;
    fields.shift_remove("_id");
    Ok(fields)
}

/// A document as canonical extended JSON; a resume token, say.
pub(super) fn canonical(document: &RawDocument) -> Result<Value> {
    let fields = object(document, Form::Canonical).map_err(malformed("document"))?;
    Ok(Value::Object(fields))
}

/// The document to store: its `_id` first, then the fields.
pub(super) fn stored(key: &DocumentKey, fields: Fields) -> Result<BsonDocument> {
    let mut stored = BsonDocument::new();
    stored.insert("_id", id(&key.id)?);
    for (name, value) in fields {
        let value: Bson = serde_json::from_value(value)
            .map_err(|error| malformed(format!("{name} of {key}"))(error.into()))?;
        stored.insert(name, value);
    }
    Ok(stored)
}

fn malformed(thing: impl Into<String>) -> impl FnOnce(crate::error::Cause) -> Error {
    let thing = thing.into();
    move |error| Error::malformed(thing, error.to_string())
}

fn object(document: &RawDocument, form: Form) -> Bare<Map<String, Value>> {
    let mut object = Map::new();
    for element in document.iter_elements() {
        let element = element?;
        object.insert(element.key().as_str().to_owned(), member(&element, form)?);
    }
    Ok(object)
}

fn member(element: &RawElement<'_>, form: Form) -> Bare<Value> {
    match element.value() {
        Ok(found) => value(found, form),
        Err(_) => value(element.value_utf8_lossy()?.as_raw_bson_ref(), form),
    }
}

fn value(found: RawBsonRef<'_>, form: Form) -> Bare<Value> {
    let number = |name: &str, relaxed: Number| match form {
        Form::Canonical => json!({ name: relaxed.to_string() }),
        Form::Relaxed => Value::Number(relaxed),
    };
    Ok(match found {
        RawBsonRef::String(text) => text.into(),
        RawBsonRef::Int32(integer) => number("$numberInt", integer.into()),
        RawBsonRef::Int64(integer) => number("$numberLong", integer.into()),
        RawBsonRef::Double(double) => match Number::from_f64(double) {
            Some(finite) => number("$numberDouble", finite),
            None => json!({ "$numberDouble": unending(double) }),
        },
        RawBsonRef::Document(inner) => Value::Object(object(inner, form)?),
        RawBsonRef::Array(items) => {
            let items = items.as_bytes();
            let members = RawDocument::from_bytes(items)?.iter_elements();
            Value::Array(members.map(|it| member(&it?, form)).collect::<Bare<_>>()?)
        }
        RawBsonRef::DateTime(date) => json!({ "$date": date_body(date, form) }),
        RawBsonRef::Binary(binary) => binary_body(binary)?,
        other => serde_json::to_value(other)?,
    })
}

/// The serialiser writes a generic binary as bare bytes, so every one is given another subtype.
fn binary_body(binary: RawBinaryRef<'_>) -> Bare<Value> {
    let other = Binary {
        subtype: BinarySubtype::UserDefined(0x80),
        bytes: binary.bytes.to_vec(),
    };
    let mut value = serde_json::to_value(other)?;
    if let Some(subtype) = value.pointer_mut("/$binary/subType") {
        *subtype = format!("{:02x}", u8::from(binary.subtype)).into();
    }
    Ok(value)
}

/// Relaxed dates are text where four digits can tell the year, as the specification says.
fn date_body(date: DateTime, form: Form) -> Value {
    const YEAR_10000: i64 = 253_402_300_800_000;
    let milliseconds = date.timestamp_millis();
    if form == Form::Relaxed
        && (0..YEAR_10000).contains(&milliseconds)
        && let Ok(text) = date.try_to_rfc3339_string()
    {
        return text.into();
    }
    json!({ "$numberLong": milliseconds.to_string() })
}

/// How extended JSON writes a double that JSON has no number for.
fn unending(double: f64) -> &'static str {
    if double.is_nan() {
        "NaN"
    } else if double > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

#[cfg(test)]
mod tests;
