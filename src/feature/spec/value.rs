//! Values as metadata carries them, and what is said of those that it cannot carry. Pure.

use serde_json::Value;

use crate::Error;
use crate::document::Fields;

/// The most bytes that one metadata value keeps; a longer string is cut.
pub(super) const VALUE_BYTES_MAX: usize = 2048;

/// A value as metadata carries it: text, number or truth. Ids are always text, so that a filter
/// finds them whatever their stored type.
pub(super) fn scalar(name: &str, value: &Value) -> Option<Value> {
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

pub(super) fn not_scalar(field: &str) -> Error {
    let why = "it should be a text, a number, a date, an id, or true or false";
    Error::malformed(format!("field {field}"), why)
}

pub(super) fn wrong_type(field: &str, wanted: &str, found: &Value) -> Error {
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
