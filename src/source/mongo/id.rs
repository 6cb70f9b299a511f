//! The `_id` of a document: as text in its key, and as the server is asked for it again. Pure.
//!
//! ```text
//! _id ──canonical extended JSON──> {"$numberInt":"5"}          nearly every one
//!  └────what that cannot say─────> {"$bson":{"$binary":{…}}}   the document {_id: …}, in bytes
//! ```
//!
//! What would not be found again by its text goes by its bytes: text that is no UTF-8, more levels than readers of
//! JSON take, and what a query takes for something else than a value. No `_id` in MongoDB begins with `$`, so that no
//! document has the other's text.

use bson::{Bson, RawBsonRef, RawDocument, RawDocumentBuf, doc};

use super::{json, legible};
use crate::change::DocumentKey;
use crate::{Error, Result};

/// Names the form in bytes.
const BYTES: &str = "$bson";

/// How the server is asked for a document.
#[derive(Debug, PartialEq)]
pub(super) enum Id {
    /// By a value in a query.
    Value(Bson),
    /// By the document `{_id: …}` as a bound of the index: no query can hold its bytes.
    Bytes(RawDocumentBuf),
}

/// The key of the document whose `_id` is among these fields.
///
/// # Errors
/// [`Error::Malformed`] where there is none.
pub(super) fn key(kind: &str, fields: &RawDocument) -> Result<DocumentKey> {
    let id = match fields.get("_id") {
        Ok(Some(id)) if is_plain(id) => json::text(id)?,
        _ => text(kind, fields)?,
    };
    let kind = kind.to_owned();
    Ok(DocumentKey { kind, id })
}

/// The inverse of [`key`].
pub(super) fn id(text: &str) -> Result<Id> {
    let malformed = |why: String| Error::malformed(format!("_id {text}"), why);
    let value: Bson = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let form = value.as_document().filter(|form| form.len() == 1);
    let Some(bytes) = form.and_then(|form| form.get_binary_generic(BYTES).ok()) else {
        return Ok(Id::Value(value));
    };
    let bytes = RawDocumentBuf::from_bytes(bytes.clone());
    let bytes = bytes.map_err(|error| malformed(error.to_string()))?;
    if legible::alone(&bytes, "_id").as_ref() == Some(&bytes) {
        Ok(Id::Bytes(bytes))
    } else {
        Err(malformed("its bytes are not those of an _id".to_owned()))
    }
}

/// The `_id` as it is written.
///
/// # Errors
/// [`Error::Malformed`] for one that goes by its bytes: the driver writes only what it could have read.
pub(super) fn value(text: &str) -> Result<Bson> {
    match id(text)? {
        Id::Value(value) => Ok(value),
        Id::Bytes(_) => Err(Error::malformed(
            format!("_id {text}"),
            "it is not written or deleted from here; do that with MongoDB's own tools",
        )),
    }
}

/// Whether it is of a kind whose text always leads back to it.
fn is_plain(id: RawBsonRef<'_>) -> bool {
    matches!(
        id,
        RawBsonRef::String(_)
            | RawBsonRef::ObjectId(_)
            | RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Boolean(_)
            | RawBsonRef::Null
            | RawBsonRef::DateTime(_)
            | RawBsonRef::Timestamp(_)
            | RawBsonRef::Binary(_)
            | RawBsonRef::MinKey
            | RawBsonRef::MaxKey
    )
}

fn text(kind: &str, fields: &RawDocument) -> Result<String> {
    let alone = legible::alone(fields, "_id");
    let alone = alone.ok_or_else(|| Error::malformed(format!("a document of {kind}"), "no _id"))?;
    if let Some(text) = said(&alone) {
        return Ok(text);
    }
    let bytes = json::bytes(alone.as_bytes())?;
    Ok(serde_json::json!({ BYTES: bytes }).to_string())
}

/// Its text in extended JSON, where that leads back to the same bytes and a query takes it for a value.
fn said(alone: &RawDocument) -> Option<String> {
    let id = alone.get("_id").ok()??;
    let text = json::text(id).ok()?;
    let again: Bson = serde_json::from_str(&text).ok()?;
    let again = RawDocumentBuf::try_from(doc! { "_id": again }).ok()?;
    (again.as_bytes() == alone.as_bytes() && is_operand(id)).then_some(text)
}

/// False for what a query takes for a pattern, for an operator, or not at all.
fn is_operand(id: RawBsonRef<'_>) -> bool {
    match id {
        RawBsonRef::RegularExpression(_) | RawBsonRef::Undefined | RawBsonRef::Array(_) => false,
        RawBsonRef::Document(fields) => fields
            .iter_elements()
            .flatten()
            .all(|field| !field.key().as_str().starts_with('$')),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
