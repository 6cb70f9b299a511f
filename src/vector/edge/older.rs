//! A folder from before a search looked at words: its points are copied, with their words and labels, into
//! a new one that takes its place. Nothing is embedded: both follow from what is stored.
//!
//! ```text
//! vectors ──every point──> vectors.new ──flushed──> vectors -> vectors.old, vectors.new -> vectors
//! ```
//!
//! | crash | what is there | next opening |
//! |---|---|---|
//! | while copying | `vectors`, part of `vectors.new` | copies anew |
//! | between the two renames | `vectors.old`, the whole of `vectors.new` | renames `vectors.new` |
//! | after them | `vectors`, `vectors.old` | removes `vectors.old` |
//!
//! Not by adding a vector to the folder in place: what a crash leaves of that is neither form.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use qdrant_edge::{
    EdgeConfig, EdgeShard, OperationResult, PointId as EngineId, PointInsertOperations,
    PointOperations, Record, ScrollRequest, UpdateOperation, WithPayloadInterface,
};

use super::{payload, points, shard};
use crate::change::PointId;
use crate::{Error, Result};

/// Points copied at once.
const PAGE: usize = 256;
/// Pages between two looks at the engine's own log, which grows with every page.
const PAGES_A_LOG: usize = 32;

/// Ends what a crash has cut off.
///
/// # Errors
/// [`Error::Data`] where files can be neither renamed nor removed.
pub(super) fn finish(folder: &Path) -> Result<()> {
    let ended = || -> io::Result<()> {
        let (new, old) = (beside(folder, "new"), beside(folder, "old"));
        if old.exists() && !shard::exists(folder) && shard::exists(&new) {
            remove(folder)?;
            fs::rename(&new, folder)?;
            synced(folder)?;
        }
        remove(&new)?;
        if shard::exists(folder) {
            remove(&old)?;
        }
        Ok(())
    };
    ended().map_err(|error| uncopied(folder, &error))
}

/// Copies the folder if it is an older one, and says how many points there were; `make` opens a new one.
///
/// # Errors
/// [`Error::Data`] where it cannot be read, or there is no room for a second one.
pub(super) fn renew(
    folder: &Path,
    make: impl FnOnce(&Path) -> OperationResult<EdgeShard>,
) -> Result<usize> {
    if !shard::exists(folder) || has_words(folder) {
        return Ok(0);
    }
    tracing::info!(folder = %folder.display(), "vectors are copied once, to be found by their words too");
    let (new, old) = (beside(folder, "new"), beside(folder, "old"));
    let copied = shard::guarded(|| {
        fs::create_dir_all(&new)?;
        copy(&EdgeShard::load(folder, None)?, &make(&new)?)
    });
    let copied = copied.map_err(|failure| uncopied(folder, &failure))?;
    let swapped = fs::rename(folder, &old)
        .and_then(|()| fs::rename(&new, folder))
        .and_then(|()| synced(folder));
    swapped.map_err(|error| uncopied(folder, &error))?;
    // Left for the next opening if it fails; it costs room only.
    remove(&old).ok();
    Ok(copied)
}

/// Whether the folder is of today's form, or of one that cannot be read, which loading it will say. One that
/// says nothing of its form is no older one: the engine writes that before it takes the first point.
fn has_words(folder: &Path) -> bool {
    match EdgeConfig::load(folder) {
        Some(Ok(config)) => config.sparse_vectors.contains_key(payload::SPARSE),
        Some(Err(_)) | None => true,
    }
}

fn copy(from: &EdgeShard, to: &EdgeShard) -> OperationResult<usize> {
    let (mut offset, mut copied) = (None, 0);
    for page_number in 1.. {
        let (page, next) = from.scroll(ScrollRequest {
            offset,
            limit: Some(PAGE),
            filter: None,
            with_payload: Some(WithPayloadInterface::Bool(true)),
            with_vector: points::meaning(),
            order_by: None,
        })?;
        let page: Vec<_> = page.into_iter().filter_map(whole).collect();
        copied += page.len();
        if !page.is_empty() {
            let upsert = PointInsertOperations::PointsList(page);
            let upsert = PointOperations::UpsertPoints(upsert);
            to.update(UpdateOperation::PointOperation(upsert))?;
        }
        offset = next;
        if offset.is_none() {
            break;
        }
        if page_number % PAGES_A_LOG == 0 {
            shard::shorten_log(to.path())?;
        }
    }
    to.flush();
    Ok(copied)
}

/// A point with everything that it has today; none where it is not ours.
fn whole(record: Record) -> Option<qdrant_edge::PointStructPersisted> {
    let EngineId::Uuid(id) = record.id else {
        return None;
    };
    let vector = payload::dense(record.vector);
    let payload = record.payload?.0;
    Some(payload::stored(PointId(id), payload, vector).into())
}

fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.to_owned().into_os_string();
    name.push(format!(".{ending}"));
    name.into()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in the folder's parent durable.
fn synced(folder: &Path) -> io::Result<()> {
    match folder.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn uncopied(folder: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Data {
        path: folder.to_owned(),
        why: format!(
            "the vectors are of an older form, and could not be copied into today's: {why}; nothing of \
             them is lost: make room for a second copy, then start again"
        ),
    }
}
