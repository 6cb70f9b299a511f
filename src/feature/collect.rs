//! What nobody needs any more: old tombstones, and points that a dead worker left behind.
//!
//! ```text
//! tombstone below every settled watermark, its key's parked changes and the time to live ─> gone
//! point that its manifest does not name, at or below the manifest's version          ─> gone
//! ```
//!
//! Neither is ever found by a search; this is about space, and about an index that equals a fresh one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::{parked, store};
use crate::Result;
use crate::change::{DocumentKey, Version};
use crate::queue::Queue;
use crate::vector::{Manifest, Point, Select, VectorStore, Watermark, Write};

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
///
/// `stores` are those of all editions of the index, `store` the one of them that is looked through.
pub async fn collect<Q: Queue, V: VectorStore>(
    queue: &Q,
    (stores, store): (&[&V], &V),
    now_ms: u64,
    time_to_live: Duration,
) -> Result<Collected> {
    // Before the parked ones: what is below these watermarks and parked is listed then.
    let control = store.control().await?;
    let Some(Watermark {
        version: settled, ..
    }) = control.settled(queue.partitions())
    else {
        return Ok(Collected::default());
    };
    let Some(messages) = parked::current(queue, stores).await? else {
        return Ok(Collected::default());
    };
    let mut oldest = HashMap::new();
    for message in messages {
        // Bytes without a key cannot be retried, so no tombstone is kept for them.
        if let Some(key) = message.key {
            let oldest = oldest.entry(key).or_insert(message.version);
            *oldest = message.version.min(*oldest);
        }
    }
    let time_to_live = u64::try_from(time_to_live.as_millis()).unwrap_or(u64::MAX);
    // Points first: a tombstone that goes tells no more what is older than it.
    let points = orphans(store, settled).await?;
    let born_before_ms = now_ms.saturating_sub(time_to_live);
    let is_old = |grave: &Manifest| {
        let version = grave.stamp.version;
        let needed = oldest
            .get(&grave.key)
            .is_some_and(|oldest| *oldest <= version);
        grave.deleted && version < settled && grave.committed_ms < born_before_ms && !needed
    };
    let tombstones = tombstones(store, is_old).await?;
    Ok(Collected { tombstones, points })
}

/// Removes the tombstones that nobody needs.
async fn tombstones<V: VectorStore>(store: &V, is_old: impl Fn(&Manifest) -> bool) -> Result<u64> {
    let mut collected = 0;
    let mut after = None;
    loop {
        let page = store
            .manifests(Select::After { after, limit: PAGE })
            .await?;
        let Some(last) = page.last().map(|manifest| manifest.key.clone()) else {
            return Ok(collected);
        };
        let writes: Vec<_> = page
            .into_iter()
            .filter(&is_old)
            .map(|grave| Write::Collect {
                key: grave.key,
                version: grave.stamp.version,
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
/// without a manifest, unless everything of its version is settled; without a version nobody knows when.
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
                (&manifest.key, (manifest.stamp, ids))
            })
            .collect();
        let is_orphan = |point: &&Point| match named.get(&point.key) {
            Some((stamp, ids)) => point.stamp <= *stamp && !ids.contains(&point.id),
            None => point.stamp.version.is_some() && point.stamp.version < below,
        };
        let orphans: Vec<_> = page.iter().filter(is_orphan).collect();
        collected += orphans.len() as u64;
        let documents: BTreeMap<DocumentKey, Version> = orphans
            .into_iter()
            .map(|point| (point.key.clone(), point.stamp.version))
            .collect();
        store::sweep(store, documents.into_iter().collect()).await?;
        after = Some(last);
    }
}
