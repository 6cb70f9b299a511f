//! A document to the texts that are embedded: clean, then chunk. Pure; the oracle of what the index
//! must hold.

use crate::document::Fields;

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

/// Stands in until the room is merged.
pub const FINGERPRINT: &str = "stub";
/// Stub.
#[derive(Debug)]
pub struct Limits {
    /// .
    pub token_max: usize,
}
impl Limits {
    /// .
    pub fn of_model(m: &crate::feature::embed::Model) -> Self {
        Self {
            token_max: m.token_limit,
        }
    }
}
/// Stub: each line a chunk.
pub fn prepare(
    _kind: &str,
    fields: &Fields,
    _l: &Limits,
    _c: &impl Fn(&str) -> usize,
) -> crate::Result<Prepared> {
    let text = match fields.get("content") {
        Some(serde_json::Value::String(s)) => s.clone(),
        None => String::new(),
        Some(_) => return Err(crate::Error::malformed("content", "no text")),
    };
    let mut metadata = Fields::new();
    if let Some(a) = fields.get("author_id") {
        metadata.insert("author_id".into(), a.clone());
    }
    Ok(Prepared {
        metadata,
        chunks: text.lines().map(str::to_owned).collect(),
        text,
    })
}
