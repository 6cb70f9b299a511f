//! What nobody needs any more: old tombstones, and points that a dead worker left behind.
//!
//! ```text
//! tombstone below every settled watermark, every parked version and the time to live ─> gone
//! point that its manifest does not name, at or below the manifest's version          ─> gone
//! ```
//!
//! Neither is ever found by a search; this is about space, and about an index that equals a fresh one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::{floor, store};
use crate::Result;
use crate::change::{DocumentKey, Version};
use crate::queue::Queue;
use crate::vector::{Point, Select, VectorStore, Write};

/// Manifests or points read at once.
const PAGE: usize = 256;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Tombstones.
    pub tombstones: u64,
    /// Points.
    pub points: u64,
}

/// Removes what no late message can need and no manifest names. Nothing before the first watermark
/// has passed every queue.
pub async fn collect<Q: Queue, V: VectorStore>(
    queue: &Q,
    store: &V,
    now_ms: u64,
    time_to_live: Duration,
) -> Result<Collected> {
    // Bytes without a key cannot be retried, so no tombstone is kept for them.
    let parked = floor::parked(queue, store).await?;
    let oldest = parked
        .iter()
        .filter(|parked| parked.key.is_some())
        .map(|parked| parked.version);
    let control = store.control().await?;
    let Some(settled) = floor::settled(&control, queue.partitions()) else {
        return Ok(Collected::default());
    };
    let below = oldest.min().map_or(settled, |oldest| oldest.min(settled));
    let time_to_live = u64::try_from(time_to_live.as_millis()).unwrap_or(u64::MAX);
    let tombstones = tombstones(store, below, now_ms.saturating_sub(time_to_live)).await?;
    let points = orphans(store, below).await?;
    Ok(Collected { tombstones, points })
}

/// Removes the tombstones below a version that were born before a time.
async fn tombstones<V: VectorStore>(store: &V, below: Version, born_before_ms: u64) -> Result<u64> {
    let mut collected = 0;
    let mut after = None;
    loop {
        let page = store
            .manifests(Select::After { after, limit: PAGE })
            .await?;
        let Some(last) = page.last().map(|manifest| manifest.key.clone()) else {
            return Ok(collected);
        };
        let old = |version, born_ms| version < below && born_ms < born_before_ms;
        let writes: Vec<_> = page
            .into_iter()
            .filter(|grave| grave.deleted && old(grave.version, grave.committed_ms))
            .map(|grave| Write::Collect {
                key: grave.key,
                version: grave.version,
            })
            .collect();
        collected += writes.len() as u64;
        if !writes.is_empty() {
            store.write(writes).await?;
        }
        after = Some(last);
    }
}

/// Sweeps the documents that have points which their manifest does not name.
///
/// A point newer than its manifest belongs to a worker that is about to write one; so may a point
/// without a manifest, unless everything of its version is settled.
async fn orphans<V: VectorStore>(store: &V, below: Version) -> Result<u64> {
    let mut collected = 0;
    let mut after = None;
    loop {
        let page = store.points(Select::After { after, limit: PAGE }).await?;
        let Some(last) = page.last().map(|point| point.id) else {
            return Ok(collected);
        };
        let keys: HashSet<_> = page.iter().map(|point| point.key.clone()).collect();
        let manifests = store
            .manifests(Select::Of(keys.into_iter().collect()))
            .await?;
        let named: HashMap<_, _> = manifests
            .iter()
            .map(|manifest| {
                let ids: HashSet<_> = manifest.point_ids().into_iter().collect();
                (&manifest.key, (manifest.version, ids))
            })
            .collect();
        let is_orphan = |point: &&Point| match named.get(&point.key) {
            Some((version, ids)) => point.version <= *version && !ids.contains(&point.id),
            None => point.version < below,
        };
        let orphans: Vec<_> = page.iter().filter(is_orphan).collect();
        collected += orphans.len() as u64;
        let documents: BTreeMap<DocumentKey, Version> = orphans
            .into_iter()
            .map(|point| (point.key.clone(), point.version))
            .collect();
        store::sweep(store, documents.into_iter().collect()).await?;
        after = Some(last);
    }
}
