//! `/v1/search`

mod question;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::Shared;
use super::super::extract::{Body, Parameters};
use super::super::problem::Problem;
use super::super::stopping;
use super::own;
use crate::change::DocumentKey;
use crate::command::{Library, Reporter, Response};
use crate::search::{self, Awaited, Mode};
use crate::{Error, Result};

pub(crate) use question::Question;

/// What was found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Found {
    /// Documents, best first.
    hits: Vec<Hit>,
    /// Everything committed up to then is in the answer, parked changes aside: milliseconds since 1970, UTC.
    /// Null until every queue has settled a watermark.
    as_of_ms: Option<u64>,
    /// Changes that are set aside, and so not in the answer; null where the queue did not say.
    parked: Option<u64>,
    /// What became of the version that was asked for with `at_least`; null where none was.
    #[schema(inline)]
    at_least: Option<Standing>,
    /// What a person should know about this answer.
    note: Option<String>,
}

/// What became of a version that was waited for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Everything up to it is in the answer.
    Reached,
    /// Not yet everything, at the end of the wait.
    NotYet,
    /// The change of this very version is set aside, and not in the answer.
    Parked,
}

/// A document that answers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Passage {
    /// The text as it was embedded.
    content: String,
    /// The same with what stands before and after it in the document; in the first 50 documents of an answer.
    text: String,
    /// What it is ranked by; compares within this answer.
    score: f32,
    /// Cosine similarity of its meaning, -1 to 1; null where it was found by its words alone.
    cosine: Option<f32>,
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
    let question = Question::of(&mut given)?;
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
    let query = question.query(shared.settings.timeout)?;
    let (report, _) = Reporter::new();
    let (library, shutdown) = (shared.library.as_ref(), shared.shutdown.clone());
    let answer = stopping::search(library, query, &report, shutdown).await?;
    let answer = own(answer, |answer| match answer {
        Response::Search(answer) => Some(answer),
        _ => None,
    });
    Ok(Json(answer?.into()))
}

impl From<search::Answer> for Found {
    fn from(answer: search::Answer) -> Self {
        Self {
            hits: answer.hits.into_iter().map(Hit::from).collect(),
            as_of_ms: answer.as_of_ms,
            parked: answer.parked,
            at_least: answer.at_least.map(|awaited| match awaited {
                Awaited::Reached => Standing::Reached,
                Awaited::NotYet => Standing::NotYet,
                Awaited::Parked => Standing::Parked,
            }),
            note: answer.note,
        }
    }
}

impl Found {
    /// The same at whoever asked, who knows what the documents were compared by.
    pub(crate) fn answer(self, mode: Mode) -> Result<search::Answer> {
        let hits = self.hits.into_iter().map(search::Hit::try_from);
        Ok(search::Answer {
            hits: hits.collect::<Result<_>>()?,
            as_of_ms: self.as_of_ms,
            parked: self.parked,
            at_least: self.at_least.map(|standing| match standing {
                Standing::Reached => Awaited::Reached,
                Standing::NotYet => Awaited::NotYet,
                Standing::Parked => Awaited::Parked,
            }),
            mode,
            note: self.note,
        })
    }
}

impl TryFrom<Hit> for search::Hit {
    type Error = Error;

    fn try_from(hit: Hit) -> Result<Self> {
        let passages = hit.passages.into_iter().map(|passage| search::Passage {
            content: passage.content,
            text: passage.text,
            score: passage.score,
            cosine: passage.cosine,
            rank: passage.rank,
        });
        Ok(Self {
            version: hit.version.parse()?,
            key: DocumentKey {
                kind: hit.kind.clone(),
                id: hit.id,
            },
            kind: hit.kind,
            score: hit.score,
            title: hit.title,
            link: hit.link,
            author: hit.author,
            passages: passages.collect(),
        })
    }
}

impl From<search::Hit> for Hit {
    fn from(hit: search::Hit) -> Self {
        let passages = hit.passages.into_iter().map(|passage| Passage {
            content: passage.content,
            text: passage.text,
            score: passage.score,
            cosine: passage.cosine,
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
