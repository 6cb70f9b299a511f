//! What the new edition takes over from the old one: what was deleted, voided and settled before
//! changes went to both, and what has no source to be read from again.
//!
//! Once every queue has passed the first mark nothing is settled any more that the new edition was
//! not told of; so what is read here is the last of it. Other documents are not copied: they are
//! read again from the source.

use std::collections::HashMap;

use crate::change::{PointId, Version};
use crate::feature::embed::Embedder;
use crate::feature::floor;
use crate::feature::plan::Plan;
use crate::feature::store;
use crate::vector::{Control, Manifest, Select, VectorStore, Write};
use crate::{Recovery, Result};

use super::Index;

/// Manifests read at once.
const PAGE: usize = 256;

/// Copies control state, tombstones, and documents without a version. Repeatable: every write loses
/// against a newer one.
pub(super) async fn copy<V: VectorStore, E: Embedder>(
    old: &Index<V, E>,
    new: &Index<V, E>,
) -> Result<()> {
    control(old.store.as_ref(), new.store.as_ref()).await?;
    let mut after = None;
    loop {
        let select = Select::After { after, limit: PAGE };
        let page = old.store.manifests(select).await?;
        let Some(last) = page.last().map(|manifest| manifest.key.clone()) else {
            return Ok(());
        };
        after = Some(last);
        let mut graves = Vec::new();
        for mut manifest in page {
            let is_stray = !manifest.stamp.version.is_some();
            if is_stray {
                // Whatever of it the new edition was told itself came later, and wins.
                manifest.stamp = Version::NONE.into();
            }
            if manifest.deleted {
                graves.push(Plan {
                    manifest,
                    texts: Vec::new(),
                });
            } else if is_stray {
                document(old, new, manifest).await?;
            }
        }
        if !graves.is_empty() {
            // An old change that came late may have brought the document back here: stored as the
            // delete that it is, its points go, too.
            store::store(new.store.as_ref(), new.embedder.as_ref(), graves).await?;
        }
    }
}

/// Embeds the texts of a document again that only a producer without versions ever had.
async fn document<V: VectorStore, E: Embedder>(
    old: &Index<V, E>,
    new: &Index<V, E>,
    manifest: Manifest,
) -> Result<()> {
    let points = old.store.points(Select::Of(manifest.point_ids())).await?;
    let mut contents: HashMap<PointId, String> = points
        .into_iter()
        .map(|point| (point.id, point.content))
        .collect();
    let ids = manifest.points.iter().map(|entry| entry.id);
    let texts: Option<Vec<String>> = ids.map(|id| contents.remove(&id)).collect();
    let Some(texts) = texts else {
        // It is changed at this moment: what comes goes to both.
        return Ok(());
    };
    let key = manifest.key.clone();
    let plan = Plan { manifest, texts };
    match store::store(new.store.as_ref(), new.embedder.as_ref(), vec![plan]).await {
        Err(error) if error.recovery() == Recovery::Park => {
            tracing::error!(%key, error = %error.chain(), "left out of the new edition: send it again");
            Ok(())
        }
        done => done.map(drop),
    }
}

/// Floors, those on their way, and watermarks.
///
/// Again while floors act or queues of a next generation begin meanwhile: what the old edition has from
/// that, the new one could not have from what was not copied yet.
async fn control<V: VectorStore>(old: &V, new: &V) -> Result<()> {
    let mut control = old.control().await?;
    loop {
        take_over(&control, new).await?;
        let after = old.control().await?;
        let is_same = control.floors == after.floors
            && control.passing == after.passing
            && control.watermarks.keys().eq(after.watermarks.keys());
        if is_same {
            return Ok(());
        }
        control = after;
    }
}

async fn take_over<V: VectorStore>(control: &Control, new: &V) -> Result<()> {
    for (kind, version) in &control.floors {
        floor::act(new, kind, *version).await?;
    }
    let passed = control.passing.iter().flat_map(|(floor, places)| {
        places.iter().map(move |place| Write::Passed {
            floor: floor.clone(),
            place: *place,
        })
    });
    let marks = control.watermarks.iter();
    let marks = marks.map(|(place, mark)| Write::Watermark {
        place: *place,
        mark: *mark,
    });
    new.write(passed.chain(marks).collect()).await
}
