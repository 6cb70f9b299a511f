//! Manifests in the order of their keys; see `order` for how a store of numbers has it.

use qdrant_client::qdrant::{Condition, Filter, OrderBy, ScrollPoints, WithPayloadSelector};

use super::QdrantStore;
use super::guard::{KEY_ID, KIND, range};
use super::name::Family;
use super::order::{self, FIELDS, Region};
use super::payload::Reader;
use super::read::{count, parts, scroll};
use crate::change::DocumentKey;
use crate::vector::Manifest;
use crate::{Error, Result};

impl QdrantStore {
    /// The next manifests by type, then by `_id`.
    pub(super) async fn manifests_after(
        &self,
        after: Option<DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Manifest>> {
        let mut after = after;
        loop {
            let keys = self.keys_after(after.as_ref(), limit).await?;
            let Some(last) = keys.last().cloned() else {
                return Ok(Vec::new());
            };
            let manifests = self.manifests_of(keys).await?;
            if !manifests.is_empty() {
                return Ok(manifests);
            }
            // All of them were collected in between; an empty answer would mean the end.
            after = Some(last);
        }
    }

    async fn keys_after(
        &self,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<DocumentKey>> {
        let mut keys = Vec::new();
        let kinds = self.all_types().await?;
        // A type stays as long as its edition: an empty answer would say that all was read. Without an id nothing
        // was read yet, and the type may be none that is stored.
        if after.is_some_and(|after| !after.id.is_empty() && !kinds.contains(&after.kind)) {
            return Err(self.removed());
        }
        for kind in kinds {
            let within = match after {
                Some(after) if kind < after.kind => continue,
                Some(after) if kind == after.kind => Some(after.id.as_str()),
                _ => None,
            };
            let need = limit - keys.len();
            if need == 0 {
                break;
            }
            let ids = self.ids_after(&kind, within, need).await?;
            keys.extend(ids.into_iter().map(|id| DocumentKey {
                kind: kind.clone(),
                id,
            }));
        }
        Ok(keys)
    }

    /// The next `_id`s of a type.
    async fn ids_after(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>> {
        let name = self.collection(Family::Cleaned, kind);
        let mut regions = order::regions(after);
        let mut found: Vec<String> = Vec::new();
        while let Some(region) = regions.pop() {
            let need = limit - found.len();
            if need == 0 {
                break;
            }
            let Some(field) = region.next_field() else {
                let mut ids = self.ids_in(&name, &region).await?;
                ids.retain(|id| Some(id.as_str()) > after);
                ids.sort_unstable();
                ids.truncate(need);
                found.extend(ids);
                continue;
            };
            // One more than is needed: without it the region is at its end.
            let mut ids = self.first_in(&name, &region, field, need + 1).await?;
            if ids.len() > need {
                let depth = region.fixed.len();
                let word = |id: &String| order::words(id)[depth];
                let cut = ids.last().map(word).unwrap_or_default();
                ids.retain(|id| word(id) < cut);
                regions.extend(region.split(cut));
            }
            ids.sort_unstable();
            found.extend(ids);
        }
        Ok(found)
    }

    /// Every id of a region whose words are all shared.
    async fn ids_in(&self, name: &str, region: &Region) -> Result<Vec<String>> {
        let found = parts(&self.server.link, name, filter(region), key_only()).await?;
        found
            .into_iter()
            .map(|payload| id(Reader(payload)))
            .collect()
    }

    /// The first ids of a region by its next word.
    async fn first_in(
        &self,
        name: &str,
        region: &Region,
        field: &str,
        limit: usize,
    ) -> Result<Vec<String>> {
        let request = ScrollPoints {
            filter: Some(filter(region)),
            limit: Some(count(limit)),
            with_payload: Some(key_only()),
            order_by: Some(OrderBy::from(field)),
            ..scroll(&self.server.link, name)
        };
        let page = self.server.link.client.scroll(request).await;
        let page = page.map_err(self.server.link.fault("read"))?.result;
        page.into_iter()
            .map(|point| id(Reader(point.payload)))
            .collect()
    }
}

/// Without the texts, which a manifest has whole.
fn key_only() -> WithPayloadSelector {
    WithPayloadSelector::from(vec![KIND, KEY_ID])
}

fn id(mut payload: Reader) -> Result<String> {
    let key = payload.key();
    let key =
        key.ok_or_else(|| Error::malformed("a stored manifest", "its payload is not ours"))?;
    Ok(key.id)
}

/// What a region holds. Words are below 2^48, so that a 64-bit float is exact.
fn filter(region: &Region) -> Filter {
    #[expect(clippy::cast_precision_loss, reason = "a word has 48 bits")]
    let float = |word: i64| word as f64;
    let mut conditions: Vec<Condition> = FIELDS
        .iter()
        .zip(&region.fixed)
        .map(|(name, word)| {
            range(name, |range| {
                range.gte = Some(float(*word));
                range.lte = Some(float(*word));
            })
        })
        .collect();
    if let (Some(field), Some(above)) = (region.next_field(), region.above) {
        conditions.push(range(field, |range| range.gt = Some(float(above))));
    }
    Filter::must(conditions)
}
