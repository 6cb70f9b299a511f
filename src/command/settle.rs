//! Whether the index has caught up with the source.
//!
//! ```text
//! end of the change log now ──> settled watermark of every queue at or above it ──> caught up
//! ```

use std::time::Duration;

use crate::Result;
use crate::change::{Time, Version};
use crate::queue::Queue;
use crate::search::Awaited;
use crate::source::{Checkpoints, Source, Watch as _};
use crate::vector::{VectorStore, Watermark};

use super::commands::{Commands, Rooms};
use super::{Reporter, parked};

/// How often the watermarks are read while waiting: well below what a person notices.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Every edit that the source has at the time of the call is settled or parked.
    Edits,
    /// Also what was read again, which no watermark tells: nothing stands in the queue, and no
    /// snapshot is under way.
    Everything,
}

/// Waits for it, saying how far it is.
///
/// Cancel safe. Waits for ever where no capture and no worker run.
pub(super) async fn caught_up<R: Rooms>(
    commands: &Commands<R>,
    until: Until,
    report: &Reporter,
) -> Result<()> {
    if R::SHARED && until == Until::Everything {
        return passed(commands, report).await;
    }
    let end = end(commands.source.as_ref()).await?;
    let mut start = None;
    loop {
        let settled = look(commands).await?;
        let queued = match until {
            Until::Edits => 0,
            Until::Everything => left(commands).await?,
        };
        if settled >= end && queued == 0 {
            return Ok(());
        }
        let start = *start.get_or_insert((settled, queued));
        let steps = |to: Time| to.sequence().saturating_sub(start.0.sequence());
        let done = steps(settled.min(end)) + start.1.saturating_sub(queued);
        report.say("indexing", done, Some(steps(end) + start.1));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// As [`caught_up`], where what others have in hand is not counted: a watermark later than the end of
/// the log now was sent after what was read again, and is passed after it in every queue.
///
/// The log moves on by itself, for capture saves its position in it.
async fn passed<R: Rooms>(commands: &Commands<R>, report: &Reporter) -> Result<()> {
    report.say("indexing", 0, None);
    while is_snapshot_active(commands).await? {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let end = end(commands.source.as_ref()).await?;
    while look(commands).await? <= end {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Waits, for so long at most, until everything up to this version is settled or parked, and says what
/// became of it. At least one look is taken.
///
/// Cancel safe. A version that is no change's own is reached when all before it are.
pub(super) async fn reached<R: Rooms>(
    commands: &Commands<R>,
    version: Version,
    wait: Duration,
) -> Result<Awaited> {
    let moment = |version: Version| (version.epoch, version.time);
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let control = commands.searched().await?.current.store.control().await?;
        let settled = control.settled(commands.queue.partitions());
        let settled = settled.unwrap_or_default().version;
        if moment(settled) >= moment(version) {
            // Looked for afterwards: what is parked is parked before a watermark passes it.
            let is_parked = parked::is_parked(commands.queue.as_ref(), version).await?;
            return Ok(if is_parked {
                Awaited::Parked
            } else {
                Awaited::Reached
            });
        }
        if tokio::time::Instant::now() >= deadline {
            return Ok(Awaited::NotYet);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether every edit is settled at this moment.
pub(super) async fn is_caught_up<R: Rooms>(commands: &Commands<R>) -> Result<bool> {
    let end = end(commands.source.as_ref()).await?;
    Ok(look(commands).await? >= end && left(commands).await? == 0)
}

/// The source's time at the end of its change log.
pub(super) async fn end<S: Source>(source: &S) -> Result<Time> {
    Ok(source.watch(None).await?.here().1)
}

async fn look<R: Rooms>(commands: &Commands<R>) -> Result<Time> {
    let control = commands.searched().await?.current.store.control().await?;
    let saved = commands.checkpoints.load().await?;
    let mark = control.settled(commands.queue.partitions());
    Ok(time_in(
        mark.unwrap_or_default(),
        saved.map_or(0, |saved| saved.epoch),
    ))
}

/// The settled time of this epoch. That of an earlier one says nothing: the source may count otherwise since.
pub(super) fn time_in(settled: Watermark, epoch: u32) -> Time {
    if settled.version.epoch < epoch {
        return Time::default();
    }
    settled.version.time
}

/// Changes in the queue, and one more for a snapshot under way.
async fn left<R: Rooms>(commands: &Commands<R>) -> Result<u64> {
    let depth = commands.queue.depth().await?;
    let snapshot = is_snapshot_active(commands).await?;
    // What fills a new edition is on its way for hours, and the one that is searched does not wait
    // for it.
    let filling = commands.searched().await?.register.next.is_some();
    let backfill = if filling && !snapshot {
        0
    } else {
        depth.backfill
    };
    Ok(depth.live + backfill + u64::from(snapshot))
}

async fn is_snapshot_active<R: Rooms>(commands: &Commands<R>) -> Result<bool> {
    let saved = commands.checkpoints.load().await?;
    Ok(saved.is_some_and(|checkpoint| checkpoint.snapshot.is_active()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Lane, Place};
    use crate::vector::Control;

    #[test]
    fn one_queue_without_a_watermark_holds_all_back() {
        let mark = |sequence| Watermark {
            version: Version::read(1, Time::from_sequence(sequence)),
            committed_ms: sequence,
        };
        let mut control = Control::default();
        for partition in 0..2 {
            for lane in [Lane::Live, Lane::Backfill] {
                let sequence = 7 + u64::from(partition);
                control
                    .watermarks
                    .insert(Place { partition, lane }, mark(sequence));
            }
        }
        assert_eq!(control.settled(2), Some(mark(7)));
        assert_eq!(control.settled(1), Some(mark(7)));
        assert_eq!(time_in(mark(7), 1), Time::from_sequence(7));
        assert_eq!(time_in(mark(7), 2), Time::default());
        assert_eq!(control.settled(3), None);
    }
}
