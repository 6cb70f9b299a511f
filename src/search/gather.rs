//! The hand that asks the store.
//!
//! ```text
//! points by meaning ─┐
//!                    ├─fuse──> documents, best first ──some at a time──> manifests, floors ──> hits
//! points by words ───┘              ▲                                       │
//!                                   └──────────── ask for more ◄────────────┘ too few, or overtaken
//! ```
//!
//! Manifests hold whole texts, so that only those of documents that may be shown are read.

use futures_util::future::try_join;

use super::grouped::Grouped;
use super::query::{Mode, Query};
use super::rank::{self, Next};
use super::title::Asked;
use super::{diverse, fuse, join, overtaken};
use crate::Result;
use crate::change::PointId;
use crate::vector::lexical::Words;
use crate::vector::{By, Near, Nearest, Only, Select, VectorStore, only};

/// Documents of whose points all are dead are few: so many more than wanted are looked at, at first.
const SPARE: usize = 8;
/// Hits whose passages get their neighbours; who asks for more reads on by program.
const JOINED_MAX: usize = 50;
/// Times that the points are looked for again where a document was replaced meanwhile. Points that a crash left
/// behind look the same until they are collected, and cost that much.
const AGAIN_MAX: usize = 2;
/// Of so many times the documents wanted the diverse ones are chosen, within the number below.
const CHOICE: usize = 3;
const CHOICE_MAX: usize = 100;

/// A question as the store is asked.
pub(super) struct Question<'a> {
    pub(super) query: &'a Query,
    pub(super) mode: Mode,
    pub(super) asked: Asked,
    pub(super) only: Only,
    /// Its vector, where meaning counts.
    pub(super) meaning: Option<Vec<f32>>,
    /// Its words, where they count.
    pub(super) words: Option<Words>,
    /// How many documents.
    pub(super) wanted: usize,
}

/// What one question found.
pub(super) struct Found {
    pub(super) hits: Vec<Grouped>,
    pub(super) note: Option<String>,
    /// One that is there is missing: it was replaced between the look for points and that for manifests.
    is_overtaken: bool,
}

/// Asks, and asks for more until there are enough documents or no more points.
pub(super) async fn gather<V: VectorStore>(store: &V, question: &Question<'_>) -> Result<Found> {
    let mut limit = rank::first_ask(question.wanted, question.mode);
    let mut again = 0;
    loop {
        let meaning = question.meaning.clone().map(By::Meaning);
        let words = question.words.clone().map(By::Words);
        let meaning = list(store, question, (meaning, limit));
        let (meaning, words) = try_join(meaning, list(store, question, (words, limit))).await?;
        let got = meaning.len().max(words.len());
        let scored = fuse::fuse(question.mode, meaning, words);
        let mut found = held(store, question, &scored).await?;
        if found.is_overtaken && again < AGAIN_MAX {
            again += 1;
            continue;
        }
        match rank::next_ask(limit, got, found.hits.len(), question.wanted) {
            Next::Ask(more) => limit = more,
            next @ (Next::Enough | Next::GaveUp) => {
                found.note = (next == Next::GaveUp).then(|| {
                    format!("only the nearest {got} passages were looked at; narrow the question")
                });
                return Ok(found);
            }
        }
    }
}

/// Asks as [`gather`] does. A link that does not end with `/` is narrowed in the store by what stands before its last
/// one, as `https://` of `https://example.org`: where that was given up, what is below the link is asked for alone,
/// and counts where it is more.
pub(super) async fn gather_by_link<V: VectorStore>(
    store: &V,
    question: Question<'_>,
) -> Result<Found> {
    let mut found = gather(store, &question).await?;
    let below = question.query.link.as_deref().and_then(only::below);
    if found.note.is_some()
        && let Some(below) = below
    {
        let only = question.only.clone().and(vec![below]);
        let narrower = Question { only, ..question };
        let hits = gather(store, &narrower).await?.hits;
        if hits.len() > found.hits.len() {
            found.hits = hits;
        }
    }
    Ok(found)
}

