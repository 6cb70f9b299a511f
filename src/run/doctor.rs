//! The hand of `lockstep doctor`: asks what the settings name, one after the other, and changes nothing
//! that a start would not make.

use std::path::Path;

use super::capture::{queue_settings, source_settings};
use super::embedder;
use super::services::are_set;
use super::store::AnyEditions;
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Database;
use crate::doctor::{Check, Diagnosis, QUEUE_AWAY, SOURCE_AWAY, clocks, collections, disk, log};
use crate::feature::embed::Embedder as _;
use crate::folder::Folder;
use crate::queue::Queue as _;
use crate::queue::rabbit::RabbitQueue;
use crate::reindex::{Configured, Editions as _};
use crate::source::mongo::MongoSource;
use crate::vector::VectorStore as _;
use crate::vector::edge::{self, Unreadable};
use crate::{Error, Result};

const FOLDER: &str = "data folder";
const MODEL: &str = "model";
const INDEX: &str = "index";
const SOURCE: &str = "source";
const STATE: &str = "source's state";
const QUEUE: &str = "queue";

/// Looks at everything that the settings name.
///
/// # Errors
/// Never for what it finds; [`Error::Config`] where only one of two services is set.
pub async fn doctor(mut config: Config) -> Result<Diagnosis> {
    // Somebody waits for the answer.
    config.capture.startup_timeout_seconds = 0;
    let mut checks = vec![Check::passed("settings", "each is within its bounds")];
    let folder = folder(&config.data, &mut checks);
    checks.push(room(&config.data));
    let configured = model(&config, &mut checks).await;
    checks.push(Box::pin(index(&config, folder.as_ref(), configured)).await);
    if are_set(&config)? {
        source(&config, &mut checks).await;
        checks.push(queue(&config).await);
    }
    Ok(Diagnosis { checks })
}

/// The folder, held as long as the answer takes; none where it is not there or another process has it.
fn folder(path: &Path, checks: &mut Vec<Check>) -> Option<Folder> {
    if !path.exists() {
        let said = format!("{} is not there; the first start makes it", path.display());
        checks.push(Check::passed(FOLDER, said));
        return None;
    }
    let (check, folder) = match Folder::open(path) {
        Ok(folder) => (
            Check::passed(FOLDER, path.display().to_string()),
            Some(folder),
        ),
        Err(Error::Locked { .. }) => {
            let said = format!("{} is held by a running process", path.display());
            (Check::passed(FOLDER, said), None)
        }
        Err(error) => (Check::failed(FOLDER, &error, ""), None),
    };
    checks.push(check);
    folder
}

/// The free space of the folder, or of the nearest one above it that is there.
fn room(path: &Path) -> Check {
    let there = path.ancestors().find(|path| path.exists());
    match rustix::fs::statvfs(there.unwrap_or(path)) {
        Ok(found) => disk(found.f_bavail.saturating_mul(found.f_frsize)),
        Err(error) => Check::skipped("disk", error.to_string()),
    }
}

/// Embeds a word.
async fn model(
    config: &Config,
    checks: &mut Vec<Check>,
) -> Option<Configured<embedder::AnyEmbedder>> {
    let tried = async {
        let configured = embedder::configured(config).await?;
        let vectors = configured.embedder.embed(vec!["word".to_owned()]).await?;
        let values = vectors.first().map_or(0, Vec::len);
        Ok::<_, Error>((configured, values))
    };
    match tried.await {
        Ok((configured, values)) => {
            let name = &configured.edition.model.name;
            checks.push(Check::passed(
                MODEL,
                format!("{name}, {values} values a vector"),
            ));
            Some(configured)
        }
        Err(error) => {
            let fix = "start the service that model.url names, or correct it";
            checks.push(Check::failed(MODEL, &error, fix));
            None
        }
    }
}

async fn index(
    config: &Config,
    folder: Option<&Folder>,
    configured: Option<Configured<embedder::AnyEmbedder>>,
) -> Check {
    let Some(configured) = configured else {
        return Check::skipped(INDEX, "it is opened with the model");
    };
    if config.vector.url.is_empty() && folder.is_none() {
        return Check::skipped(
            INDEX,
            "it lies in the data folder, which is not ours to open",
        );
    }
    let counted = async {
        let folder = folder.map(|folder| {
            let database = Database::open(&folder.database(), &[edge::SCHEMA])?;
            Ok::<_, Error>((folder, database))
        });
        let refuse = Unreadable::Refuse;
        let editions = AnyEditions::open(config, folder.transpose()?, configured, refuse).await?;
        editions.may_store(config).await?;
        editions.open().await?.current.store.counts().await
    };
    match Box::pin(counted).await {
        Ok(counts) => {
            let said = format!("{} documents, {} points", counts.documents, counts.points);
            Check::passed(INDEX, said)
        }
        Err(error) => {
            let fix = "start Qdrant, or correct vector.url: it is the gRPC port, 6334";
            Check::failed(INDEX, &error, fix)
        }
    }
}

async fn source(config: &Config, checks: &mut Vec<Check>) {
    let source = match MongoSource::open(source_settings(config), Clock::system()).await {
        Ok(source) => source,
        Err(error) => {
            return checks.push(Check::failed(SOURCE, &error, SOURCE_AWAY));
        }
    };
    checks.push(Check::passed(
        SOURCE,
        "it answers, and its changes may be watched",
    ));
    checks.push(match source.may_keep_state().await {
        Ok(()) => Check::passed(STATE, "it may be written"),
        Err(error) => {
            let fix = "grant readWrite on the database that source.state_database names";
            Check::failed(STATE, &error, fix)
        }
    });
    checks.push(match source.counts().await {
        Ok(counts) => {
            let counts: Vec<_> = counts.into_iter().collect();
            collections(&config.source.collections, &counts)
        }
        Err(error) => Check::failed("collections", &error, "grant read on source.database"),
    });
    let reach = source.log_reach().await.map(|reach| reach.as_secs());
    checks.push(log(reach, config.capture.oplog_warning_hours));
    checks.push(match source.now_ms().await {
        Ok(theirs) => clocks(Clock::system().now_ms(), theirs),
        Err(error) => Check::skipped("clocks", error.chain()),
    });
}

/// Opening compares what every queue was declared with; what is not there is declared, as a start does.
async fn queue(config: &Config) -> Check {
    let asked = async {
        let queue = RabbitQueue::open(queue_settings(config), Clock::system()).await?;
        let depth = queue.depth().await?;
        Ok::<_, Error>((queue.partitions(), depth))
    };
    match asked.await {
        Ok((partitions, depth)) => {
            let waiting = depth.live + depth.backfill;
            let parked = depth.parked;
            let said = format!("{partitions} partitions, {waiting} waiting, {parked} parked");
            Check::passed(QUEUE, said)
        }
        Err(error) => Check::failed(QUEUE, &error, QUEUE_AWAY),
    }
}
