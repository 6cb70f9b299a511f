//! Work of many requests in this process, which opens everything once.

use std::future::Future;

use super::services::{self, Parts};
use super::{ONCE_TICK_MS, open, start, until};
use crate::Result;
use crate::command::Handler;
use crate::config::Config;
use crate::folder::Folder;
use crate::shutdown::Roles;
use crate::vector::edge::Unreadable;

/// Something that asks for many things, one after the other or at once.
pub trait Work {
    /// What it comes to.
    type Done;

    /// Does it with whoever answers.
    fn work<H: Handler>(self, handler: &H) -> impl Future<Output = Result<Self::Done>>;
}

/// Does the work in this process, with the roles that it needs. None when `shutdown` was ready before
/// it was done.
///
/// # Errors
/// Why it could not start, what the work says, or which role failed.
pub async fn session<W: Work>(
    mut config: Config,
    work: W,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<Option<W::Done>> {
    if services::are_set(&config)? {
        return Box::pin(on_services(&config, work, shutdown)).await;
    }
    let folder = Folder::open(&config.data)?;
    config.capture.tick_ms = config.capture.tick_ms.min(ONCE_TICK_MS);
    let opened = open(&config, &folder, None, Unreadable::Refuse);
    let (commands, requests) = Box::pin(opened).await?;
    let mut roles = Roles::new();
    start(&mut roles, &config, &commands, requests);
    until(roles, config.serve.grace(), async {
        tokio::select! {
            biased;
            () = shutdown => Ok(None),
            done = Box::pin(work.work(commands.as_ref())) => done.map(Some),
        }
    })
    .await
}

async fn on_services<W: Work>(
    config: &Config,
    work: W,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<Option<W::Done>> {
    let folder = services::index_folder(config)?;
    let mut roles = Roles::new();
    let done = async {
        let parts = Parts::open(config, folder.as_ref()).await?;
        let commands = parts.commands(config, &mut roles, None).await?;
        Box::pin(work.work(commands.as_ref())).await
    };
    let done = tokio::select! {
        biased;
        () = shutdown => Ok(None),
        done = done => done.map(Some),
    };
    let stopped = roles.stop(config.serve.grace()).await;
    let done = done?;
    stopped.map(|()| done)
}
