//! `/v1/search`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::Shared;
use super::super::extract::{Body, Parameters};
use super::super::problem::Problem;
use super::{ask, said};
use crate::command::{Library, Request, Response};
use crate::search;

/// A question.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Question {
    /// The question, in anyone's words.
    #[schema(pattern = r"\S")]
    #[param(pattern = r"\S")]
    q: String,
    /// Only documents of this author: a full name, in any case, or an id.
    #[serde(default)]
    author: Option<String>,
    /// Only documents of these types; none for all. May be given several times.
    #[serde(default, rename = "type")]
    #[schema(required = false)]
    #[param(required = false)]
    types: Vec<String>,
    /// How many documents at most.
    #[serde(default = "ten", deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    #[param(minimum = 1, maximum = 1000, default = 10)]
    limit: usize,
}

fn ten() -> usize {
    10
}

/// A whole number, which JSON may also write as `10.0`.
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let number = serde_json::Number::deserialize(from)?;
    let text = number.to_string();
    let digits = text.strip_suffix(".0").unwrap_or(&text);
    let no = |_| serde::de::Error::custom(format!("{number} is no whole number"));
    digits.parse().map_err(no)
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Found {
    /// Documents, best first.
    hits: Vec<Hit>,
    /// Everything committed up to then is in the answer, parked changes aside: milliseconds since 1970, UTC.
    /// Null until every queue has settled a watermark.
    as_of_ms: Option<u64>,
    /// Changes that are set aside, and so not in the answer.
    parked: u64,
    /// What a person should know about this answer.
    note: Option<String>,
}

/// A document that answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hit {
    /// Its type.
    #[serde(rename = "type")]
    kind: String,
    /// Its `_id` as extended JSON: with the type it names exactly this document.
    id: String,
    /// Its `_id` for people.
    entry_id: String,
    /// The version that the index holds: four numbers.
    version: String,
    /// What it is ranked by; compares within this answer.
    score: f32,
    title: Option<String>,
    link: Option<String>,
    /// Its author's full name.
    author: Option<String>,
    /// Its best passages, best first.
    passages: Vec<Passage>,
}

/// A part of a document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Passage {
    /// The text as it was embedded.
    content: String,
    /// What it is ranked by; compares within this answer.
    score: f32,
    /// Its place in the document: grows with the text.
    rank: i64,
}

/// Finds documents that answer a question.
#[utoipa::path(
    get,
    path = "/v1/search",
    tag = "search",
    params(Question),
    responses((status = OK, description = "The best documents first; none is an answer too", body = Found)),
)]
pub(crate) async fn asked<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    mut given: Parameters,
) -> Result<Json<Found>, Problem> {
    let question = Question {
        q: given.one("q")?.unwrap_or_default(),
        author: given.one("author")?,
        types: given.many("type"),
        limit: given.read("limit", "number")?.unwrap_or_else(ten),
    };
    given.end()?;
    find(&shared, question).await
}

/// Finds documents that answer a question too long for a link.
#[utoipa::path(
    post,
    path = "/v1/search",
    tag = "search",
    operation_id = "search",
    request_body = Question,
    responses((status = OK, description = "The best documents first; none is an answer too", body = Found)),
)]
pub(crate) async fn posted<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    Body(question): Body<Question>,
) -> Result<Json<Found>, Problem> {
    find(&shared, question).await
}

async fn find<L: Library>(shared: &Shared<L>, question: Question) -> Result<Json<Found>, Problem> {
    said("q", &question.q)?;
    let mut query = search::Query {
        text: question.q,
        limit: question.limit,
        ..search::Query::default()
    };
    query.author = question.author;
    query.kinds = question.types;
    let library = shared.library.as_ref();
    let answer = ask(library, Request::Search(query), |answer| match answer {
        Response::Search(answer) => Some(answer),
        _ => None,
    });
    Ok(Json(answer.await?.into()))
}

impl From<search::Answer> for Found {
    fn from(answer: search::Answer) -> Self {
        Self {
            hits: answer.hits.into_iter().map(Hit::from).collect(),
            as_of_ms: answer.as_of_ms,
            parked: answer.parked,
            note: answer.note,
        }
    }
}

impl From<search::Hit> for Hit {
    fn from(hit: search::Hit) -> Self {
        let passages = hit.passages.into_iter().map(|passage| Passage {
            content: passage.content,
            score: passage.score,
            rank: passage.rank,
        });
        Self {
            entry_id: hit.key.entry_id(),
            kind: hit.key.kind,
            id: hit.key.id,
            version: hit.version.to_string(),
            score: hit.score,
            title: hit.title,
            link: hit.link,
            author: hit.author,
            passages: passages.collect(),
        }
    }
}
