//! The order of writes that makes an update safe, whoever else writes and wherever it is cut off.
//!
//! ```text
//! raise kept points ─> read back ─> embed what is missing ─> upsert ─> manifest
//!                                      ─> read it back (m) ─> sweep what m does not name
//! ```
//!
//! - Raised first: a slower worker with an older stamp sweeps only up to *its* stamp, and can no
//!   longer take away a point that this plan keeps.
//! - Read back after raising: what is there then, at this stamp or above, stays there.
//! - Swept by the manifest that won, whoever wrote it: the loser removes its own points too.
//! - Stamps are a total order, and equal ones are equal contents: of two workers one has won, and the
//!   delayed sweep of the other takes nothing that the winner names.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::embed::Embedder;
use super::plan::Plan;
use crate::change::{DocumentKey, PointId, Version};
use crate::vector::{Control, Entry, Manifest, Point, Select, Stamp, VectorStore, Write};
use crate::{Error, Result};

/// Texts embedded and stored at once, so that memory and lost work are bounded.
const TEXTS_MAX: usize = 256;

/// Rounds of raising and reading back.
const RAISES_MAX: u32 = 3;

/// What storing some plans took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// Texts that were embedded.
    pub embedded: usize,
    /// Texts whose point was there already.
    pub kept: usize,
    /// Time that embedding took.
    pub embedding: Duration,
}

/// A text without a point.
pub(crate) struct Missing<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) entry: Entry,
    pub(crate) text: &'a str,
}

impl Missing<'_> {
    fn is_kept(&self, there: &HashMap<PointId, Stamp>) -> bool {
        there.get(&self.entry.id) >= Some(&self.manifest.stamp)
    }
}

/// Stores plans of distinct keys. When it returns, each is stored, or a greater stamp is.
///
/// Repeatable after an error or a crash at any point.
pub async fn store<V: VectorStore, E: Embedder>(
    store: &V,
    embedder: &E,
    mut plans: Vec<Plan>,
) -> Result<Stored> {
    let texts: usize = plans.iter().map(|plan| plan.texts.len()).sum();
    let missing = keep(store, &mut plans).await?;
    let mut stored = Stored {
        kept: texts - missing.len(),
        ..Stored::default()
    };
    let mut slices = missing.chunks(TEXTS_MAX).peekable();
    let mut writes = Vec::new();
    while let Some(slice) = slices.next() {
        let begun = Instant::now();
        let (points, count) = embed(embedder, slice).await?;
        writes.push(Write::Upsert(points));
        stored.embedded += count;
        stored.embedding += begun.elapsed();
        if slices.peek().is_some() {
            store.write(std::mem::take(&mut writes)).await?;
        }
    }
    writes.extend(
        plans
            .iter()
            .map(|plan| Write::Manifest(Box::new(plan.manifest.clone()))),
    );
    store.write(writes).await?;
    let documents = plans
        .iter()
        .map(|plan| (plan.manifest.key.clone(), plan.manifest.stamp.version));
    sweep(store, documents.collect()).await?;
    Ok(stored)
}

/// Deletes, for each of these documents, the points that its manifest does not name, up to that
/// manifest's stamp; without a manifest all points up to the version given.
///
/// A manifest that a floor has voided meanwhile becomes a tombstone first.
pub async fn sweep<V: VectorStore>(
    store: &V,
    documents: Vec<(DocumentKey, Version)>,
) -> Result<()> {
    if documents.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = documents.iter().map(|(key, _)| key.clone()).collect();
    let control = store.control().await?;
    let mut winners = store.manifests(Select::Of(keys.clone())).await?;
    let graves: Vec<_> = winners
        .iter()
        .filter_map(|manifest| grave(manifest, &control))
        .collect();
    if !graves.is_empty() {
        store.write(graves).await?;
        winners = store.manifests(Select::Of(keys)).await?;
    }
    let winners: HashMap<_, _> = winners.iter().map(|winner| (&winner.key, winner)).collect();
    let sweeps = documents
        .into_iter()
        .map(|(key, version)| match winners.get(&key) {
            Some(winner) => Write::Sweep {
                stamp: winner.stamp,
                keep: winner.point_ids(),
                key,
            },
            None => Write::Sweep {
                key,
                stamp: Stamp::last(version),
                keep: Vec::new(),
            },
        });
    store.write(sweeps.collect()).await
}

/// The tombstone of a manifest that a floor has voided.
fn grave(manifest: &Manifest, control: &Control) -> Option<Write> {
    let floor = *control.floors.get(&manifest.key.kind)?;
    let void = !manifest.deleted && control.voids(&manifest.key.kind, manifest.stamp.version);
    void.then(|| {
        let grave = Manifest::tombstone(
            manifest.key.clone(),
            Stamp::last(floor),
            manifest.committed_ms,
        );
        Write::Manifest(Box::new(grave))
    })
}

