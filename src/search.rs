//! A question to the documents that answer it.
//!
//! ```text
//! text ──cut, embed──> points by meaning ─┐                  manifests, floors
//!      ──words───────> points by words ───┴─fuse─> documents ──────┴─────> named ones ──> passages
//! ```
//!
//! It promises that no answer holds a point which its document's manifest does not name.

mod absent;
mod diverse;
mod fuse;
mod gather;
mod grouped;
mod join;
mod overtaken;
mod query;
mod question;
mod rank;
mod title;

use serde::{Deserialize, Serialize};

use crate::change::{DocumentKey, Version};
use crate::feature::embed::Embedder;
use crate::vector::{Control, Manifest, Near, VectorStore, Watermark, lexical};
use crate::{Error, Result};
use fuse::Scored;
use gather::Question;
use title::Asked;

pub use query::{LIMIT_MAX, Mode, Query, WAIT_MS, WAIT_MS_MAX};

/// What the caller knows of the queues when a question is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many partitions the queue has now.
    pub partitions: u32,
    /// How many changes are parked; none while the queue does not say.
    pub parked: Option<u64>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Documents, best first.
    pub hits: Vec<Hit>,
    /// Everything committed up to then is in the answer, parked changes aside: milliseconds since
    /// 1970, UTC. None until every queue has settled a watermark.
    pub as_of_ms: Option<u64>,
    /// Changes that are set aside, and so not in the index; none where the queue did not say.
    pub parked: Option<u64>,
    /// What became of the version that was asked for; none where none was.
    #[serde(default)]
    pub at_least: Option<Awaited>,
    /// What the documents were compared by.
    #[serde(default)]
    pub mode: Mode,
    /// What a person should know about this answer.
    pub note: Option<String>,
}

/// What became of a version that was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// Everything up to it is in the answer.
    Reached,
    /// Not yet everything, at the end of the wait.
    NotYet,
    /// The change of this very version is set aside, and not in the answer.
    Parked,
}

impl Answer {
    /// The same, with one more thing that a person should know.
    #[must_use]
    pub fn noted(mut self, note: Option<String>) -> Self {
        self.note = notes([self.note, note]);
        self
    }
}

/// A document that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The document.
    pub key: DocumentKey,
    /// What it is ranked by, its title included: by meaning the cosine similarity of its best passage, -1
    /// to 1, and up to 0.1 more; by words BM25; by both the sum of the reciprocal ranks, 0 to 1/30. Only
    /// scores of one answer compare.
    pub score: f32,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// Where it stands, if it has a link.
    pub link: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its author's full name, if known.
    pub author: Option<String>,
    /// Its best passages, best first; at least one, at most three.
    pub passages: Vec<Passage>,
    /// The version of the document that the index holds.
    pub version: Version,
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The text as it was embedded, heading prefix included.
    pub content: String,
    /// The same with what stands before and after it in the document, and with further passages that
    /// touch; in the first 50 documents of an answer.
    #[serde(default)]
    pub text: String,
    /// What it is ranked by, as its document is, without a title.
    pub score: f32,
    /// Cosine similarity of its meaning, -1 to 1, where it was found by that.
    #[serde(default)]
    pub cosine: Option<f32>,
    /// Its place in the document: grows with the text.
    pub rank: i64,
}

/// Answers a question; reads only, waits for nothing, and is cancel safe.
///
/// A question over the model's token limit is cut and the answer's note says so: unlike a
/// document, its first words still ask something.
///
/// # Errors
/// [`Error::Config`] for what [`Query::check`] refuses; else what store or embedder say.
pub async fn search<V: VectorStore, E: Embedder>(
    store: &V,
    embedder: &E,
    query: &Query,
    standing: Standing,
) -> Result<Answer> {
    query.check()?;
    let (meaning, cut) = match query.mode {
        Mode::Hybrid | Mode::Dense => embedded(embedder, &query.text).await?,
        Mode::Words => (None, None),
    };
    let words = match query.mode {
        Mode::Hybrid | Mode::Words => Some(lexical::of_question(&query.text)),
        Mode::Dense => None,
    };
    let question = Question {
        query,
        mode: query.mode,
        asked: Asked::new(&query.text),
        only: query.only()?,
        meaning,
        words,
        wanted: gather::wanted(query),
    };
    // Read before the points: what is stored in between may be in the answer, and is not promised to be.
    let settled = store.control().await?.settled(standing.partitions);
    let mut found = gather::gather_by_link(store, question).await?;
    if query.diverse {
        found.hits = gather::diversify(store, found.hits, query.limit).await?;
    }
    gather::join_neighbours(store, &mut found.hits).await?;
    let dimension = embedder.model().dimension;
    let absent = absent::absent(store, query, dimension, !found.hits.is_empty()).await?;
    Ok(Answer {
        hits: found.hits.into_iter().map(|found| found.hit).collect(),
        as_of_ms: settled.and_then(Watermark::as_of_ms),
        parked: standing.parked,
        at_least: None,
        mode: query.mode,
        note: notes([cut, found.note, absent]),
    })
}

/// The vector of a question, and what of it was left out.
async fn embedded<E: Embedder>(
    embedder: &E,
    text: &str,
) -> Result<(Option<Vec<f32>>, Option<String>)> {
    let limit = embedder.model().token_limit;
    let cut = question::cut(text, limit, |text| embedder.token_count(text));
    let vector = embedder.embed(vec![cut.text.to_owned()]).await?.pop();
    let none = || Error::malformed("the question's vector", "the embedder gave none");
    Ok((Some(vector.ok_or_else(none)?), cut.note))
}

/// The documents and passages that a search shows of these points: those that a live manifest names.
pub(crate) fn shown(near: Vec<Near>, manifests: &[Manifest], control: &Control) -> Vec<Hit> {
    let query = Query::default();
    let question = Question {
        query: &query,
        mode: Mode::Dense,
        asked: Asked::new(""),
        only: crate::vector::Only::default(),
        meaning: None,
        words: None,
        wanted: LIMIT_MAX,
    };
    let scored = near.into_iter().map(|Near { point, score }| Scored {
        point,
        score,
        cosine: None,
    });
    let scored: Vec<Scored> = scored.collect();
    rank::group(&question, &scored, manifests, control)
        .into_iter()
        .map(|found| found.hit)
        .collect()
}

fn notes<const COUNT: usize>(notes: [Option<String>; COUNT]) -> Option<String> {
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

#[cfg(test)]
mod tests;
