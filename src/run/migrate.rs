//! `lockstep migrate`: the source from the data folder to services or back, and the index after it.
//!
//! ```text
//! both sources ──passes until equal──> epoch raised ──> the roles of the target ──caught up──> verify ──> equal?
//! ```
//!
//! [`crate::migrate`] has the table of what holds when it is cut off.

mod index;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::capture::{patiently, source_settings};
use crate::clock::Clock;
use crate::command::Reporter;
use crate::config::Config;
use crate::database::Database;
use crate::folder::Folder;
use crate::logbook::Logbook;
use crate::migrate::{
    Found, Marker, Mode, Options, Remembered, Report, Side, Stage, is_same, pass, permit, remember,
};
use crate::shutdown::{Shutdown, requested};
use crate::source::mongo::MongoSource;
use crate::source::sqlite::SqliteSource;
use crate::source::{Checkpoints as _, Source};
use crate::{Error, Result};

pub(super) use index::verified_when_settled;

/// Passes after which it is said that somebody keeps writing.
const PASSES_MAX: u32 = 10;
/// Between two looks whether capture has ended.
const LOOK: Duration = Duration::from_millis(500);

/// What is the same for the whole migration.
struct Job<'a> {
    /// The settings as they are given.
    config: &'a Config,
    /// The same without services: what runs in the data folder.
    embedded: Config,
    options: Options,
    folder: &'a Folder,
    report: &'a Reporter,
    shutdown: Shutdown,
}

/// What the copy came to.
#[derive(Default)]
struct Copied {
    types: Found,
    written: u64,
    remembered: Remembered,
    marker: Option<Marker>,
    /// Every type that either side ever knew.
    kinds: BTreeSet<String>,
    /// The epoch of the origin.
    epoch: u32,
}

/// Migrates, or says how much it would be. None when `shutdown` was asked for before the end: the same command
/// goes on then.
///
/// # Errors
/// [`Error::Config`] for settings that name no services, an origin without documents, or a type that
/// capture would not watch; [`Error::Locked`] where a process has the data folder; [`Error::Refused`] for a
/// capture that runs, for a target with something of its own, and for an origin that keeps changing; what a
/// service or a role says.
pub async fn migrate(
    config: Config,
    options: Options,
    report: Reporter,
    shutdown: Shutdown,
) -> Result<Option<Report>> {
    require(&config, options.to)?;
    let folder = Folder::open(&config.data)?;
    let job = Job {
        config: &config,
        embedded: without_services(&config),
        options,
        folder: &folder,
        report: &report,
        shutdown,
    };
    Box::pin(job.run()).await
}

/// Says that a migration of this folder was cut off, to whoever works on it meanwhile.
pub(super) fn warn_of(folder: &Folder) -> Result<()> {
    if let Some(Marker { to, services, .. }) = Marker::read(&folder.migration())? {
        tracing::warn!(
            %to, services,
            "a migration has not come to its end; `lockstep migrate` goes on with it"
        );
    }
    Ok(())
}

/// What embedded means: everything lies in the data folder.
pub(super) fn without_services(config: &Config) -> Config {
    let mut embedded = config.clone();
    embedded.source.url = String::new().into();
    embedded.queue.url = String::new().into();
    embedded.vector.url = String::new();
    embedded
}

fn require(config: &Config, to: Side) -> Result<()> {
    let missing = |setting: &str| Error::Config {
        setting: setting.into(),
        why: format!(
            "it is not set, and `lockstep migrate --to {to}` needs to know where the services are; the \
             data folder is {}",
            config.data.display()
        ),
    };
    if !config.source.url.is_set() {
        return Err(missing("source.url"));
    }
    if to == Side::Services && !config.queue.url.is_set() {
        return Err(missing("queue.url"));
    }
    // It would be made, and be empty.
    if to == Side::Services && !Folder::database_in(&config.data).exists() {
        return Err(nothing(to, config, ""));
    }
    Ok(())
}

