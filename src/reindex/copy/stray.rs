//! A document that only a producer without versions has sent: no source has it to be read from again.
//!
//! ```text
//! old edition ──read now──> cut again ──> embedded where no point is ──> stored below all that is told
//! ```
//!
//! Workers write at the same time, to the new edition first. What a producer says has stamps of its own there, all
//! above a copy's, which never goes over what it meets as a worker's plan does: points above it without a manifest
//! are somebody's who is storing what came later, or who died over it and whose change comes again.

use std::collections::{HashMap, HashSet};

use crate::Result;
use crate::change::{Change, DocumentKey, Operation, PointId, Version};
use crate::feature::embed::Embedder;
use crate::feature::plan::Plan;
use crate::feature::prepare::Limits;
use crate::feature::store::{self, Missing};
use crate::feature::types::Types;
use crate::reindex::Index;
use crate::vector::{Manifest, Select, Stamp, VectorStore, Write};

/// Texts embedded and stored at once, so that memory and lost work are bounded.
const TEXTS_MAX: usize = 256;

/// Cuts and embeds the document again, where the new edition was not told of it.
pub(super) async fn copy<V: VectorStore, E: Embedder>(
    (old, new): (&Index<V, E>, &Index<V, E>),
    types: &Types,
    key: &DocumentKey,
) -> Result<()> {
    // Whoever reads many manifests at once comes to the last of them late.
    let Some(manifest) = manifest_of(old.store.as_ref(), key).await? else {
        return Ok(());
    };
    if manifest.deleted || manifest.stamp.version.is_some() {
        // It has become that since then: both were told.
        return Ok(());
    }
    let stamp = Stamp::from(Version::NONE);
    let there = manifest_of(new.store.as_ref(), key).await?;
    if let Some(told) = there.filter(|there| there.stamp > stamp) {
        // A copy that was cut off may have left points.
        let sweep = Write::Sweep {
            stamp: told.stamp,
            keep: told.point_ids(),
            key: told.key,
        };
        return new.store.write(vec![sweep]).await;
    }
    let Some(chunks) = chunks(old.store.as_ref(), &manifest).await? else {
        // It is changed at this moment: what comes goes to both.
        return Ok(());
    };
    // What it was cleaned with stays what it was.
    let fingerprint = manifest.fingerprint.clone();
    let change = Change::new(
        key.clone(),
        Version::NONE,
        Operation::Fill,
        None,
        manifest.committed_ms,
    );
    let embedder = new.embedder.as_ref();
    let limits = Limits::of_model(embedder.model());
    let count = |text: &str| embedder.token_count(text);
    let prepared = types.cut_again(manifest, chunks, limits, &count)?;
    let mut plan = Plan::new(&change, prepared, None, &fingerprint);
    plan.manifest.stamp = stamp;
    store_below(new, plan).await
}

async fn manifest_of<V: VectorStore>(store: &V, key: &DocumentKey) -> Result<Option<Manifest>> {
    let mut found = store.manifests(Select::Of(vec![key.clone()])).await?;
    Ok(found.pop())
}

/// The texts of the manifest's points, in their order; none where one is not there.
async fn chunks<V: VectorStore>(store: &V, manifest: &Manifest) -> Result<Option<Vec<String>>> {
    let points = store.points(Select::Of(manifest.point_ids())).await?;
    let mut contents: HashMap<PointId, String> = points
        .into_iter()
        .map(|point| (point.id, point.content))
        .collect();
    let ids = manifest.points.iter().map(|entry| entry.id);
    Ok(ids.map(|id| contents.remove(&id)).collect())
}

/// Stores a plan that has the least of all stamps and keeps it.
///
/// Repeatable: points of a copy that was cut off are kept, and none of them stands for the manifest.
async fn store_below<V: VectorStore, E: Embedder>(new: &Index<V, E>, plan: Plan) -> Result<()> {
    let store = new.store.as_ref();
    let Plan { manifest, texts } = plan;
    let missing = missing(store, &manifest, &texts).await?;
    for part in missing.chunks(TEXTS_MAX) {
        let (points, _) = store::embed(new.embedder.as_ref(), part).await?;
        store.write(vec![Write::Upsert(points)]).await?;
    }
    let document = (manifest.key.clone(), manifest.stamp.version);
    let manifest = Write::Manifest(Box::new(manifest));
    store.write(vec![manifest]).await?;
    store::sweep(store, vec![document]).await
}

/// The texts without a point; points of an earlier copy get this one's ranks and metadata.
async fn missing<'a, V: VectorStore>(
    store: &V,
    manifest: &'a Manifest,
    texts: &'a [String],
) -> Result<Vec<Missing<'a>>> {
    if manifest.points.is_empty() {
        return Ok(Vec::new());
    }
    let raise = Write::Raise {
        key: manifest.key.clone(),
        stamp: manifest.stamp,
        metadata: manifest.metadata.clone(),
        points: manifest.points.clone(),
    };
    store.write(vec![raise]).await?;
    let there = store.points(Select::Of(manifest.point_ids())).await?;
    let there: HashSet<PointId> = there.into_iter().map(|point| point.id).collect();
    let named = manifest.points.iter().zip(texts);
    Ok(named
        .filter(|(entry, _)| !there.contains(&entry.id))
        .map(|(entry, text)| Missing {
            manifest,
            entry: *entry,
            text,
        })
        .collect())
}