/// How many documents to look for, so that there is a choice where one is wanted.
pub(super) fn wanted(query: &Query) -> usize {
    if query.diverse {
        query.limit.max((query.limit * CHOICE).min(CHOICE_MAX))
    } else {
        query.limit
    }
}

async fn list<V: VectorStore>(
    store: &V,
    question: &Question<'_>,
    (by, limit): (Option<By>, usize),
) -> Result<Vec<Near>> {
    let Some(by) = by else {
        return Ok(Vec::new());
    };
    let only = question.only.clone();
    store.nearest(Nearest { by, only, limit }).await
}

/// The documents of these points that a live manifest holds.
async fn held<V: VectorStore>(
    store: &V,
    question: &Question<'_>,
    scored: &[fuse::Scored],
) -> Result<Found> {
    let keys = rank::documents(question, scored);
    let mut manifests = Vec::new();
    let mut found = Found {
        hits: Vec::new(),
        note: None,
        is_overtaken: false,
    };
    let mut batches = keys.chunks(question.wanted + SPARE);
    loop {
        let batch = batches.next();
        if let Some(keys) = batch {
            manifests.extend(store.manifests(Select::Of(keys.to_vec())).await?);
        }
        // Read last, so that a floor raised in between already counts.
        let control = store.control().await?;
        found.hits = rank::group(question, scored, &manifests, &control);
        if batch.is_none() || found.hits.len() >= question.wanted {
            found.is_overtaken = overtaken::is_overtaken(scored, &found.hits, &manifests, &control);
            found.hits.truncate(question.wanted);
            return Ok(found);
        }
    }
}

/// Puts those first that say something else each, and leaves the rest.
pub(super) async fn diversify<V: VectorStore>(
    store: &V,
    hits: Vec<Grouped>,
    limit: usize,
) -> Result<Vec<Grouped>> {
    let ids: Vec<PointId> = hits.iter().filter_map(Grouped::best).collect();
    let points = store.points(Select::Of(ids)).await?;
    let vector = |grouped: &Grouped| {
        let best = grouped.best()?;
        let point = points.iter().find(|point| point.id == best)?;
        Some(point.vector.as_slice())
    };
    let candidates: Vec<_> = hits
        .iter()
        .map(|grouped| diverse::Candidate {
            score: grouped.hit.score,
            // A point that is gone meanwhile is like none.
            vector: vector(grouped).unwrap_or_default(),
        })
        .collect();
    let chosen = diverse::choose(&candidates, limit);
    let mut hits: Vec<Option<Grouped>> = hits.into_iter().map(Some).collect();
    let chosen = chosen.into_iter().filter_map(|at| hits.get_mut(at)?.take());
    Ok(chosen.collect())
}

/// Gives the passages of the first hits the text of their neighbours, and makes one of those that touch. A
/// neighbour is one that the same manifest names.
pub(super) async fn join_neighbours<V: VectorStore>(store: &V, hits: &mut [Grouped]) -> Result<()> {
    let first = hits.len().min(JOINED_MAX);
    let Some(hits) = hits.get_mut(..first) else {
        return Ok(());
    };
    let spans: Vec<_> = hits
        .iter()
        .map(|grouped| join::spans(&grouped.places, grouped.manifest.points.len()))
        .collect();
    let within = hits.iter().zip(&spans).flat_map(|(grouped, spans)| {
        let entries = spans
            .iter()
            .filter_map(move |span| grouped.manifest.points.get(span.clone()));
        entries.flatten().map(|entry| entry.id)
    });
    let points = store.points(Select::Of(within.collect())).await?;
    let contents = points
        .iter()
        .map(|point| (point.id, point.content.as_str()));
    let contents = contents.collect();
    for (grouped, spans) in hits.iter_mut().zip(spans) {
        grouped.join(&spans, &contents);
    }
    Ok(())
}
