//! The order of writes that makes an update safe, whoever else writes and wherever it is cut off.
//!
//! ```text
//! raise kept points ─> read back ─> embed what is missing ─> upsert ─> manifest
//!                                      ─> read it back (m) ─> sweep what m does not name
//! ```
//!
//! - Raised first: a slower worker with an older version sweeps only up to *its* version, and can no
//!   longer take away a point that this plan keeps.
//! - Read back after raising: what is there then, at this version or above, stays there.
//! - Swept by the manifest that won, whoever wrote it: the loser removes its own points too.

use std::collections::HashMap;

use super::embed::Embedder;
use super::plan::Plan;
use crate::change::{DocumentKey, PointId, Version};
use crate::vector::{Control, Entry, Manifest, Point, Select, VectorStore, Write};
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
}

/// A text without a point.
struct Missing<'a> {
    manifest: &'a Manifest,
    entry: Entry,
    text: &'a str,
}

/// Stores plans of distinct keys. When it returns, each is stored, or a newer version is.
///
/// Repeatable after an error or a crash at any point.
pub async fn store<V: VectorStore, E: Embedder>(
    store: &V,
    embedder: &E,
    plans: &[Plan],
) -> Result<Stored> {
    let missing = keep(store, plans).await?;
    let texts: usize = plans.iter().map(|plan| plan.texts.len()).sum();
    let stored = Stored {
        embedded: missing.len(),
        kept: texts - missing.len(),
    };
    let mut slices = missing.chunks(TEXTS_MAX).peekable();
    let mut writes = Vec::new();
    while let Some(slice) = slices.next() {
        writes.push(Write::Upsert(embed(embedder, slice).await?));
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
        .map(|plan| (plan.manifest.key.clone(), plan.manifest.version));
    sweep(store, documents.collect()).await?;
    Ok(stored)
}

/// Deletes, for each of these documents, the points that its manifest does not name, up to that
/// manifest's version; without a manifest all points up to the version given.
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
                version: winner.version,
                keep: winner.point_ids(),
                key,
            },
            None => Write::Sweep {
                key,
                version,
                keep: Vec::new(),
            },
        });
    store.write(sweeps.collect()).await
}

/// The tombstone of a manifest that a floor has voided.
fn grave(manifest: &Manifest, control: &Control) -> Option<Write> {
    let floor = *control.floors.get(&manifest.key.kind)?;
    let void = !manifest.deleted && control.voids(&manifest.key.kind, manifest.version);
    void.then(|| {
        let grave = Manifest::tombstone(manifest.key.clone(), floor, manifest.committed_ms);
        Write::Manifest(Box::new(grave))
    })
}

fn raise(plan: &Plan) -> Write {
    Write::Raise {
        key: plan.manifest.key.clone(),
        version: plan.manifest.version,
        metadata: plan.manifest.metadata.clone(),
        points: plan.manifest.points.clone(),
    }
}

/// Raises the plans' points that are there and returns the texts of those that are not.
///
/// A point that a slower worker stores between raising and reading is there with its older version,
/// and that worker's sweep could still take it: it is raised again, until none is.
async fn keep<'a, V: VectorStore>(store: &V, plans: &'a [Plan]) -> Result<Vec<Missing<'a>>> {
    let texts = || {
        plans.iter().flat_map(|plan| {
            let texts = plan.manifest.points.iter().zip(&plan.texts);
            texts.map(|(entry, text)| Missing {
                manifest: &plan.manifest,
                entry: *entry,
                text,
            })
        })
    };
    let named: Vec<PointId> = texts().map(|text| text.entry.id).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    for round in 1.. {
        let raises = plans
            .iter()
            .filter(|plan| !plan.texts.is_empty())
            .map(raise)
            .collect();
        store.write(raises).await?;
        let there: HashMap<PointId, Version> = store
            .points(Select::Of(named.clone()))
            .await?
            .into_iter()
            .map(|point| (point.id, point.version))
            .collect();
        let version = |text: &Missing<'_>| there.get(&text.entry.id).copied();
        let is_kept = |text: &Missing<'_>| version(text) >= Some(text.manifest.version);
        // Whoever slips under three times is embedded again: dear, but safe and at an end.
        if round == RAISES_MAX || texts().all(|text| version(&text).is_none() || is_kept(&text)) {
            return Ok(texts().filter(|text| !is_kept(text)).collect());
        }
    }
    Ok(Vec::new())
}

/// The points of these texts; equal texts are embedded once.
async fn embed<E: Embedder>(embedder: &E, missing: &[Missing<'_>]) -> Result<Vec<Point>> {
    let mut texts: Vec<String> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for Missing { text, .. } in missing {
        places.entry(text).or_insert_with(|| {
            texts.push((*text).to_owned());
            texts.len() - 1
        });
    }
    let vectors = embedder.embed(texts).await?;
    missing
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
                    version: manifest.version,
                    rank: entry.rank,
                    content: (*text).to_owned(),
                    metadata: manifest.metadata.clone(),
                    vector: vector.clone(),
                })
            },
        )
        .collect()
}
