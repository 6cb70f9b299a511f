//! The body of a change: the document's fields, and what the seed's consumers look for. No IO.
//!
//! ```text
//! {"platform": "medium", …, "type": "articles", "entry_id": "65f0…"}
//! ```
//!
//! A document may have fields of these names itself. They are kept under [`OWN`], each leaving its
//! place to ours, so that the document comes back as it was, in its own order.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
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

/// The body, and whether it has [`OWN`]. Without fields: the two names alone. `size` is about how
/// many bytes it will have.
pub(super) fn encode(key: &DocumentKey, fields: Option<&Fields>, size: usize) -> (Vec<u8>, bool) {
    let none = Fields::new();
    let fields = fields.unwrap_or(&none);
    let has_own = TAKEN.iter().any(|name| fields.contains_key(*name));
    let body = Body {
        kind: &key.kind,
        entry_id: &key.entry_id(),
        fields,
        has_own,
    };
    let mut bytes = Vec::with_capacity(size);
    // Its names are texts and its numbers finite, and memory takes all that is written.
    serde_json::to_writer(&mut bytes, &body).expect("a body should be JSON: it is made of JSON");
    (bytes, has_own)
}

/// A body, written straight from the document's fields.
struct Body<'a> {
    kind: &'a str,
    entry_id: &'a str,
    fields: &'a Fields,
    has_own: bool,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        for (name, value) in self.fields {
            match name.as_str() {
                TYPE => body.serialize_entry(TYPE, self.kind)?,
                ENTRY_ID => body.serialize_entry(ENTRY_ID, self.entry_id)?,
                OWN => body.serialize_entry(OWN, &Own(self.fields))?,
                _ => body.serialize_entry(name, value)?,
            }
        }
        if !self.fields.contains_key(TYPE) {
            body.serialize_entry(TYPE, self.kind)?;
        }
        if !self.fields.contains_key(ENTRY_ID) {
            body.serialize_entry(ENTRY_ID, self.entry_id)?;
        }
        if self.has_own && !self.fields.contains_key(OWN) {
            body.serialize_entry(OWN, &Own(self.fields))?;
        }
        body.end()
    }
}

/// The document's own fields whose names are taken.
struct Own<'a>(&'a Fields);

impl Serialize for Own<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = |name: &&'static str| Some((*name, self.0.get(*name)?));
        serializer.collect_map(TAKEN.iter().filter_map(own))
    }
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
