//! Migration, backup and restore: work of this process on a whole data folder.

use std::future::Future;
use std::path::Path;

use super::arguments::Transfer;
use super::{Exit, print, progress, quiet, render, runtime};
use crate::backup::Backup;
use crate::command::Reporter;
use crate::config::{self, Config, Environment, Place};
use crate::migrate::Options;
use crate::serve::Client;
use crate::shutdown::{Shutdown, requested, until_insisted};
use crate::{Error, Result, run};

/// Does one of them.
pub(super) fn transfer(
    what: Transfer,
    place: Place,
    environment: &Environment,
    json: bool,
) -> Result<Exit> {
    match what {
        Transfer::Migrate(asked) => {
            let config = quiet(config::load(place, environment)?)?;
            runtime()?.block_on(migrate(config, asked.options(), json))
        }
        Transfer::Backup { folder } => {
            let config = quiet(config::load(place, environment)?)?;
            runtime()?.block_on(backup(config, &folder, json))
        }
        Transfer::Restore { backup } => {
            let (backup, config) = opened(&backup, place, environment)?;
            runtime()?.block_on(restore(quiet(config)?, backup, json))
        }
    }
}

/// Migrates, and says what became of it.
async fn migrate(config: Config, options: Options, json: bool) -> Result<Exit> {
    if Client::find(&config.data).await?.is_some() {
        return Err(Error::Refused {
            service: format!("data folder {}", config.data.display()),
            why: "a process works on it, and may write documents while they are copied".into(),
            fix: "stop it, then try again".into(),
        });
    }
    let work = |report, shutdown| run::migrate(config, options, report, shutdown);
    let Some(report) = Box::pin(shown(work)).await? else {
        anstream::eprintln!("the same command goes on where it was");
        return Ok(Exit::Interrupted);
    };
    print(&if json {
        render::pretty(&report)?
    } else {
        render::migrated(&report)
    })?;
    Ok(if report.dry_run || report.complete {
        Exit::Done
    } else {
        Exit::Differs
    })
}

/// Makes a backup, and says what is in it.
async fn backup(config: Config, to: &Path, json: bool) -> Result<Exit> {
    let work = |report, shutdown| run::backup(config, to, (report, requested(shutdown)));
    let Some(manifest) = Box::pin(shown(work)).await? else {
        return Ok(Exit::Interrupted);
    };
    print(&if json {
        render::pretty(&manifest)?
    } else {
        render::backed_up(&manifest)
    })
}

/// A backup whose digests are right, and the settings for a folder made of it: those that are given, otherwise its
/// own.
fn opened(path: &Path, mut place: Place, environment: &Environment) -> Result<(Backup, Config)> {
    let backup = Backup::open(path)?;
    let read = config::read(place.clone(), environment)?;
    let has_own = read.config.data.join(config::FILE).exists();
    if place.file.is_none() && !has_own && !environment.names_file() {
        place.file = backup.file(config::FILE);
    }
    Ok((backup, config::load(place, environment)?))
}

/// Makes a data folder of a backup, and says whether it is whole.
async fn restore(config: Config, backup: Backup, json: bool) -> Result<Exit> {
    let data = config.data.display().to_string();
    let work = |report, shutdown| run::restore(config, backup, report, shutdown);
    let Some(restored) = Box::pin(shown(work)).await? else {
        anstream::eprintln!("the documents are there; `lockstep up --data {data}` makes the index");
        return Ok(Exit::Interrupted);
    };
    print(&if json {
        render::pretty(&restored)?
    } else {
        render::restored(&restored)
    })?;
    Ok(if restored.verified.clean {
        Exit::Done
    } else {
        Exit::Differs
    })
}

/// Shows how far it is; none where it was interrupted.
async fn shown<T, F>(work: impl FnOnce(Reporter, Shutdown) -> F) -> Result<Option<T>>
where
    F: Future<Output = Result<Option<T>>>,
{
    let done = until_insisted(|shutdown| {
        let (report, progress) = Reporter::new();
        progress::shown_while(progress, Box::pin(work(report, shutdown)))
    });
    Ok(Box::pin(done).await?.flatten())
}
