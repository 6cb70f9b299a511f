//! `lockstep feature`: RabbitMQ to the index, as many processes as one likes.
//!
//! ```text
//! connect, or say why not ──> sharing ──wanted──> consumer ──> worker ──> index
//!                               └─ partitions given by hand: no sharing
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::observe::{self, Window};
use super::services::{self, Parts};
use super::{Door, drive, until, worker_settings};
use crate::config::Config;
use crate::feature::embed::cache::Shelf;
use crate::feature::worker;
use crate::folder::Folder;
use crate::queue::Queue as _;
use crate::queue::rabbit::RabbitQueue;
use crate::reindex::{Editions as _, Remembering};
use crate::serve::Readiness;
use crate::shutdown::{Roles, requested};
use crate::vector::VectorStore as _;
use crate::{Error, Result};

/// Works until `shutdown` is ready: on these partitions, or on a share of all.
///
/// An index in the data folder has one worker, on all partitions: a second one would fill another
/// index. That process also answers commands, where it knows the source.
///
/// # Errors
/// What a service refuses and trying again cannot mend; that a service did not answer within
/// `capture.startup_timeout_seconds`.
pub async fn feature(
    config: Config,
    partitions: Option<BTreeSet<u32>>,
    shutdown: watch::Receiver<bool>,
) -> Result<()> {
    require(&config)?;
    let folder = services::index_folder(&config)?;
    let mut roles = Roles::new();
    let opened = tokio::select! {
        biased;
        () = requested(shutdown.clone()) => return Ok(()),
        opened = open(&config, &mut roles, partitions, folder.as_ref()) => opened,
    };
    opened?;
    tracing::info!("working");
    until(roles, config.serve.grace(), async {
        requested(shutdown).await;
        Ok(())
    })
    .await
}

fn require(config: &Config) -> Result<()> {
    if config.queue.url.is_set() {
        return Ok(());
    }
    Err(Error::Config {
        setting: "queue.url".into(),
        why: "`lockstep feature` reads RabbitMQ; set it, for example to amqp://localhost:5672, or \
              run everything in one process with `lockstep up`"
            .into(),
    })
}

async fn open(
    config: &Config,
    roles: &mut Roles,
    partitions: Option<BTreeSet<u32>>,
    folder: Option<&Folder>,
) -> Result<()> {
    let parts = Parts::open(config, folder).await?;
    let which = match partitions {
        Some(partitions) => Which::Given(partitions),
        None if folder.is_some() => Which::All,
        None => Which::Shared,
    };
    start(roles, config, &parts, which).await?;
    let Some(folder) = folder.filter(|_| config.source.url.is_set()) else {
        return tell(roles, config, &parts).await;
    };
    let door = Door::open(config).await?;
    let address = Some(door.address());
    let commands = parts.commands(config, roles, address).await?;
    drive(roles, &commands);
    let readiness = super::tell(roles, config, &commands).await?;
    door.serve(roles, (commands, readiness), Some(folder))
}

/// Tells how it goes, where the settings say where.
async fn tell(roles: &mut Roles, config: &Config, parts: &Parts) -> Result<()> {
    let told = Window::open(config, Arc::clone(&parts.metrics)).await?;
    let works = (Arc::clone(&parts.queue), Arc::clone(&parts.editions));
    let look = move || {
        let (queue, editions) = works.clone();
        async move {
            editions.open().await?.current.store.control().await?;
            queue.depth().await.map(drop)
        }
    };
    let readiness = Readiness::new(look, roles.shutdown());
    let (queue, editions) = (Arc::clone(&parts.queue), Arc::clone(&parts.editions));
    let (embedder, metrics) = (Arc::clone(&parts.embedder), Arc::clone(&parts.metrics));
    let (clock, stop) = (parts.clock.clone(), roles.shutdown());
    roles.start("metrics", async move {
        let look = || {
            observe::index(
                &metrics,
                queue.as_ref(),
                editions.as_ref(),
                (embedder.as_ref(), &clock),
            )
        };
        told.run(look, readiness, stop).await
    });
    Ok(())
}

/// What a worker consumes, whatever the partition count becomes.
pub(super) enum Which {
    /// Those of these that there are.
    Given(BTreeSet<u32>),
    All,
    /// A share of all.
    Shared,
}

impl Which {
    fn of(&self, count: u32) -> Vec<u32> {
        let ours = |partition: &u32| match self {
            Self::Given(partitions) => partitions.contains(partition),
            Self::All | Self::Shared => true,
        };
        (0..count).filter(ours).collect()
    }
}

/// Starts the worker, and what steers its share unless its partitions are given.
pub(super) async fn start(
    roles: &mut Roles,
    config: &Config,
    parts: &Parts,
    which: Which,
) -> Result<()> {
    let count = parts.queue.partitions();
    if let Which::Given(partitions) = &which
        && let Some(none) = partitions.iter().find(|one| **one >= count)
    {
        return Err(Error::Config {
            setting: "--partitions".into(),
            why: format!("there is no {none}: the queue has {count}, counted from 0"),
        });
    }
    parts.editions.may_store(config).await?;
    let queue = if let Which::Shared = which {
        let (queue, sharing) = parts.queue.shared();
        let stop = requested(roles.shutdown());
        roles.start("sharing", async move { sharing.run(stop).await });
        queue
    } else {
        RabbitQueue::clone(&parts.queue)
    };
    let (counters, clock) = (parts.counters.clone(), parts.clock.clone());
    let shelf = Shelf::in_memory(usize::try_from(config.model.cache_bytes()).unwrap_or(usize::MAX));
    let editions = Remembering::new(parts.editions.clone(), shelf, counters.clone());
    let (settings, stop) = (worker_settings(config), requested(roles.shutdown()));
    roles.start("feature", async move {
        let rooms = worker::Ports {
            queue: &queue,
            editions: &editions,
            clock: &clock,
            counters: counters.as_ref(),
        };
        Box::pin(worker::run(rooms, &settings, |count| which.of(count), stop)).await
    });
    Ok(())
}
