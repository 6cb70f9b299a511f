//! The body of a change: the document's fields, and what the seed's consumers look for. No IO.
//!
//! ```text
//! {"platform": "medium", …, "type": "articles", "entry_id": "65f0…"}
//! ```
//!
//! A document may have fields of these names itself. They are kept under [`OWN`], each leaving its
//! place to ours, so that the document comes back as it was, in its own order.

use serde_json::{Map, Value};

use super::wire::unreadable;
use crate::change::DocumentKey;
use crate::document::Fields;
use crate::queue::Unreadable;

/// Holds the document's own fields whose names are taken.
pub(super) const OWN: &str = "lockstep_own";
const TYPE: &str = "type";
const ENTRY_ID: &str = "entry_id";
const TAKEN: [&str; 3] = [TYPE, ENTRY_ID, OWN];

/// The body, and whether it has [`OWN`]. Without fields: the two names alone.
pub(super) fn encode(key: &DocumentKey, fields: Option<&Fields>) -> (Vec<u8>, bool) {
    let mut body = fields.cloned().unwrap_or_default();
    let own: Map<String, Value> = TAKEN
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), body.get(*name)?.clone())))
        .collect();
    let has_own = !own.is_empty();
    body.insert(TYPE.to_owned(), key.kind.clone().into());
    body.insert(ENTRY_ID.to_owned(), key.entry_id().into());
    if has_own {
        body.insert(OWN.to_owned(), own.into());
    }
    (Value::Object(body).to_string().into_bytes(), has_own)
}

/// The document's fields in a body of ours.
pub(super) fn decode(body: &[u8], has_own: bool) -> Result<Fields, Unreadable> {
    let mut fields = object(body)?;
    let own = match has_own.then(|| fields.get_mut(OWN).map(Value::take)) {
        None => Map::new(),
        Some(Some(Value::Object(own))) => own,
        Some(_) => return Err(unreadable(format!("its body has no {OWN}"))),
    };
    for name in TAKEN {
        // In its place, where there is one of the document's own.
        match own.get(name) {
            Some(value) => drop(fields.insert(name.to_owned(), value.clone())),
            None if name == OWN && !has_own => {}
            None => drop(fields.shift_remove(name)),
        }
    }
    Ok(fields)
}

/// Key and fields in a seed producer's body: `type`, and `entry_id` or `_id`.
///
/// A text of 24 hex digits means an `ObjectId`, any other text itself.
pub(super) fn decode_seed(body: &[u8]) -> Result<(DocumentKey, Fields), Unreadable> {
    let mut fields = object(body)?;
    let Some(Value::String(kind)) = fields.shift_remove(TYPE) else {
        return Err(unreadable(
            "it has neither our headers nor a type in its body",
        ));
    };
    let (id, entry_id) = (fields.shift_remove("_id"), fields.shift_remove(ENTRY_ID));
    let id = match (id, entry_id) {
        (Some(id), _) => id,
        (None, Some(Value::String(text))) if is_object_id(&text) => {
            serde_json::json!({"$oid": text})
        }
        (None, Some(Value::String(text))) => Value::String(text),
        _ => {
            return Err(unreadable(
                "it has neither our headers nor an entry_id in its body",
            ));
        }
    };
    let key = DocumentKey::from_json(kind, &id).map_err(|error| unreadable(error.to_string()))?;
    fields.values_mut().for_each(modernise);
    Ok((key, fields))
}

fn object(body: &[u8]) -> Result<Fields, Unreadable> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(unreadable("its body is no JSON object")),
        Err(error) => Err(unreadable(format!("its body is no JSON: {error}"))),
    }
}

/// Lower case only, as drivers write it: an upper-case text is a text.
fn is_object_id(text: &str) -> bool {
    text.len() == 24
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The older `{"$date": number}` as the relaxed form of today; a date beyond it is left alone.
fn modernise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let [("$date", Value::Number(number))] = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value))
                .collect::<Vec<_>>()[..]
                && let Some(milliseconds) = number.as_i64()
                && let Ok(text) = bson::DateTime::from_millis(milliseconds).try_to_rfc3339_string()
            {
                fields.insert("$date".to_owned(), text.into());
            } else {
                fields.values_mut().for_each(modernise);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(modernise),
        _ => {}
    }
}
