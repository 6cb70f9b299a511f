//! `lockstep backup`: a copy of the data folder, whether or not a process works on it.
//!
//! ```text
//! the database's file ──one read──> source.db       running process, or this one ──export──> vectors.db
//! ```
//!
//! The file is read past the process that has it, which SQLite allows; its index is asked for.

use std::future::Future;
use std::path::Path;

use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::export::{Take, written};
use super::{open, start, until};
use crate::backup::{About, Manifest, PLAIN, SOURCE, VECTORS, Vectors, Writing};
use crate::clock::Clock;
use crate::command::{Edition, Handler, Reporter, Request, Response};
use crate::config::Config;
use crate::export::{Selection, Summary, What};
use crate::feature::embed::cache::Filling;
use crate::folder::Folder;
use crate::moment::rfc3339;
use crate::serve::Client;
use crate::shutdown::Roles;
use crate::source::sqlite::{Copied, SqliteSource};
use crate::vector::edge::Unreadable;
use crate::{Error, Result};

/// Makes a backup at `to`. None when `shutdown` was ready before the end; then nothing is there.
///
/// # Errors
/// [`Error::Config`] where something is there already, or the documents are not in the data folder; what the
/// folder, the running process or the index says.
pub async fn backup(
    config: Config,
    to: &Path,
    (report, shutdown): (Reporter, impl Future<Output = ()> + Send),
) -> Result<Option<Manifest>> {
    require(&config)?;
    let writing = Writing::begin(to)?;
    let work = async {
        match Client::find(&config.data).await? {
            Some(client) => beside(&config, &writing, &client, &report).await,
            None => alone(&config, &writing, &report).await,
        }
    };
    let about = tokio::select! {
        biased;
        () = shutdown => return Ok(None),
        about = Box::pin(work) => about?,
    };
    for name in PLAIN {
        writing.take(&config.data, name)?;
    }
    report.say("making digests", 0, None);
    blocking(move || writing.finish(about)).await.map(Some)
}

fn require(config: &Config) -> Result<()> {
    if config.source.url.is_set() {
        return Err(Error::Config {
            setting: "source.url".into(),
            why: "the documents are in a MongoDB: back that up with its own tools; the index is made again \
                  from it"
                .into(),
        });
    }
    let database = Folder::database_in(&config.data);
    if database.exists() {
        return Ok(());
    }
    Err(Error::Data {
        path: config.data.clone(),
        why: "there is nothing in it to back up; name the folder with --data".into(),
    })
}

/// While another process works on the folder.
async fn beside(
    config: &Config,
    writing: &Writing,
    client: &Client,
    report: &Reporter,
) -> Result<About> {
    let copied = copied(config, writing, report).await?;
    let filling = Filling::begin(&writing.file(VECTORS))?;
    let edition = edition(client).await?;
    let export =
        async |selection: Selection, take: &mut Take<'_>| client.export(&selection, take).await;
    let vectors = vectors(edition, filling, export, report).await?;
    Ok(about(copied, vectors))
}

/// While no other process does: this one catches up first.
async fn alone(config: &Config, writing: &Writing, report: &Reporter) -> Result<About> {
    let folder = Folder::open(&config.data)?;
    report.say("opening", 0, None);
    let opened = open(config, &folder, None, Unreadable::Refuse);
    let (commands, requests) = Box::pin(opened).await?;
    let mut roles = Roles::new();
    let behind = !commands.is_caught_up().await?;
    if behind {
        start(&mut roles, config, &commands, requests);
    }
    let work = Box::pin(async {
        if behind {
            commands.catch_up(report).await?;
        }
        let copied = copied(config, writing, report).await?;
        let filling = Filling::begin(&writing.file(VECTORS))?;
        let edition = Box::pin(edition(commands.as_ref())).await?;
        let export = async |selection: Selection, take: &mut Take<'_>| {
            written(commands.as_ref(), selection, take).await
        };
        let vectors = vectors(edition, filling, export, report).await?;
        Ok(about(copied, vectors))
    });
    until(roles, config.serve.grace(), work).await
}

/// The documents, and a moment that all of them are of, or later.
async fn copied(config: &Config, writing: &Writing, report: &Reporter) -> Result<(Copied, String)> {
    report.say("copying documents", 0, None);
    let made_at = rfc3339(Clock::system().now_ms());
    let (live, new) = (Folder::database_in(&config.data), writing.file(SOURCE));
    let copied = blocking(move || SqliteSource::copy(&live, &new)).await?;
    Ok((copied, made_at))
}

fn about((copied, made_at): (Copied, String), vectors: Vectors) -> About {
    About {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        made_at,
        epoch: copied.epoch,
        documents: copied.documents,
        vectors,
    }
}

/// The edition that is searched.
async fn edition<H: Handler>(handler: &H) -> Result<Edition> {
    match handler
        .handle(Request::Status {}, Reporter::new().0)
        .await?
    {
        Response::Status(status) if !status.index.digest.is_empty() => Ok(status.index),
        _ => Err(Error::Refused {
            service: "the running process".into(),
            why:
                "it does not say which model its index was made with, so it is of an older version"
                    .into(),
            fix: "restart it with this version, then try again".into(),
        }),
    }
}

/// What of an exported chunk is kept.
#[derive(Deserialize)]
struct Chunk {
    content: String,
    vector: Vec<f32>,
}

/// Puts every vector of the index on the shelf.
async fn vectors(
    edition: Edition,
    mut filling: Filling,
    export: impl AsyncFnOnce(Selection, &mut Take<'_>) -> Result<Summary>,
    report: &Reporter,
) -> Result<Vectors> {
    let selection = Selection {
        what: What::Vectors,
        ..Selection::default()
    };
    let mut done = 0;
    let mut take = |lines: &[u8]| {
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let chunk: Chunk = serde_json::from_slice(line)
                .map_err(|error| Error::malformed("a line of the export", error.to_string()))?;
            filling.put(&edition.digest, &chunk.content, &chunk.vector)?;
            done += 1;
        }
        report.say("copying vectors", done, None);
        Ok(())
    };
    let summary = export(selection, &mut take).await?;
    // Vectors of another model under this one's name would be taken for its own.
    if summary.about.edition != edition.edition {
        return Err(Error::unavailable("the index", "stand still for a backup")(
            "a re-index was switched to meanwhile; try again",
        ));
    }
    Ok(Vectors {
        texts: filling.finish()?,
        model: edition.model,
        digest: edition.digest,
    })
}

/// Does work that blocks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Stopped { part: "a thread" }),
    }
}
