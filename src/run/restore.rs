//! `lockstep restore`: a data folder from a backup, and its index from the documents and vectors in it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::backup::blocking;
use super::migrate::verified_when_settled;
use super::{embedder, open, start_with, until};
use crate::backup::{Backup, PLAIN, SOURCE, VECTORS};
use crate::capture::afresh;
use crate::clock::Clock;
use crate::command::Reporter;
use crate::config::Config;
use crate::database::Database;
use crate::feature::embed::cache::Shelf;
use crate::folder::{Folder, rename_into};
use crate::shutdown::{Roles, Shutdown, requested};
use crate::source::Checkpoints as _;
use crate::source::sqlite::SqliteSource;
use crate::telemetry::Counted;
use crate::vector::edge::Unreadable;
use crate::{Error, Result, verify};

/// What a restore came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Restored {
    /// Documents, by type.
    pub documents: BTreeMap<String, u64>,
    /// The epoch from now on.
    pub epoch: u32,
    /// Texts whose vectors were in the backup.
    pub texts_cached: u64,
    /// Texts that were embedded anew.
    pub texts_embedded: u64,
    /// Whether source and index agree.
    pub verified: verify::Report,
}

/// Makes a data folder of a backup. None when `shutdown` was ready before the index was made; then
/// whoever uses the folder goes on with it.
///
/// # Errors
/// [`Error::Data`] for a folder that holds something; [`Error::Malformed`] for a backup that is damaged;
/// [`Error::Model`] before anything is written where the model is not there.
pub async fn restore(
    config: Config,
    backup: Backup,
    report: Reporter,
    shutdown: Shutdown,
) -> Result<Option<Restored>> {
    require(&config)?;
    // Its errors come before anything is written.
    drop(embedder::configured(&config).await?);
    let folder = Folder::open(&config.data)?;
    report.say("copying documents", 0, None);
    let documents = backup.manifest().about.documents.clone();
    let epoch = unpacked(&folder, backup).await?;
    let indexed = Box::pin(indexed(&config, &folder, &report, shutdown)).await?;
    Ok(indexed.map(|(verified, counted)| Restored {
        documents,
        epoch,
        texts_cached: counted.texts_cached,
        texts_embedded: counted.texts_embedded,
        verified,
    }))
}

fn require(config: &Config) -> Result<()> {
    for (setting, is_set) in [
        ("source.url", config.source.url.is_set()),
        ("queue.url", config.queue.url.is_set()),
    ] {
        if is_set {
            return Err(Error::Config {
                setting: setting.into(),
                why: "it is set, and a restore fills a data folder: take it out, and `lockstep migrate --to \
                      services` afterwards"
                    .into(),
            });
        }
    }
    if Folder::is_vacant(&config.data)? {
        return Ok(());
    }
    Err(Error::Data {
        path: config.data.clone(),
        why: "it holds something already, and a restore needs a new or an empty folder: name another with \
              --data"
            .into(),
    })
}

/// Puts the files in place, the database last: then the folder is one like any other. The epoch from now on.
async fn unpacked(folder: &Folder, backup: Backup) -> Result<u32> {
    let (new, shelf) = (
        folder.temporary().join(SOURCE),
        folder.temporary().join(VECTORS),
    );
    let to = (new.clone(), shelf.clone());
    let backup = blocking(move || {
        backup.unpack(SOURCE, &to.0)?;
        backup.unpack(VECTORS, &to.1)?;
        Ok(backup)
    })
    .await?;
    let epoch = raised(&new).await?;
    rename_into(&shelf, &Folder::cache(folder.path()))?;
    for name in PLAIN {
        let (from, to) = (folder.temporary().join(name), folder.path().join(name));
        // Somebody wrote them for this folder.
        if !to.exists() && backup.unpack(name, &from)? {
            rename_into(&from, &to)?;
        }
    }
    rename_into(&new, &folder.database())?;
    Ok(epoch)
}

/// Gives the source a checkpoint of the next epoch: everything is read again, and whatever saw a later state of it,
/// an index elsewhere say, takes it all the same.
async fn raised(path: &Path) -> Result<u32> {
    let database = Database::open(path, &[SqliteSource::SCHEMA])?;
    let source = SqliteSource::new(database, Clock::system());
    let saved = source.load().await?;
    let epoch = saved.as_ref().map_or(0, |saved| saved.epoch) + 1;
    let kinds = saved.map(|saved| saved.kinds).unwrap_or_default();
    let (watch, fresh) = afresh(&source, epoch, kinds).await?;
    source.save(fresh).await?;
    // The last to hold the file: it is whole by itself from now on.
    drop(watch);
    blocking(move || {
        drop(source);
        Ok(epoch)
    })
    .await
}

/// Makes the index, with every vector of the backup at hand, however many the settings would keep.
async fn indexed(
    config: &Config,
    folder: &Folder,
    report: &Reporter,
    shutdown: Shutdown,
) -> Result<Option<(verify::Report, Counted)>> {
    let opened = open(config, folder, None, Unreadable::Refuse);
    let (commands, requests) = Box::pin(opened).await?;
    let mut roles = Roles::new();
    let shelf = Shelf::on_disk(&Folder::cache(&config.data), u64::MAX);
    start_with(&mut roles, config, (&commands, requests), shelf);
    let work = async {
        tokio::select! {
            biased;
            () = requested(shutdown) => Ok(None),
            verified = Box::pin(verified_when_settled(&commands, report)) => verified.map(Some),
        }
    };
    let verified = until(roles, config.serve.grace(), work).await?;
    let counted = Counted::from(commands.counters.as_ref());
    Ok(verified.map(|verified| (verified, counted)))
}
