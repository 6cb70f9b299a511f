//! `GET /v1/status`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::Shared;
use super::super::problem::Problem;
use super::ask;
use crate::command::{self, Library, Request, Response};

/// What is there and on its way; counts of a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The version that answers.
    pub version: String,
    /// The configured embedding model.
    pub model: String,
    /// The edition of the index that is searched.
    pub index: Index,
    /// The edition that is being filled beside it.
    pub reindex: Option<Reindex>,
    /// Documents of the source, by type.
    pub documents: BTreeMap<String, u64>,
    /// Documents that the index holds.
    pub indexed: u64,
    /// Stored vectors.
    pub points: u64,
    /// Remembered deletes.
    pub tombstones: u64,
    /// Changes on their way to the index.
    pub pending: u64,
    /// Whether there are more of them than were counted.
    pub pending_more: bool,
    /// Seconds between the commit of the oldest change that is pending and now; 0 without any.
    pub lag_seconds: f64,
    /// Changes set aside.
    pub parked: u64,
}

/// The edition of the index that is searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Index {
    /// Its number.
    pub edition: u32,
    /// The model of its vectors.
    pub model: String,
    /// Values a vector.
    pub dimension: usize,
    /// What a person should know of it.
    pub note: Option<String>,
}

/// An edition that is being filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reindex {
    /// Its number.
    pub edition: u32,
    /// The model of its vectors.
    pub model: String,
    /// Documents that it holds.
    pub documents: u64,
    /// Documents of the source.
    pub of: u64,
    /// Why it does not go on, where it does not.
    pub trouble: Option<String>,
}

/// What is there and on its way.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "operation",
    responses((status = OK, description = "Counts of a moment", body = Status)),
)]
pub(crate) async fn status<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
) -> Result<Json<Status>, Problem> {
    let library = shared.library.as_ref();
    let status = ask(library, Request::Status {}, |answer| match answer {
        Response::Status(status) => Some(*status),
        _ => None,
    });
    Ok(Json(status.await?.into()))
}

impl From<command::Status> for Status {
    fn from(status: command::Status) -> Self {
        Self {
            pending: status.pending.changes(),
            pending_more: status.pending.logged_more,
            index: Index {
                edition: status.index.edition,
                model: status.index.model,
                dimension: status.index.dimension,
                note: status.index.note,
            },
            reindex: status.reindex.map(|filling| Reindex {
                edition: filling.edition.edition,
                model: filling.edition.model,
                documents: filling.documents,
                of: filling.of,
                trouble: filling.trouble,
            }),
            version: status.version,
            model: status.model,
            documents: status.documents,
            indexed: status.indexed,
            points: status.points,
            tombstones: status.tombstones,
            lag_seconds: status.lag_seconds,
            parked: status.parked,
        }
    }
}
