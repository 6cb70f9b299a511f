//! Documents and chunks as lines. Pure.

use serde::Serialize;
use serde_json::Value;

use crate::document::Fields;
use crate::vector::{Manifest, Point};
use crate::{Error, Result};

/// A document; its fields are written in this order.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    entry_id: String,
    version: String,
    committed_ms: u64,
    fingerprint: &'a str,
    metadata: Fields,
    text: &'a str,
}

/// A chunk; its fields are written in this order.
#[derive(Serialize)]
struct Chunk<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    entry_id: String,
    version: String,
    #[serde(rename = "chunk")]
    point: String,
    number: usize,
    content: &'a str,
    metadata: Fields,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<&'a [f32]>,
}

pub(super) fn document(out: &mut Vec<u8>, manifest: &Manifest) -> Result<()> {
    let line = Document {
        kind: &manifest.key.kind,
        id: &manifest.key.id,
        entry_id: manifest.key.entry_id(),
        version: manifest.stamp.version.to_string(),
        committed_ms: manifest.committed_ms,
        fingerprint: &manifest.fingerprint,
        metadata: sorted(&manifest.metadata),
        text: &manifest.text,
    };
    write(out, &line)
}

pub(super) fn chunk(
    out: &mut Vec<u8>,
    manifest: &Manifest,
    (point, number): (&Point, usize),
    vectors: bool,
) -> Result<()> {
    let line = Chunk {
        kind: &manifest.key.kind,
        id: &manifest.key.id,
        entry_id: manifest.key.entry_id(),
        version: manifest.stamp.version.to_string(),
        point: point.id.to_string(),
        number,
        content: &point.content,
        metadata: sorted(&manifest.metadata),
        vector: vectors.then_some(point.vector.as_slice()),
    };
    write(out, &line)
}

fn write(out: &mut Vec<u8>, line: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, line)
        .map_err(|error| Error::malformed("a line of the export", error.to_string()))?;
    out.push(b'\n');
    Ok(())
}

/// The same with names in alphabetical order: a store may hand them out in any.
fn sorted(fields: &Fields) -> Fields {
    let mut names: Vec<_> = fields.iter().collect();
    names.sort_by_key(|(name, _)| *name);
    let sort = |(name, value): (&String, &Value)| (name.clone(), ordered(value));
    names.into_iter().map(sort).collect()
}

fn ordered(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(sorted(fields)),
        Value::Array(items) => items.iter().map(ordered).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_in_one_order_however_they_were_stored() {
        let one = json!({"b": {"d": 1, "c": [{"z": 1, "a": 2}]}, "a": 3});
        let other = json!({"a": 3, "b": {"c": [{"a": 2, "z": 1}], "d": 1}});
        let text = |value: &Value| ordered(value).to_string();
        assert_eq!(text(&one), text(&other));
        assert_eq!(text(&one), r#"{"a":3,"b":{"c":[{"a":2,"z":1}],"d":1}}"#);
    }
}
