//! `GET /v1/documents/{type}/{id}`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::super::Shared;
use super::super::extract::Segments;
use super::super::problem::Problem;
use crate::command::{Held, Library};

/// A document as the index holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Document {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its `_id` as extended JSON.
    pub id: String,
    /// Its `_id` for people.
    pub entry_id: String,
    /// The version that the index holds: four numbers.
    pub version: String,
    /// When the source committed it: milliseconds since 1970, UTC.
    pub committed_ms: u64,
    /// Of the cleaner, chunker and model that made the chunks.
    pub fingerprint: String,
    /// What every chunk carries.
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// The cleaned text.
    pub text: String,
    /// In the order of the text.
    pub chunks: Vec<Chunk>,
}

/// A part of a document that was embedded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Chunk {
    /// The point.
    #[schema(format = "uuid")]
    pub id: String,
    /// Its place in the document: grows with the text.
    pub rank: i64,
    /// The text as it was embedded.
    pub content: String,
}

/// A document with its chunks.
#[utoipa::path(
    get,
    path = "/v1/documents/{type}/{id}",
    tag = "documents",
    params(
        ("type" = String, Path, description = "Its type, as `articles`"),
        ("id" = String, Path, description = "Its `_id` as extended JSON, or as people read it; a slash in it as %2F"),
    ),
    responses(
        (status = OK, description = "The document", body = Document),
        (status = NOT_FOUND, description = "The index holds none", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn document<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    Segments((kind, id)): Segments<(String, String)>,
) -> Result<Json<Document>, Problem> {
    let held = shared.library.document(&kind, &id).await?;
    Ok(Json(held.into()))
}

impl From<Held> for Document {
    fn from(Held { manifest, points }: Held) -> Self {
        let chunks = points.into_iter().map(|point| Chunk {
            id: point.id.to_string(),
            rank: point.rank,
            content: point.content,
        });
        Self {
            entry_id: manifest.key.entry_id(),
            kind: manifest.key.kind,
            id: manifest.key.id,
            version: manifest.stamp.version.to_string(),
            committed_ms: manifest.committed_ms,
            fingerprint: manifest.fingerprint,
            metadata: Value::Object(manifest.metadata),
            text: manifest.text,
            chunks: chunks.collect(),
        }
    }
}
