//! The engine's folder: opening it, and keeping it small and quick.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use qdrant_edge::{
    CreateIndex, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParamsBuilder,
    FieldIndexOperations, JsonPath, OperationResult, PayloadFieldSchema, PayloadSchemaType,
    UpdateOperation, WalOptions,
};

use super::payload;
use crate::{Error, Result};

/// Fields with an index: what searches filter by, and what finds the points of a document.
const INDEXED: [&str; 3] = [payload::KIND, payload::KEY_ID, payload::AUTHOR_ID];
/// The engine logs every write and never removes the log; small files let us remove it in pieces.
const LOG_FILE_BYTES: usize = 4 << 20;
/// Where the engine keeps its log, under the folder.
const LOG: &str = "wal";
const SEGMENTS: &str = "segments";

/// When the engine tidies up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Upkeep {
    /// Points written between two times.
    pub(super) after: usize,
    /// Points in one piece from which on it gets a graph; below, a search compares with every one.
    pub(super) graph_from: usize,
}

/// Comparing 20,000 vectors takes about a millisecond; rebuilding takes seconds in which nothing
/// is written.
impl Default for Upkeep {
    fn default() -> Self {
        Self {
            after: 20_000,
            graph_from: 20_000,
        }
    }
}

/// Whether the engine has been in this folder.
pub(super) fn exists(folder: &Path) -> bool {
    folder.join(SEGMENTS).exists()
}

/// Opens or makes the folder.
///
/// # Errors
/// [`Error::Data`] naming the folder if the engine cannot load it.
pub(super) fn open(folder: &Path, dimension: usize, upkeep: Upkeep) -> Result<EdgeShard> {
    let broken = |why: String| Error::Data {
        path: folder.to_owned(),
        why: format!(
            "the vectors in it cannot be read: {why}; restore the data folder from a backup, or \
             start with another one (--data) and crawl again"
        ),
    };
    fs::create_dir_all(folder).map_err(|error| broken(error.to_string()))?;
    shorten_log(folder).map_err(|error| broken(error.to_string()))?;
    // On some damage the engine panics where it could return an error.
    let load = || EdgeShard::load(folder, Some(config(dimension, upkeep)));
    let shard = catch_unwind(AssertUnwindSafe(load))
        .map_err(|_| broken("the engine gave up on a file".to_owned()))?
        .map_err(|error| broken(error.to_string()))?;
    make_indexes(&shard).map_err(|error| broken(error.to_string()))?;
    Ok(shard)
}

fn config(dimension: usize, upkeep: Upkeep) -> EdgeConfig {
    let vector = EdgeVectorParamsBuilder::new(dimension, Distance::Cosine).build();
    let vector_bytes = dimension * size_of::<f32>();
    EdgeConfig::builder()
        .vector(payload::DENSE, vector)
        .optimizers(EdgeOptimizersConfig {
            indexing_threshold: Some(upkeep.graph_from * vector_bytes / 1024),
            ..EdgeOptimizersConfig::default()
        })
        .wal_options(WalOptions {
            segment_capacity: LOG_FILE_BYTES,
            ..WalOptions::default()
        })
        .build()
}

/// Makes the indexes that are missing, as they are after a crash in the first start.
fn make_indexes(shard: &EdgeShard) -> OperationResult<()> {
    let schema = shard.info().payload_schema;
    for name in INDEXED {
        let field_name: JsonPath = name
            .parse()
            .expect("a field name should be a path: it is one plain word");
        if schema.contains_key(&field_name) {
            continue;
        }
        let keyword = PayloadFieldSchema::FieldType(PayloadSchemaType::Keyword);
        shard.update(UpdateOperation::FieldIndexOperation(
            FieldIndexOperations::CreateIndex(CreateIndex {
                field_name,
                field_schema: Some(keyword),
            }),
        ))?;
    }
    shard.flush();
    Ok(())
}

/// Rebuilds pieces that grew large or hold many deleted points, and shortens the log.
///
/// Takes seconds for tens of thousands of points.
pub(super) fn keep_up(shard: &EdgeShard, folder: &Path) -> OperationResult<()> {
    if shard.optimize()? {
        shard.flush();
    }
    // Left for the next time if it fails; it costs room only.
    shorten_log(folder).ok();
    Ok(())
}

/// Removes what the engine's log holds beyond its last full file.
///
/// The engine never reads it back: what counts are flushed segments. It reads only the number of
/// the last write from it, which must not fall, so the last file stays.
fn shorten_log(folder: &Path) -> io::Result<()> {
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
