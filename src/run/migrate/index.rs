//! The index of the target, brought up by the roles that always do it.

use super::{Copied, Job};
use crate::capture::afresh;
use crate::command::{Commands, Handler as _, Reporter, Request, Response, Rooms};
use crate::database::Database;
use crate::migrate::{Marker, Stage, seen_epoch};
use crate::queue::sqlite::SqliteQueue;
use crate::run::services::Parts;
use crate::run::{Embedded, ONCE_TICK_MS, capture, drive, feature, open, start, until};
use crate::shutdown::Roles;
use crate::source::{Checkpoint, Checkpoints};
use crate::vector::edge::Unreadable;
use crate::{Error, Result, verify};

/// The epoch, and what a comparison found; none when a stop was asked for first.
type Indexed = Option<(u32, verify::Report)>;

impl Copied {
    /// The epoch that an earlier run gave the target, if its checkpoint still has it.
    fn given(&self, saved: Option<&Checkpoint>) -> Option<u32> {
        let given = self.marker.as_ref().and_then(Marker::epoch)?;
        (saved?.epoch == given).then_some(given)
    }
}

impl Job<'_> {
    /// Has the services bring their index up, in this process and any other that works there.
    pub(super) async fn index_services(&self, copied: &Copied) -> Result<Indexed> {
        let config = self.config;
        self.report.say("opening", 0, None);
        let mut roles = Roles::new();
        let parts = Parts::open(config, Some(self.folder)).await?;
        let commands = parts.commands(config, &mut roles, None).await?;
        let source = commands.source.as_ref();
        let saved = source.checkpoint().await?;
        let epoch = if let Some(epoch) = copied.given(saved.as_ref()) {
            epoch
        } else {
            let fresh = self.fresh(copied, &commands).await?;
            source.replace_checkpoint(Some(&fresh)).await?;
            self.handed_over(copied, fresh.epoch)?
        };
        let capturing = capture::role(config.clone(), commands.metrics.clone(), roles.shutdown());
        roles.start("capture", capturing);
        feature::start(&mut roles, config, &parts, feature::Which::Shared).await?;
        drive(&mut roles, &commands);
        let work = Box::pin(verified_when_settled(&commands, self.report));
        let work = self.unless_stopped(work);
        let verified = until(roles, config.serve.grace(), work).await?;
        Ok(verified.map(|verified| (epoch, verified)))
    }

    /// Has the data folder bring its index up.
    pub(super) async fn index_embedded(&self, copied: &Copied) -> Result<Indexed> {
        let mut config = self.embedded.clone();
        config.capture.tick_ms = config.capture.tick_ms.min(ONCE_TICK_MS);
        self.report.say("opening", 0, None);
        if copied.marker.as_ref().and_then(Marker::epoch).is_none() {
            // Everything is read again, and into as many partitions as the settings say now.
            let database = Database::open(&self.folder.database(), &[SqliteQueue::SCHEMA])?;
            SqliteQueue::forget(&database).await?;
        }
        let opened = open(&config, self.folder, None, Unreadable::Refuse);
        let (commands, requests) = Box::pin(opened).await?;
        let saved = Checkpoints::load(commands.checkpoints.as_ref()).await?;
        let epoch = if let Some(epoch) = copied.given(saved.as_ref()) {
            epoch
        } else {
            let fresh = self.fresh::<Embedded>(copied, &commands).await?;
            let epoch = fresh.epoch;
            Checkpoints::save(commands.checkpoints.as_ref(), fresh).await?;
            self.handed_over(copied, epoch)?
        };
        let mut roles = Roles::new();
        start(&mut roles, &config, &commands, requests);
        let work = Box::pin(verified_when_settled(&commands, self.report));
        let work = self.unless_stopped(work);
        let verified = until(roles, config.serve.grace(), work).await?;
        Ok(verified.map(|verified| (epoch, verified)))
    }

    /// A checkpoint above everything that either source or the target's index has seen.
    async fn fresh<R: Rooms>(&self, copied: &Copied, commands: &Commands<R>) -> Result<Checkpoint> {
        let tell = self.tell("looking for the highest epoch");
        let seen = seen_epoch(commands.editions.as_ref(), &tell).await?;
        let epoch = seen.max(copied.epoch) + 1;
        let kinds = copied.kinds.clone();
        let (_, fresh) = afresh(commands.source.as_ref(), epoch, kinds).await?;
        Ok(fresh)
    }

    fn handed_over(&self, copied: &Copied, epoch: u32) -> Result<u32> {
        if let Some(marker) = &copied.marker {
            let stage = Stage::Indexing { epoch };
            let marker = Marker {
                stage,
                ..marker.clone()
            };
            marker.write(&self.folder.migration())?;
        }
        Ok(epoch)
    }
}

/// Waits until everything is settled or parked, and compares source and index.
pub(in crate::run) async fn verified_when_settled<R: Rooms>(
    commands: &Commands<R>,
    report: &Reporter,
) -> Result<verify::Report> {
    commands.catch_up(report).await?;
    let request = Request::Verify {
        vectors: false,
        repair: false,
    };
    match Box::pin(commands.handle(request, report.clone())).await? {
        Response::Verify(found) => Ok(*found),
        _ => Err(Error::Stopped { part: "verify" }),
    }
}
