//! An export by this process alone, with the roles that it needs to have caught up first.

use std::future::Future;

use tokio::sync::mpsc::Sender;

use super::services::{self, Parts};
use super::{open, start, until};
use crate::command::{Library, Reporter};
use crate::config::Config;
use crate::export::{Selection, Summary};
use crate::folder::Folder;
use crate::shutdown::Roles;
use crate::vector::edge::Unreadable;
use crate::{Error, Result};

/// Takes whole lines.
pub(super) type Take<'a> = dyn FnMut(&[u8]) -> Result<()> + Send + 'a;

/// Exports what the index holds, as fast as lines are taken. None when `shutdown` was ready before the end.
///
/// # Errors
/// Why it could not start, what the index says, which role failed, or that nobody takes lines any more.
pub async fn export(
    config: Config,
    selection: Selection,
    lines: &Sender<Vec<u8>>,
    (report, shutdown): (Reporter, impl Future<Output = ()> + Send),
) -> Result<Option<Summary>> {
    let mut roles = Roles::new();
    if services::are_set(&config)? {
        let folder = services::index_folder(&config)?;
        let parts = Parts::open(&config, folder.as_ref()).await?;
        let commands = parts.commands(&config, &mut roles, None).await?;
        let work = sent(commands.as_ref(), selection, lines);
        return or_stopped(roles, &config, work, shutdown).await;
    }
    let folder = Folder::open_filled(&config.data)?;
    report.say("opening", 0, None);
    let opened = open(&config, &folder, None, Unreadable::Refuse);
    let (commands, requests) = Box::pin(opened).await?;
    let behind = !commands.is_caught_up().await?;
    if behind {
        start(&mut roles, &config, &commands, requests);
    }
    let work = async {
        if behind {
            commands.catch_up(&report).await?;
        }
        report.say("exporting", 0, None);
        sent(commands.as_ref(), selection, lines).await
    };
    or_stopped(roles, &config, work, shutdown).await
}

async fn or_stopped<T>(
    roles: Roles,
    config: &Config,
    work: impl Future<Output = Result<T>>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<Option<T>> {
    until(roles, config.serve.grace(), async {
        tokio::select! {
            biased;
            () = shutdown => Ok(None),
            done = work => done.map(Some),
        }
    })
    .await
}

async fn sent<L: Library>(
    library: &L,
    selection: Selection,
    lines: &Sender<Vec<u8>>,
) -> Result<Summary> {
    let mut export = library.export(selection).await?;
    while let Some(some) = export.next().await? {
        let gone = |_| Error::Stopped { part: "the output" };
        lines.send(some).await.map_err(gone)?;
    }
    Ok(export.summary())
}

pub(super) async fn written<L: Library>(
    library: &L,
    selection: Selection,
    take: &mut Take<'_>,
) -> Result<Summary> {
    let mut export = library.export(selection).await?;
    while let Some(lines) = export.next().await? {
        take(&lines)?;
    }
    Ok(export.summary())
}
