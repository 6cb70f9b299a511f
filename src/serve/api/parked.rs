//! `GET /v1/parked`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Shared;
use super::super::problem::Problem;
use super::ask;
use crate::command::{Library, ParkedMessage, Request, Response};

/// Changes that were set aside.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ParkedList {
    /// By id.
    parked: Vec<Parked>,
    /// Whether there are more than are listed.
    more: bool,
}

/// A change that was set aside.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Parked {
    #[schema(format = "uuid")]
    id: String,
    /// The document's type; null for bytes that are no message.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// The document's `_id` as extended JSON.
    document_id: Option<String>,
    /// The change's version; null without one.
    version: Option<String>,
    /// Why it was set aside.
    reason: String,
    /// How often it had been tried.
    attempts: u32,
    /// When: milliseconds since 1970, UTC.
    #[serde(rename = "parked_ms")]
    at_ms: u64,
}

/// Changes that were set aside, and why; `lockstep parked retry` reads their documents again.
#[utoipa::path(
    get,
    path = "/v1/parked",
    tag = "operation",
    responses((status = OK, description = "The first thousand", body = ParkedList)),
)]
pub(crate) async fn parked<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
) -> Result<Json<ParkedList>, Problem> {
    let library = shared.library.as_ref();
    let list = ask(library, Request::ParkedList {}, |answer| match answer {
        Response::ParkedList(list) => Some(list),
        _ => None,
    });
    let list = list.await?;
    Ok(Json(ParkedList {
        parked: list.messages.into_iter().map(Parked::from).collect(),
        more: list.more,
    }))
}

impl From<ParkedMessage> for Parked {
    fn from(ParkedMessage { message, .. }: ParkedMessage) -> Self {
        let (kind, id) = message.key.map(|key| (key.kind, key.id)).unzip();
        Self {
            id: message.id.to_string(),
            kind,
            document_id: id,
            version: Some(message.version)
                .filter(|version| version.is_some())
                .map(|version| version.to_string()),
            reason: message.reason,
            attempts: message.attempts,
            at_ms: message.parked_ms,
        }
    }
}
