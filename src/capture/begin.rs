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
        Err(Error::HistoryLost { why }) => {
            if let Some(stops) = stops(settings.lost_history, saved.resets) {
                let why = format!("{why}; {stops}");
                return Err(Error::HistoryLost { why });
            }
            let resets = saved.resets + 1;
            tracing::warn!(why, resets, "history lost, reading all again");
            begin(ports, settings, Some(saved)).await
        }
        Err(error) => Err(error),
    }
}

/// Why it stops here, if it does, and what a person can do.
fn stops(policy: LostHistory, resets: u32) -> Option<&'static str> {
    match policy {
        LostHistory::Stop => {
            Some("`capture.lost_history` is stop: `lockstep position reset` reads everything again")
        }
        LostHistory::Resnapshot if resets >= RESETS_MAX => Some(
            "everything was read again three times and it was lost each time before that came to its end: have the \
             source keep its log for longer (MongoDB's oplog size), then `lockstep position reset`",
        ),
        LostHistory::Resnapshot => None,
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
    use crate::change::DocumentKey;
    use crate::clock::Clock;
    use crate::document::{Document, Fields};
    use crate::simulate::{Chaos, Edit, QueueModel, SourceModel};

    /// Loses history behind the checkpoint so often, each time before the snapshot has come to its end; why it
    /// stopped, and how often it had begun anew.
    async fn stopped(policy: LostHistory, times: u32) -> (String, u32) {
        let clock = Clock::manual(0);
        let source = SourceModel::new(Chaos::calm(), clock.clone());
        let queue = QueueModel::new(1, Chaos::calm(), clock.clone());
        let ports = Ports {
            source: &source,
            checkpoints: &source,
            queue: &queue,
            clock: &clock,
        };
        let settings = Settings {
            lost_history: policy,
            ..Settings::default()
        };
        begin(&ports, &settings, None).await.unwrap();
        for _ in 0..times {
            source.commit(vec![Edit::Save(Document {
                key: DocumentKey::text("posts", "a"),
                fields: Fields::new(),
            })]);
            source.trim();
            let saved = source.load().await.unwrap().unwrap();
            let resets = saved.resets;
            if let Err(error) = resume(&ports, &settings, saved, None).await {
                return (error.to_string(), resets);
            }
        }
        panic!("it went on after {times} losses");
    }

    #[tokio::test]
    async fn who_is_to_stop_when_history_is_lost_says_so_and_what_to_do() {
        let (said, resets) = stopped(LostHistory::Stop, 1).await;
        assert_eq!(resets, 0);
        assert!(
            said.contains("is gone; `capture.lost_history` is stop"),
            "{said}"
        );
        assert!(said.contains("`lockstep position reset`"), "{said}");
    }

    #[tokio::test]
    async fn history_that_is_lost_a_fourth_time_during_a_snapshot_stops_capture_with_what_to_do() {
        let (said, resets) = stopped(LostHistory::Resnapshot, 4).await;
        assert_eq!(resets, RESETS_MAX);
        assert!(said.contains("three times"), "{said}");
        assert!(said.contains("`lockstep position reset`"), "{said}");
    }

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