impl Job<'_> {
    async fn run(&self) -> Result<Option<Report>> {
        let Some(copied) = self.unless_stopped(Box::pin(self.copy())).await? else {
            return Ok(None);
        };
        let Options { to, dry_run, .. } = self.options;
        let mut done = Report {
            to,
            dry_run,
            types: copied.types.clone(),
            written: copied.written,
            pages: copied.remembered.pages,
            runs: copied.remembered.runs,
            epoch: None,
            verified: None,
            complete: false,
        };
        if dry_run {
            return Ok(Some(done));
        }
        let indexed = match to {
            Side::Services => Box::pin(self.index_services(&copied)).await?,
            Side::Embedded => Box::pin(self.index_embedded(&copied)).await?,
        };
        let Some((epoch, verified)) = indexed else {
            return Ok(None);
        };
        let Some(types) = self.unless_stopped(Box::pin(self.compared())).await? else {
            return Ok(None);
        };
        if is_same(&types) {
            // What the index may still lack is verify's to mend: nothing is left to be copied.
            Marker::remove(&self.folder.migration())?;
        }
        done.complete = verified.clean && is_same(&types);
        done.types = types;
        done.epoch = Some(epoch);
        done.verified = Some(verified);
        Ok(Some(done))
    }

    /// None when a stop was asked for first.
    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
        tokio::select! {
            biased;
            () = requested(self.shutdown.clone()) => Ok(None),
            done = work => done.map(Some),
        }
    }

    fn embedded(&self) -> Result<SqliteSource> {
        let database = Database::open(&self.folder.database(), &[SqliteSource::SCHEMA])?;
        Ok(SqliteSource::new(database, Clock::system()))
    }

    async fn services(&self) -> Result<MongoSource> {
        let open = || MongoSource::open(source_settings(self.config), Clock::system());
        patiently(self.config, open).await
    }

    /// Makes the target's source equal to the origin's.
    async fn copy(&self) -> Result<Copied> {
        let services = self.services().await?;
        self.rested(&services).await?;
        let embedded = self.embedded()?;
        let name = services.name();
        let saved = [services.checkpoint().await?, embedded.load().await?];
        let epochs: Vec<u32> = saved.iter().flatten().map(|saved| saved.epoch).collect();
        let mut copied = match self.options.to {
            Side::Services => {
                self.watched(&embedded.kinds().await?)?;
                self.copy_between(&embedded, &services, &name).await?
            }
            Side::Embedded => self.copy_between(&services, &embedded, &name).await?,
        };
        copied.epoch = epochs.into_iter().max().unwrap_or(0);
        let known = saved.into_iter().flatten().flat_map(|saved| saved.kinds);
        copied.kinds.extend(known);
        copied.kinds.extend(copied.types.keys().cloned());
        Ok(copied)
    }

    async fn copy_between<F: Source + Logbook, T: Source + Logbook>(
        &self,
        from: &F,
        to: &T,
        services: &str,
    ) -> Result<Copied> {
        let path = self.folder.migration();
        let side = self.options.to;
        let mut marker = Marker::read(&path)?.filter(|found| found.is_of(side, services));
        if from.kinds().await?.is_empty() {
            return Err(nothing(side, self.config, services));
        }
        let may_refuse = marker.is_none() && !self.options.replace && !to.kinds().await?.is_empty();
        if self.options.dry_run || may_refuse {
            let types = pass(from, to, Mode::Look, &self.tell("comparing")).await?;
            if self.options.dry_run {
                let remembered = remember(from, to, Mode::Look).await?;
                return Ok(Copied {
                    types,
                    remembered,
                    ..Copied::default()
                });
            }
            permit(&self.target(services), &types)?;
        }
        if marker.is_none() {
            let new = Marker {
                to: side,
                services: services.to_owned(),
                stage: Stage::Copying,
            };
            new.write(&path)?;
            marker = Some(new);
        }
        let (types, written) = self.equalled(from, to).await?;
        self.report.say("copying what the crawl remembers", 0, None);
        let remembered = remember(from, to, Mode::Copy).await?;
        Ok(Copied {
            types,
            written,
            remembered,
            marker,
            ..Copied::default()
        })
    }

    /// Copies until a pass finds nothing to do; what it found then, and how much was written before.
    async fn equalled<F: Source, T: Source>(&self, from: &F, to: &T) -> Result<(Found, u64)> {
        let mut written = 0;
        for _ in 0..PASSES_MAX {
            let found = pass(from, to, Mode::Copy, &self.tell("copying")).await?;
            if is_same(&found) {
                return Ok((found, written));
            }
            let kinds = found.values();
            written += kinds
                .map(|one| one.missing + one.other + one.surplus)
                .sum::<u64>();
        }
        Err(Error::Refused {
            service: "the origin".into(),
            why: format!(
                "something differed at each of {PASSES_MAX} passes, so others write to it or to the target"
            ),
            fix: "end whatever writes there, then give the same command again: it goes on".into(),
        })
    }

    /// Both sources once more, when nobody works any longer.
    async fn compared(&self) -> Result<Found> {
        let (services, embedded) = (self.services().await?, self.embedded()?);
        let tell = self.tell("comparing the sources");
        match self.options.to {
            Side::Services => pass(&embedded, &services, Mode::Look, &tell).await,
            Side::Embedded => pass(&services, &embedded, Mode::Look, &tell).await,
        }
    }

    fn tell(&self, stage: &'static str) -> impl Fn(u64) + Send + Sync {
        let report = self.report.clone();
        move |done| report.say(stage, done, None)
    }

    fn target(&self, services: &str) -> String {
        match self.options.to {
            Side::Services => services.to_owned(),
            Side::Embedded => format!("data folder {}", self.config.data.display()),
        }
    }

    /// Refuses types that capture would not see.
    fn watched(&self, kinds: &[String]) -> Result<()> {
        let watched = &self.config.source.collections;
        let strange = kinds.iter().find(|kind| !watched.contains(kind));
        match strange.filter(|_| !watched.is_empty()) {
            Some(kind) => Err(Error::Config {
                setting: "source.collections".into(),
                why: format!(
                    "it does not name {kind}, of which the data folder has documents: add it"
                ),
            }),
            None => Ok(()),
        }
    }

    /// Waits for the lease of a capture that was killed, a run of this command perhaps; refuses one that lives.
    async fn rested(&self, services: &MongoSource) -> Result<()> {
        let until = Instant::now() + 2 * Duration::from_secs(self.config.source.lease_seconds);
        loop {
            let standing = services.standing().await?;
            let (why, fix) = match standing.owner {
                Some(owner) if Instant::now() >= until => (
                    format!("{owner} captures, and would fill what is migrated"),
                    "stop `lockstep capture` or `lockstep up` there, and all workers, then try again",
                ),
                Some(owner) => {
                    let stage = format!("waiting for the lease of {owner} to end");
                    self.report.say(&stage, 0, None);
                    sleep(LOOK).await;
                    continue;
                }
                None if standing.paused && self.options.to == Side::Services => (
                    "it is paused, and is to carry what is migrated".to_owned(),
                    "let it go on with `lockstep resume capture`, without starting one, then try again",
                ),
                None => return Ok(()),
            };
            return Err(Error::Refused {
                service: "capture".into(),
                why,
                fix: fix.into(),
            });
        }
    }
}

/// A wrong folder or database rather than an empty one, which would empty the target too.
fn nothing(to: Side, config: &Config, services: &str) -> Error {
    let (setting, origin) = match to {
        Side::Services => ("--data", format!("data folder {}", config.data.display())),
        Side::Embedded => ("source.database", services.to_owned()),
    };
    Error::Config {
        setting: setting.into(),
        why: format!("{origin} holds no documents, so there is nothing to migrate"),
    }
}
