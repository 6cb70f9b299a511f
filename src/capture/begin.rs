//! The beginning, for a source that was never read and for one whose changes were lost.

use std::collections::BTreeSet;

use super::{LostHistory, Ports, RESETS_MAX, Settings, SnapshotPlan};
use crate::change::{Time, Version};
use crate::queue::Queue;
use crate::source::{Checkpoint, Checkpoints, Source, Watch};
use crate::{Error, Result};

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

/// Watches from a checkpoint, or begins again where the source no longer has what follows it. `lost` is why a
/// watch from there is known to find nothing: some servers say so only behind its opening.
///
/// # Errors
/// [`Error::HistoryLost`] where that is the policy, and after [`RESETS_MAX`] resets in a row.
pub(super) async fn resume<S: Source, C: Checkpoints, Q: Queue>(
    ports: &Ports<'_, S, C, Q>,
    settings: &Settings,
    saved: Checkpoint,
    lost: Option<String>,
) -> Result<(S::Watch, Checkpoint)> {
    let watched = match lost {
        Some(why) => Err(Error::HistoryLost { why }),
        None => ports.source.watch(Some(saved.position.clone())).await,
    };
    match watched {
        Ok(watch) => {
            let (_, time) = watch.here();
            Ok((watch, widened(ports, saved, time).await?))
        }
        Err(Error::HistoryLost { why })
            if settings.lost_history == LostHistory::Resnapshot && saved.resets < RESETS_MAX =>
        {
            let resets = saved.resets + 1;
            tracing::warn!(why, resets, "history lost, reading all again");
            begin(ports, settings, Some(saved)).await
        }
        Err(error) => Err(error),
    }
}

/// The checkpoint with the plan to read types that the position does not speak of; saved, where the settings have
/// changed what is watched: their changes were nobody's until now.
async fn widened<S: Source, C: Checkpoints, Q: Queue>(
    ports: &Ports<'_, S, C, Q>,
    mut saved: Checkpoint,
    here: Time,
) -> Result<Checkpoint> {
    let watched = ports.source.watched();
    if saved.watched == watched {
        return Ok(saved);
    }
    let wanted = if let Some(watched) = &watched {
        watched.clone()
    } else {
        // Those that are gone are found by what was sent of them.
        let sent = saved.kinds.iter().cloned();
        sent.chain(ports.source.kinds().await?).collect()
    };
    let floor = Version::floor(saved.epoch, here);
    for kind in unwatched(saved.watched.as_ref(), wanted) {
        tracing::info!(kind, "watched from now on; its documents are read");
        saved.kinds.insert(kind.clone());
        saved.snapshot.replaced(kind, floor);
    }
    saved.watched = watched;
    ports.checkpoints.save(saved.clone()).await?;
    Ok(saved)
}

/// Which of the wanted types were not watched before.
fn unwatched(before: Option<&BTreeSet<String>>, wanted: BTreeSet<String>) -> Vec<String> {
    let is_new = |kind: &String| before.is_some_and(|before| !before.contains(kind));
    wanted.into_iter().filter(is_new).collect()
}

/// The end of the log, and the plan to read these types, and those that the source shows, before it: those among them
/// that a watch shows.
pub async fn afresh<S: Source>(
    source: &S,
    epoch: u32,
    mut kinds: BTreeSet<String>,
) -> Result<(S::Watch, Checkpoint)> {
    let watch = source.watch(None).await?;
    let (position, time) = watch.here();
    kinds.extend(source.kinds().await?);
    let watched = source.watched();
    if let Some(watched) = &watched {
        kinds.retain(|kind| watched.contains(kind));
    }
    let snapshot = SnapshotPlan::all(kinds.iter().cloned(), Version::floor(epoch, time));
    let checkpoint = Checkpoint {
        epoch,
        position,
        snapshot,
        kinds,
        watched,
        resets: 0,
    };
    Ok((watch, checkpoint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_watched_before_is_to_be_read() {
        let kinds = |names: &[&str]| -> BTreeSet<String> {
            names.iter().map(ToString::to_string).collect()
        };
        let before = kinds(&["articles", "posts"]);
        let new = unwatched(Some(&before), kinds(&["articles", "notes"]));
        assert_eq!(new, ["notes"]);
        // Where everything was watched nothing is new.
        assert_eq!(unwatched(None, kinds(&["notes"])), [] as [&str; 0]);
    }
}
