//! An export by this process alone, with the roles that it needs to have caught up first.

use std::future::Future;

use super::services::{self, Parts};
use super::{open, start, until};
use crate::Result;
use crate::command::{Library, Reporter};
use crate::config::Config;
use crate::export::{Selection, Summary};
use crate::folder::Folder;
use crate::shutdown::Roles;
use crate::vector::edge::Unreadable;

/// Takes whole lines.
pub(super) type Take<'a> = dyn FnMut(&[u8]) -> Result<()> + Send + 'a;

/// Exports what the index holds. None when `shutdown` was ready before the end.
///
/// # Errors
/// Why it could not start, what the index says, which role failed, or what `take` says.
pub async fn export(
    config: Config,
    selection: Selection,
    take: &mut (dyn FnMut(&[u8]) -> Result<()> + Send),
    (report, shutdown): (Reporter, impl Future<Output = ()> + Send),
) -> Result<Option<Summary>> {
    let mut roles = Roles::new();
    if services::are_set(&config)? {
        let folder = services::index_folder(&config)?;
        let parts = Parts::open(&config, folder.as_ref()).await?;
        let commands = parts.commands(&config, &mut roles, None).await?;
        let work = written(commands.as_ref(), selection, take);
        return or_stopped(roles, &config, work, shutdown).await;
    }
    let folder = Folder::open(&config.data)?;
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
        written(commands.as_ref(), selection, take).await
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
