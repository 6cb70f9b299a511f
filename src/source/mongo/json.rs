//! BSON to extended JSON and back.
//!
//! ```text
//! _id    ──canonical──> text of a DocumentKey     {"$numberInt":"5"}   every type told apart
//! fields ──relaxed────> Fields                    5                    as people write them
//! ```
//!
//! Written from the raw bytes in one pass. What cannot be read so is made legible first: one strange document must
//! not stop every other.

use bson::raw::RawBinaryRef;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document as BsonDocument, RawBsonRef, RawDocument};
use serde_json::{Map, Number, Value, json};

use super::id;
use super::legible::legible;
use crate::change::DocumentKey;
use crate::document::Fields;
use crate::{Error, Result};

/// Levels of a document, its own among them. `MongoDB` documents no more than these and lets 180 pass; readers of
/// JSON stop at 128, of which a value and a message have a few of their own.
const LEVELS_MAX: u32 = 100;

/// Which of the two forms of extended JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Every number names its type.
    Canonical,
    /// Numbers and dates as JSON has them; loses the width of an integer.
    Relaxed,
}

type Bare<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A value as canonical extended JSON, in text.
pub(super) fn text(found: RawBsonRef<'_>) -> Result<String> {
    let value = value(found, Form::Canonical, 1);
    Ok(value.map_err(malformed("value"))?.to_string())
}

/// These bytes as extended JSON.
pub(super) fn bytes(bytes: &[u8]) -> Result<Value> {
    let subtype = BinarySubtype::Generic;
    binary_body(RawBinaryRef { subtype, bytes }).map_err(malformed("bytes"))
}

/// The fields of a stored document, without its `_id`.
///
/// Text that is no UTF-8 is read with replacement characters. What is nested deeper than 100 levels is carried as
/// the text of its JSON.
pub(super) fn fields(key: &DocumentKey, document: &RawDocument) -> Result<Fields> {
    let read = without_id(document);
    read.or_else(|_| made_legible(key, document))
}

fn made_legible(key: &DocumentKey, document: &RawDocument) -> Result<Fields> {
    let malformed = || malformed(format!("document {key}"));
    let legible = legible(document).map_err(|error| malformed()(error.into()))?;
    if !legible.is_whole {
        tracing::warn!(%key, "a stored document is damaged: it is carried without what cannot be read");
    }
    without_id(&legible.document).map_err(malformed())
}

/// A document as canonical extended JSON; a resume token, say.
pub(super) fn canonical(document: &RawDocument) -> Result<Value> {
    let fields = object(document, Form::Canonical, 1).map_err(malformed("document"))?;
    Ok(Value::Object(fields))
}

/// The document to store: its `_id` first, then the fields.
pub(super) fn stored(key: &DocumentKey, fields: Fields) -> Result<BsonDocument> {
    let mut stored = BsonDocument::new();
    stored.insert("_id", id::value(&key.id)?);
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

fn object(document: &RawDocument, form: Form, level: u32) -> Bare<Map<String, Value>> {
    members(document, (form, level), |_| true)
}

/// A whole document but for its `_id`, which is not looked at: its key has it.
fn without_id(document: &RawDocument) -> Bare<Fields> {
    members(document, (Form::Relaxed, 1), |name| name != "_id")
}

fn members(
    document: &RawDocument,
    (form, level): (Form, u32),
    is_wanted: impl Fn(&str) -> bool,
) -> Bare<Map<String, Value>> {
    let mut members = Map::new();
    for element in document.iter_elements() {
        let element = element?;
        let name = element.key().as_str();
        if is_wanted(name) {
            let member = value(element.value()?, form, level)?;
            members.insert(name.to_owned(), member);
        }
    }
    Ok(members)
}

/// A value of a document that is at this level.
fn value(found: RawBsonRef<'_>, form: Form, level: u32) -> Bare<Value> {
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
        RawBsonRef::Document(inner) => {
            let object = object(inner, form, level + 1)?;
            nested(object.into(), form, level + 1)
        }
        RawBsonRef::Array(items) => {
            let items = items.iter_elements();
            let members = items.map(|it| value(it?.value()?, form, level + 1));
            let members = members.collect::<Bare<Vec<_>>>()?;
            nested(members.into(), form, level + 1)
        }
        RawBsonRef::DateTime(date) => json!({ "$date": date_body(date, form) }),
        RawBsonRef::Binary(binary) => binary_body(binary)?,
        // The serialiser has one form for the numbers of a scope, and none for those without an end.
        RawBsonRef::JavaScriptCodeWithScope(code) => {
            let scope = object(code.scope, form, level + 2)?;
            let scope = nested(scope.into(), form, level + 2);
            let code = json!({ "$code": code.code, "$scope": scope });
            nested(code, form, level + 1)
        }
        other => serde_json::to_value(other)?,
    })
}

/// What is at this level, as a reader of JSON can take it. An `_id` is read by other means.
fn nested(value: Value, form: Form, level: u32) -> Value {
    if form == Form::Relaxed && level == LEVELS_MAX + 1 {
        value.to_string().into()
    } else {
        value
    }
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
