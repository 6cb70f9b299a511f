//! The beginning, for a source that was never read and for one whose changes were lost.

use std::collections::BTreeSet;

use super::{Ports, Settings, SnapshotPlan};
use crate::Result;
use crate::change::Version;
use crate::queue::Queue;
use crate::source::{Checkpoint, Checkpoints, Source, Watch};

/// Opens the watch at the end of the log, plans a snapshot of everything before it, and saves that
/// plan. `lost` is the checkpoint whose position the source no longer has.
pub(super) async fn begin<S: Source, C: Checkpoints, Q: Queue>(
    ports: &Ports<'_, S, C, Q>,
    settings: &Settings,
    lost: Option<Checkpoint>,
) -> Result<(S::Watch, Checkpoint)> {
    let (epoch, mut kinds, resets, before) = match lost {
        Some(lost) => (lost.epoch, lost.kinds, lost.resets + 1, lost.snapshot),
        None => (settings.epoch, BTreeSet::new(), 0, SnapshotPlan::default()),
    };
    kinds.extend(settings.kinds.iter().cloned());
    let (watch, mut checkpoint) = afresh(ports.source, epoch, kinds).await?;
    checkpoint.resets = resets;
    // What was sent to be filled was true when it was read, and what follows tells of the gap.
    checkpoint.snapshot.go_on_filling(before);
    ports.checkpoints.save(checkpoint.clone()).await?;
    Ok((watch, checkpoint))
}

/// The end of the log, and the plan to read these types, and those that the source shows, before it.
pub async fn afresh<S: Source>(
    source: &S,
    epoch: u32,
    mut kinds: BTreeSet<String>,
) -> Result<(S::Watch, Checkpoint)> {
    let watch = source.watch(None).await?;
    let (position, time) = watch.here();
    kinds.extend(source.kinds().await?);
    let snapshot = SnapshotPlan::all(kinds.iter().cloned(), Version::floor(epoch, time));
    let checkpoint = Checkpoint {
        epoch,
        position,
        snapshot,
        kinds,
        resets: 0,
    };
    Ok((watch, checkpoint))
}
