//! `GET /v1/status`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Shared;
use super::super::problem::Problem;
use super::ask;
use crate::command::{self, Library, Request, Response};

/// What is there and on its way; counts of a moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// The version that answers.
    version: String,
    /// The configured embedding model.
    model: String,
    index: Index,
    /// The edition that is being filled beside it.
    reindex: Option<Reindex>,
    /// Documents of the source, by type.
    documents: BTreeMap<String, u64>,
    /// Documents that the index holds.
    indexed: u64,
    /// Stored vectors.
    points: u64,
    /// Remembered deletes.
    tombstones: u64,
    /// Changes on their way to the index.
    pending: u64,
    /// Whether there are more of them than were counted.
    pending_more: bool,
    /// Seconds between the commit of the oldest change that is pending and now; 0 without any.
    lag_seconds: f64,
    /// Changes set aside.
    parked: u64,
}

/// The edition of the index that is searched.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Index {
    edition: u32,
    /// The model of its vectors.
    model: String,
    /// Values a vector.
    dimension: usize,
    /// What a person should know of it.
    note: Option<String>,
}

/// An edition that is being filled.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reindex {
    edition: u32,
    /// The model of its vectors.
    model: String,
    /// Documents that it holds.
    documents: u64,
    /// Documents of the source.
    of: u64,
    /// Why it does not go on, where it does not.
    trouble: Option<String>,
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
