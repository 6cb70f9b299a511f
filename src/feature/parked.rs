//! What is parked and still matters.
//!
//! ```text
//! parked ──> the index holds it, or a newer one; a floor has voided it ──> forgotten
//!       ├──> a newer one of its document is parked ─────────────────────> forgotten
//!       └──> holds floors and its document's tombstone back until it is retried or dropped
//! ```

use std::collections::HashMap;

use uuid::Uuid;

use crate::queue::{Parked, Queue};
use crate::vector::{Control, Manifest, Select, VectorStore};
use crate::{Error, Result};

/// Manifests read at once.
const PAGE: usize = 256;
/// Parked messages listed at once: a broker reads all of them for each page.
const LISTED: usize = 1 << 14;

/// The parked messages that still matter; those that every edition of the index has overtaken are
/// forgotten, and those that a newer one of their key is parked above. None where the queue refuses to list them, as where they are too many: then anything may be parked.
pub async fn current<Q: Queue, V: VectorStore>(
    queue: &Q,
    stores: &[&V],
) -> Result<Option<Vec<Parked>>> {
    let mut after = None;
    let mut current = Vec::new();
    loop {
        let mut listed = match queue.parked(after, LISTED).await {
            Err(error @ Error::Refused { .. }) => {
                tracing::warn!(error = %error.chain(), "floors and old tombstones wait for what is parked");
                return Ok(None);
            }
            listed => listed?,
        };
        let is_last = listed.len() < LISTED;
        after = listed.last().map(|parked| parked.id).or(after);
        let mut over = Vec::new();
        while !listed.is_empty() {
            let rest = listed.split_off(PAGE.min(listed.len()));
            let (overtaken, still) = sorted(listed, stores).await?;
            over.extend(overtaken.into_iter().map(|parked| parked.id));
            current.extend(still);
            listed = rest;
        }
        forget(queue, over).await?;
        if is_last {
            break;
        }
    }
    let (current, below) = newest(current);
    forget(queue, below.into_iter().map(|parked| parked.id).collect()).await?;
    Ok(Some(current))
}

async fn forget<Q: Queue>(queue: &Q, ids: Vec<Uuid>) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    queue.forget(ids).await
}

/// The newest parked messages of each key, and those below them.
///
/// One document that is edited every second and cannot be prepared parks a message every second. Only the newest
/// matters: a floor that any of them holds back it holds back, and to retry one reads the document as it is now. Of
/// those without a version none is known to be the newest.
fn newest(parked: Vec<Parked>) -> (Vec<Parked>, Vec<Parked>) {
    let mut highest = HashMap::new();
    for Parked { key, version, .. } in &parked {
        let highest = highest.entry(key.clone()).or_insert(*version);
        *highest = (*highest).max(*version);
    }
    parked.into_iter().partition(|parked| {
        parked.key.is_none()
            || !parked.version.is_some()
            || highest.get(&parked.key) == Some(&parked.version)
    })
}

/// Those of a page that every edition has overtaken, and the others.
async fn sorted<V: VectorStore>(
    page: Vec<Parked>,
    stores: &[&V],
) -> Result<(Vec<Parked>, Vec<Parked>)> {
    let keys = page.iter().filter_map(|parked| parked.key.clone());
    let keys: Vec<_> = keys.collect();
    let (mut over, mut still) = (page, Vec::new());
    for store in stores {
        let control = store.control().await?;
        let manifests = store.manifests(Select::Of(keys.clone())).await?;
        let here;
        (over, here) = over
            .into_iter()
            .partition(|parked| is_overtaken(parked, &manifests, &control));
        still.extend::<Vec<_>>(here);
    }
    Ok((over, still))
}

/// Whether the index holds the key at this version or a newer one, or a floor has voided it. A message
/// without a version is overtaken by one with: nothing says which of two without is newer.
fn is_overtaken(parked: &Parked, manifests: &[Manifest], control: &Control) -> bool {
    let newer = |manifest: &Manifest| {
        let stored = manifest.stamp.version;
        stored.is_some() && stored >= parked.version
    };
    parked.key.as_ref().is_some_and(|key| {
        control.voids(&key.kind, parked.version)
            || (manifests.iter()).any(|manifest| manifest.key == *key && newer(manifest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{DocumentKey, Lane, Place, Time, Version};

    fn parked(number: u128, key: Option<&str>, version: Version) -> Parked {
        let lane = Lane::Live;
        Parked {
            id: Uuid::from_u128(number),
            key: key.map(|id| DocumentKey::text("posts", id)),
            version,
            place: Place { partition: 0, lane },
            operation: None,
            reason: String::new(),
            attempts: 1,
            parked_ms: 0,
        }
    }

    #[test]
    fn of_a_document_the_newest_parked_change_is_kept_and_nothing_whose_order_is_unknown_goes() {
        let at = |sequence| Version::read(1, Time::from_sequence(sequence));
        let all = vec![
            parked(1, Some("a"), at(1)),
            parked(2, Some("a"), at(3)),
            parked(3, Some("a"), at(2)),
            parked(4, Some("b"), at(1)),
            parked(5, Some("a"), Version::NONE),
            parked(6, Some("c"), Version::NONE),
            parked(7, Some("c"), Version::NONE),
            parked(8, None, at(1)),
            parked(9, None, at(2)),
        ];
        let (kept, gone) = newest(all);
        let numbers = |parked: Vec<Parked>| {
            let numbers = parked.iter().map(|parked| parked.id.as_u128());
            numbers.collect::<Vec<_>>()
        };
        assert_eq!(numbers(kept), [2, 4, 5, 6, 7, 8, 9]);
        assert_eq!(numbers(gone), [1, 3]);
    }
}
