//! `GET /v1/export`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::Shared;
use super::super::extract::Parameters;
use super::super::guard::Turn;
use super::super::problem::Problem;
use super::super::wire::NDJSON;
use crate::command::Library;
use crate::export::{Export, Selection, Summary, What};
use crate::moment;
use crate::vector::VectorStore;
use crate::{Error, Result};

/// What a line is.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes what is read by name")]
pub(crate) enum Kind {
    Documents,
    Chunks,
    Vectors,
}

/// What is exported.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what is read by name")]
pub(crate) struct Wanted {
    /// What a line is: a document with its text, a chunk, or a chunk with its vector.
    #[param(inline, required = false)]
    what: Kind,
    /// Only documents of this author: a full name, in any case, or an id.
    author: Option<String>,
    /// Only documents of these types; none for all. May be given several times.
    #[param(rename = "type", required = false)]
    types: Vec<String>,
    /// Only documents whose last change was committed then or later: RFC 3339 with a zone. The `as_of` of
    /// the export before makes this one go on from there; deletes are in none.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Whether the last line is `{"manifest": …}`: counts, digest and `as_of`.
    #[param(default = false)]
    manifest: Option<bool>,
}

/// The last line of an export with its manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Last {
    pub(crate) manifest: Summary,
}

/// The index as lines of JSON, in the order of the keys; the same bytes while nothing changes.
#[utoipa::path(
    get,
    path = "/v1/export",
    tag = "documents",
    params(Wanted),
    responses((status = OK, description = "A JSON object a line", body = String, content_type = "application/x-ndjson")),
)]
pub(crate) async fn export<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    Extension(turn): Extension<Turn>,
    mut given: Parameters,
) -> Result<Response, Problem> {
    let selection = Selection {
        what: what(given.one("what")?)?,
        author: given.one("author")?,
        types: given.many("type"),
        since_ms: since(given.one("since")?)?,
    };
    let manifest = given.read("manifest", "truth value")?.unwrap_or(false);
    given.end()?;
    let export = shared.library.export(selection).await?;
    let writing = Writing {
        export,
        manifest,
        _turn: turn,
    };
    let body = Body::from_stream(stream::try_unfold(Some(writing), next));
    Ok(([(header::CONTENT_TYPE, NDJSON)], body).into_response())
}

fn what(text: Option<String>) -> Result<What, Problem> {
    let Some(text) = text else {
        return Ok(What::default());
    };
    let found = What::ALL.into_iter().find(|what| what.name() == text);
    found.ok_or_else(|| {
        let names = What::ALL.map(What::name).join(", ");
        Problem::bad(format!("what: {text:?} is none of {names}"))
    })
}

fn since(text: Option<String>) -> Result<Option<u64>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    // A day or a number, as the command takes them too, says nothing of a zone.
    let read = moment::read(&text).filter(|_| text.contains(['T', 't', ' ']));
    let bad = || {
        Problem::bad(format!(
            "since: {text:?} is no time, as 2026-01-31T12:00:00Z"
        ))
    };
    read.ok_or_else(bad).map(Some)
}

/// An export whose lines are being sent.
struct Writing<V> {
    export: Export<V>,
    manifest: bool,
    _turn: Turn,
}

/// The next lines; where they fail the body ends in the middle, so that nobody takes it for whole.
async fn next<V: VectorStore>(
    writing: Option<Writing<V>>,
) -> Result<Option<(Vec<u8>, Option<Writing<V>>)>> {
    let Some(mut writing) = writing else {
        return Ok(None);
    };
    let next = writing.export.next().await.inspect_err(|error| {
        tracing::warn!(error = %error.chain(), "an export was broken off");
    });
    match next? {
        Some(lines) => Ok(Some((lines, Some(writing)))),
        None if writing.manifest => {
            let manifest = writing.export.summary();
            let line = serde_json::to_vec(&Last { manifest });
            let mut line =
                line.map_err(|error| Error::malformed("the manifest", error.to_string()))?;
            line.push(b'\n');
            Ok(Some((line, None)))
        }
        None => Ok(None),
    }
}