fn raise(plan: &Plan) -> Write {
    Write::Raise {
        key: plan.manifest.key.clone(),
        stamp: plan.manifest.stamp,
        metadata: plan.manifest.metadata.clone(),
        points: plan.manifest.points.clone(),
    }
}

/// Raises the plans' points that are there and returns the texts of those that are not.
///
/// A point that a slower worker stores between raising and reading is there with its older stamp, and
/// that worker's sweep could still take it: it is raised again, until none is.
async fn keep<'a, V: VectorStore>(store: &V, plans: &'a mut [Plan]) -> Result<Vec<Missing<'a>>> {
    let named: Vec<PointId> = texts(plans).map(|text| text.entry.id).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let mut there = HashMap::new();
    for round in 1..=RAISES_MAX {
        let raises = plans
            .iter()
            .filter(|plan| !plan.texts.is_empty())
            .map(raise)
            .collect();
        store.write(raises).await?;
        let points = store.points(Select::Of(named.clone())).await?;
        there = points
            .into_iter()
            .map(|point| (point.id, point.stamp))
            .collect();
        // Whoever slips under three times is embedded again: dear, but safe and at an end.
        let slipped =
            texts(plans).any(|text| there.contains_key(&text.entry.id) && !text.is_kept(&there));
        if round < RAISES_MAX && !get_ahead(store, plans, &there).await? && !slipped {
            break;
        }
    }
    Ok(texts(plans).filter(|text| !text.is_kept(&there)).collect())
}

fn texts(plans: &[Plan]) -> impl Iterator<Item = Missing<'_>> {
    plans.iter().flat_map(|plan| {
        let texts = plan.manifest.points.iter().zip(&plan.texts);
        texts.map(|(entry, text)| Missing {
            manifest: &plan.manifest,
            entry: *entry,
            text,
        })
    })
}

/// Gives a plan the next revision where a point has an equal version and a greater stamp, and says
/// whether there was one.
///
/// Somebody stores another content of this version at once, or died over it: the same change over
/// another manifest has other ranks. Its point would keep that content's rank and metadata under our
/// manifest. Where its manifest is stored already, it has won.
async fn get_ahead<V: VectorStore>(
    store: &V,
    plans: &mut [Plan],
    there: &HashMap<PointId, Stamp>,
) -> Result<bool> {
    let mut behind: Vec<(&mut Plan, Stamp)> = plans
        .iter_mut()
        .filter_map(|plan| {
            let own = plan.manifest.stamp;
            let points = plan.manifest.points.iter();
            let stamps = points.filter_map(|entry| there.get(&entry.id)).copied();
            let ahead = stamps.filter(|stamp| stamp.version == own.version).max()?;
            (ahead > own).then_some((plan, ahead))
        })
        .collect();
    if behind.is_empty() {
        return Ok(false);
    }
    let keys = behind.iter().map(|(plan, _)| plan.manifest.key.clone());
    let stored = store.manifests(Select::Of(keys.collect())).await?;
    behind.retain(|(plan, _)| {
        let manifest = &plan.manifest;
        let won = |stored: &Manifest| stored.key == manifest.key && stored.stamp > manifest.stamp;
        !stored.iter().any(won)
    });
    let any = !behind.is_empty();
    for (plan, ahead) in behind {
        plan.manifest.stamp.revision = ahead.revision.saturating_add(1);
    }
    Ok(any)
}

/// The points of these texts; equal texts are embedded once. How many were.
pub(crate) async fn embed<E: Embedder>(
    embedder: &E,
    missing: &[Missing<'_>],
) -> Result<(Vec<Point>, usize)> {
    let mut texts: Vec<String> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for Missing { text, .. } in missing {
        places.entry(text).or_insert_with(|| {
            texts.push((*text).to_owned());
            texts.len() - 1
        });
    }
    let count = texts.len();
    let vectors = embedder.embed(texts).await?;
    let points = missing
        .iter()
        .map(
            |Missing {
                 manifest,
                 entry,
                 text,
             }| {
                let vector = places
                    .get(text)
                    .and_then(|at| vectors.get(*at))
                    .ok_or_else(|| {
                        Error::malformed("the embedder's answer", "it has fewer vectors than texts")
                    })?;
                Ok(Point {
                    id: entry.id,
                    key: manifest.key.clone(),
                    stamp: manifest.stamp,
                    rank: entry.rank,
                    content: (*text).to_owned(),
                    metadata: manifest.metadata.clone(),
                    vector: vector.clone(),
                })
            },
        )
        .collect::<Result<_>>()?;
    Ok((points, count))
}
