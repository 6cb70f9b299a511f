//! Counts what is there and what is on its way.

use crate::Result;
use crate::change::{Position, Time};
use crate::feature::embed::Embedder as _;
use crate::feature::parked;
use crate::queue::Queue;
use crate::reindex::Editions as _;
use crate::source::{Body, Checkpoints, Source, Watch as _};
use crate::telemetry::Counted;
use crate::vector::VectorStore;

use super::answer::{Pending, Status};
use super::commands::{Commands, Rooms};
use super::settle;

/// Log entries that are counted at most; beyond it the figure says "more than".
const LOGGED_MAX: u64 = 10_000;
/// Log entries read at once.
const PAGE_SIZE: usize = 500;

/// Reads everything anew; nothing is cached.
pub(super) async fn status<R: Rooms>(commands: &Commands<R>) -> Result<Status> {
    let Commands { source, queue, .. } = commands;
    let open = commands.editions.open().await?;
    let store = &open.current.store;
    // What a newer version has overtaken is parked no more.
    parked::current(queue.as_ref(), &open.stores()).await?;
    let (counts, depth) = (store.counts().await?, queue.depth().await?);
    let settled = store.control().await?.settled(queue.partitions());
    let settled = settled.unwrap_or_default();
    let end = settle::end(source.as_ref()).await?;
    let saved = commands.checkpoints.load().await?;
    let time = settle::time_in(settled, saved.as_ref().map_or(0, |saved| saved.epoch));
    let (logged, logged_more) = if time >= end {
        (0, false)
    } else {
        let from = saved.map(|checkpoint| checkpoint.position);
        count_logged(source.as_ref(), from, time, end).await?
    };
    let pending = Pending {
        logged,
        logged_more,
        queued: depth.live + depth.backfill,
    };
    // The settled watermark is at most a second older than the oldest change that is pending.
    let lag_ms = match (pending.changes(), settled.committed_ms) {
        (0, _) | (_, 0) => 0,
        (_, committed_ms) => commands.clock.now_ms().saturating_sub(committed_ms),
    };
    let (index, reindex) = commands.index_status().await?;
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        data: commands.about.data.display().to_string(),
        address: commands.about.address.clone(),
        model: commands.about.model.clone(),
        index,
        reindex,
        documents: R::count(source).await?,
        indexed: counts.documents,
        points: counts.points,
        tombstones: counts.tombstones,
        pending,
        lag_seconds: std::time::Duration::from_millis(lag_ms).as_secs_f64(),
        parked: depth.parked,
        counted: Counted::from(commands.counters.as_ref()).with_usage(commands.embedder.usage()),
        // Whoever prints it asks them.
        services: None,
    })
}

/// Edits in the log after the position that lie above the settled time.
async fn count_logged<S: Source>(
    source: &S,
    from: Option<Position>,
    settled: Time,
    end: Time,
) -> Result<(u64, bool)> {
    let Some(from) = from else {
        // Without a position a snapshot is to come, whose size the documents tell.
        return Ok((0, true));
    };
    let mut watch = source.watch(Some(from)).await?;
    let mut count = 0;
    while watch.here().1 < end && count < LOGGED_MAX {
        let events = watch.next(PAGE_SIZE).await?;
        let edits = events
            .iter()
            .filter(|event| event.time > settled && !matches!(event.body, Body::Idle));
        count += edits.count() as u64;
    }
    Ok((count, watch.here().1 < end))
}
