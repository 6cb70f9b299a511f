//! The engine's folder: opening it, and keeping its log small.

use std::fmt::Display;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use qdrant_edge::{
    CreateIndex, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard,
    EdgeSparseVectorParamsBuilder, EdgeVectorParamsBuilder, FieldIndexOperations,
    IntegerIndexParams, JsonPath, KeywordIndexParams, Modifier, OperationError, OperationResult,
    PayloadFieldSchema, PayloadSchemaParams, UpdateOperation, WalOptions,
};

use super::upkeep::Upkeep;
use super::{older, payload};
use crate::{Error, Result};

/// Fields with an index: what searches filter by, and what finds the points of a document.
const KEYWORDS: [&str; 3] = [payload::KIND, payload::KEY_ID, payload::LABELS];
const NUMBERS: [&str; 1] = [payload::DATED];
/// The engine logs every write and never removes the log; small files let us remove it in pieces.
const LOG_FILE_BYTES: usize = 4 << 20;
/// Where the engine keeps its log, under the folder.
const LOG: &str = "wal";
const SEGMENTS: &str = "segments";

/// Why a call of the engine came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It said no.
    #[error("{0}")]
    Refused(OperationError),
    /// It gave up.
    #[error("the engine gave up ({0})")]
    Panic(String),
}

/// Whether the engine has been in this folder.
pub(super) fn exists(folder: &Path) -> bool {
    folder.join(SEGMENTS).exists()
}

/// Opens or makes the folder, and says how many points an older one was copied with.
///
/// # Errors
/// [`Error::Data`] naming the folder if the engine cannot load it.
pub(super) fn open(folder: &Path, dimension: usize, upkeep: Upkeep) -> Result<(EdgeShard, usize)> {
    let load = |folder: &Path| -> OperationResult<EdgeShard> {
        let shard = EdgeShard::load(folder, Some(config(dimension, upkeep)))?;
        make_indexes(&shard)?;
        Ok(shard)
    };
    let copied = older::renew(folder, load)?;
    fs::create_dir_all(folder)
        .and_then(|()| shorten_log(folder))
        .map_err(|error| unreadable(folder, &error))?;
    let shard = guarded(|| load(folder)).map_err(|failure| unreadable(folder, &failure))?;
    Ok((shard, copied))
}

/// Calls the engine, which on some damage panics where it could return an error; says why.
pub(super) fn guarded<T>(call: impl FnOnce() -> OperationResult<T>) -> Result<T, Failure> {
    let called = catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Failure::Panic(text.unwrap_or("it does not say why").to_owned())
    })?;
    called.map_err(Failure::Refused)
}

pub(super) fn unreadable(folder: &Path, why: &dyn Display) -> Error {
    Error::Data {
        path: folder.to_owned(),
        why: format!(
            "the vectors in it cannot be read: {why}; restore the data folder from a backup, or \
             start with another one (--data) and crawl again"
        ),
    }
}

/// After a failed write the engine refuses all others until it is loaded anew.
pub(super) fn unwritable(folder: &Path, why: &dyn Display) -> Error {
    Error::Data {
        path: folder.to_owned(),
        why: format!(
            "the vector engine could not write: {why}; if the disk is full make room, then start \
             again: nothing that was confirmed is lost"
        ),
    }
}

fn config(dimension: usize, upkeep: Upkeep) -> EdgeConfig {
    let vector = EdgeVectorParamsBuilder::new(dimension, Distance::Cosine).build();
    let vector_bytes = dimension * size_of::<f32>();
    let words = EdgeSparseVectorParamsBuilder::new()
        .modifier(Modifier::Idf)
        .on_disk(true);
    EdgeConfig::builder()
        .vector(payload::DENSE, vector)
        .sparse_vector(payload::SPARSE, words.build())
        .optimizers(EdgeOptimizersConfig {
            indexing_threshold: Some(upkeep.graph_from * vector_bytes / 1024),
            default_segment_number: Some(upkeep.pieces),
            ..EdgeOptimizersConfig::default()
        })
        .wal_options(WalOptions {
            segment_capacity: LOG_FILE_BYTES,
            ..WalOptions::default()
        })
        .build()
}

/// Makes the indexes that are missing, as they are after a crash in the first start. They lie on the
/// disk, except for the newest points: in memory they would grow with the index.
fn make_indexes(shard: &EdgeShard) -> OperationResult<()> {
    let on_disk = Some(true);
    let keyword = PayloadSchemaParams::Keyword(KeywordIndexParams {
        on_disk,
        ..KeywordIndexParams::default()
    });
    let number = PayloadSchemaParams::Integer(IntegerIndexParams {
        lookup: Some(true),
        range: Some(true),
        on_disk,
        ..IntegerIndexParams::default()
    });
    let keywords = KEYWORDS.iter().map(|name| (*name, keyword.clone()));
    let numbers = NUMBERS.iter().map(|name| (*name, number.clone()));
    let there = shard.info().payload_schema;
    for (name, params) in keywords.chain(numbers) {
        let field_name: JsonPath = name
            .parse()
            .expect("a field name should be a path: it is one plain word");
        if there.contains_key(&field_name) {
            continue;
        }
        shard.update(UpdateOperation::FieldIndexOperation(
            FieldIndexOperations::CreateIndex(CreateIndex {
                field_name,
                field_schema: Some(PayloadFieldSchema::FieldParams(params)),
            }),
        ))?;
    }
    shard.flush();
    Ok(())
}

/// Removes what the engine's log holds beyond its last full file.
///
/// The engine never reads it back: what counts are flushed segments. It reads only the number of
/// the last write from it, which must not fall, so the last file stays.
pub(super) fn shorten_log(folder: &Path) -> io::Result<()> {
    let log = folder.join(LOG);
    if !log.exists() {
        return Ok(());
    }
    let mut full = Vec::new();
    for entry in fs::read_dir(&log)? {
        let name = entry?.file_name();
        let start = name
            .to_str()
            .and_then(|name| name.strip_prefix("closed-"))
            .and_then(|start| start.parse::<u64>().ok());
        full.extend(start);
    }
    full.sort_unstable();
    full.pop();
    full.iter()
        .try_for_each(|start| fs::remove_file(log.join(format!("closed-{start}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_start_that_was_cut_off_at_any_point_is_made_again() {
        let whole = tempfile::tempdir().unwrap();
        drop(open(whole.path(), 4, Upkeep::default()).unwrap());
        let segment = fs::read_dir(whole.path().join(SEGMENTS)).unwrap().next();
        let name = segment.unwrap().unwrap().file_name();
        let segment = Path::new(SEGMENTS).join(name);
        // In the order in which the engine makes them; nothing says yet which form it has.
        let folders = [Path::new(LOG), Path::new(SEGMENTS), &segment];
        for count in 1..=folders.len() {
            let half = tempfile::tempdir().unwrap();
            for folder in &folders[..count] {
                fs::create_dir(half.path().join(folder)).unwrap();
            }
            let (shard, copied) = open(half.path(), 4, Upkeep::default()).unwrap();
            assert_eq!((shard.info().points_count, copied), (0, 0), "{count}");
        }
    }
}
