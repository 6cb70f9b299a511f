//! The highest epoch that an index has ever seen.

use crate::Result;
use crate::reindex::Editions;
use crate::vector::{Select, VectorStore};

/// Manifests read at a time: each may hold a whole book.
const MANIFESTS: usize = 64;

/// The highest epoch of any manifest, floor or watermark of the edition that is searched; 0 for an index that has
/// seen nothing. Another edition is filled by the same capture.
///
/// # Errors
/// What the index says.
pub async fn seen_epoch<E: Editions>(
    editions: &E,
    tell: &(dyn Fn(u64) + Send + Sync),
) -> Result<u32> {
    let open = editions.searched().await?;
    let store = open.current.store.as_ref();
    let control = store.control().await?;
    let marks = control.watermarks.values().map(|mark| mark.version.epoch);
    let floors = control.floors.values().map(|floor| floor.epoch);
    let mut seen = marks.chain(floors).max().unwrap_or(0);
    let (mut after, mut done) = (None, 0);
    loop {
        let limit = MANIFESTS;
        let page = store.manifests(Select::After { after, limit }).await?;
        let Some(last) = page.last() else {
            return Ok(seen);
        };
        after = Some(last.key.clone());
        let epochs = page.iter().map(|manifest| manifest.stamp.version.epoch);
        seen = seen.max(epochs.max().unwrap_or(0));
        done += page.len() as u64;
        tell(done);
    }
}
