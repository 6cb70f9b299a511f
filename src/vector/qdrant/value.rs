//! JSON as the protocol's values, and back. Pure.

use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{ListValue, Struct, Value};

use crate::document::Fields;

/// The value of some JSON. A number that is neither a 64-bit integer nor a 64-bit float becomes the
/// nearest float; see [`is_kept`].
pub(super) fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Kind::IntegerValue(integer),
            None => Kind::DoubleValue(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(value).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(fields_value(fields)),
    };
    Value { kind: Some(kind) }
}

fn fields_value(fields: &Fields) -> Struct {
    Struct {
        fields: fields
            .iter()
            .map(|(name, json)| (name.clone(), value(json)))
            .collect(),
    }
}

/// The JSON of a value.
pub(super) fn json(value: Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(truth)) => Json::Bool(truth),
        Some(Kind::IntegerValue(integer)) => Json::from(integer),
        Some(Kind::DoubleValue(float)) => Json::from(float),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(fields)) => Json::Object(
            fields
                .fields
                .into_iter()
                .map(|(name, value)| (name, json(value)))
                .collect(),
        ),
    }
}

/// Whether a server gives the JSON back as it was given. It keeps payloads as JSON text and parses
/// floats by a rule that may change their last digit; and what is above the signed integers has no
/// value of its own.
pub(super) fn is_kept(json: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match json {
        Json::Null | Json::Bool(_) | Json::String(_) => true,
        Json::Number(number) => number.is_i64(),
        Json::Array(items) => items.iter().all(is_kept),
        Json::Object(fields) => fields.values().all(is_kept),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let whole = json!({"null": null, "list": [null, {"b": []}, true], "small": i64::MIN,
            "large": i64::MAX, "": "", "a.b": {"$oid": "65f0"}, "text": "é\u{0}"});
        assert!(is_kept(&whole));
        assert_eq!(super::json(value(&whole)), whole);
        for changed in [json!(1.5), json!([u64::MAX]), json!({"a": {"b": 0.1}})] {
            assert!(!is_kept(&changed), "{changed}");
        }
    }
}
