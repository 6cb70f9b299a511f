//! A question to the documents that answer it.
//!
//! ```text
//! text ──cut, embed──> nearest points ──manifests, floors──> named ones ──group──> documents
//!                          ▲                                    │
//!                          └──────────── ask for more ◄─────────┘ too few
//! ```
//!
//! It promises that no answer holds a point which its document's manifest does not name.

mod question;
mod rank;
mod title;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::change::{DocumentKey, Version};
use crate::document::author_id;
use crate::feature::embed::Embedder;
use crate::vector::{Control, Manifest, Near, Nearest, Select, VectorStore};
use crate::{Error, Result};
use title::Asked;

/// The most documents of one answer.
pub const LIMIT_MAX: usize = 1000;

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The question, in anyone's words.
    pub text: String,
    /// Only documents of this author: a full name, in any case, or an `author_id`.
    #[serde(default)]
    pub author: Option<String>,
    /// Only documents of these types; empty for all.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// How many documents at most, 1 to [`LIMIT_MAX`].
    pub limit: usize,
}

/// What the caller knows of the queues when a question is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many queues there are: two lanes a partition.
    pub places: usize,
    /// How many changes are parked.
    pub parked: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Documents, best first.
    pub hits: Vec<Hit>,
    /// Everything committed up to then is in the answer, parked changes aside: milliseconds since
    /// 1970, UTC. None until every queue has settled a watermark.
    pub as_of_ms: Option<u64>,
    /// Changes that are set aside, and so not in the index.
    pub parked: u64,
    /// What a person should know about this answer.
    pub note: Option<String>,
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
    /// Cosine similarity of its best passage, -1 to 1, and up to 0.1 more for its title.
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
    /// Its nearest passages, best first; at least one, at most three.
    pub passages: Vec<Passage>,
    /// The version of the document that the index holds.
    pub version: Version,
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The text as it was embedded, heading prefix included.
    pub content: String,
    /// Cosine similarity, -1 to 1.
    pub score: f32,
    /// Its place in the document: grows with the text.
    pub rank: i64,
}

/// Answers a question; reads only, and is cancel safe.
///
/// A question over the model's token limit is cut and the answer's note says so: unlike a
/// document, its first words still ask something.
///
/// # Errors
/// [`Error::Config`] for an empty text or a limit out of range; else what store or embedder say.
pub async fn search<V: VectorStore, E: Embedder>(
    store: &V,
    embedder: &E,
    query: &Query,
    standing: Standing,
) -> Result<Answer> {
    check(query)?;
    let limit = embedder.model().token_limit;
    let cut = question::cut(&query.text, limit, |text| embedder.token_count(text));
    let vector = embedder
        .embed(vec![cut.text.to_owned()])
        .await?
        .pop()
        .ok_or_else(|| Error::malformed("the question's vector", "the embedder gave none"))?;
    let author_ids = query.author.as_deref().map(known_ids).unwrap_or_default();
    let by_id = !author_ids.is_empty();
    let mut nearest = Nearest {
        vector,
        kinds: query.kinds.clone(),
        author_ids,
        limit: rank::first_ask(query.limit),
    };
    let mut found = gather(store, query, &mut nearest).await?;
    if by_id && found.hits.is_empty() {
        // Documents that others stored may carry ids of their own: then only the name tells.
        nearest.author_ids.clear();
        nearest.limit = rank::first_ask(query.limit);
        found = gather(store, query, &mut nearest).await?;
    }
    Ok(Answer {
        hits: found.hits,
        as_of_ms: as_of_ms(&found.control, standing.places),
        parked: standing.parked,
        note: notes([cut.note, found.note]),
    })
}

/// The documents and passages that a search shows of these points: those that a live manifest names.
pub(crate) fn shown(near: Vec<Near>, manifests: Vec<Manifest>, control: &Control) -> Vec<Hit> {
    let asked = Asked::new("");
    rank::group(&asked, near, manifests, control)
        .into_iter()
        .map(|found| found.hit)
        .collect()
}

/// What one kind of question found.
struct Found {
    hits: Vec<Hit>,
    control: Control,
    note: Option<String>,
}

/// Asks, and asks for more until there are enough documents or no more points.
async fn gather<V: VectorStore>(store: &V, query: &Query, nearest: &mut Nearest) -> Result<Found> {
    let asked = Asked::new(&query.text);
    loop {
        let near = store.nearest(nearest.clone()).await?;
        let got = near.len();
        let keys: BTreeSet<_> = near.iter().map(|near| near.point.key.clone()).collect();
        let manifests = store
            .manifests(Select::Of(keys.into_iter().collect()))
            .await?;
        // Read last, so that a floor raised in between already counts.
        let control = store.control().await?;
        let mut hits = rank::group(&asked, near, manifests, &control);
        if let Some(author) = &query.author {
            hits.retain(|found| rank::written_by(&found.metadata, author));
        }
        match rank::next_ask(nearest.limit, got, hits.len(), query.limit) {
            rank::Next::Ask(more) => nearest.limit = more,
            next @ (rank::Next::Enough | rank::Next::GaveUp) => {
                hits.truncate(query.limit);
                let note = (next == rank::Next::GaveUp).then(|| {
                    format!("only the nearest {got} passages were looked at; narrow the question")
                });
                return Ok(Found {
                    hits: hits.into_iter().map(|found| found.hit).collect(),
                    control,
                    note,
                });
            }
        }
    }
}

fn check(query: &Query) -> Result<()> {
    let bad = |setting: &str, why: String| {
        Err(Error::Config {
            setting: setting.to_owned(),
            why,
        })
    };
    if query.text.trim().is_empty() {
        return bad("the question", "it is empty".to_owned());
    }
    if !(1..=LIMIT_MAX).contains(&query.limit) {
        return bad("limit", format!("{} is not 1 to {LIMIT_MAX}", query.limit));
    }
    Ok(())
}

/// What the asker may have meant: an id as it stands, or a name whose id follows from it.
fn known_ids(author: &str) -> Vec<String> {
    vec![author.trim().to_owned(), author_id(author)]
}

/// The settled watermark of the whole: the lowest of all queues, none until each of them has one.
pub(crate) fn as_of_ms(control: &Control, places: usize) -> Option<u64> {
    if control.watermarks.len() < places {
        return None;
    }
    control
        .watermarks
        .values()
        .map(|mark| mark.committed_ms)
        .min()
}

fn notes(notes: [Option<String>; 2]) -> Option<String> {
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

#[cfg(test)]
mod tests;
