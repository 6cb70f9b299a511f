//! Puts the rooms together; only this room names backends.
//!
//! ```text
//! folder ──> database ──> source, queue, store ──┬─ roles: capture, feature workers, serve
//! model  ──> embedder ───────────────────────────┴─ commands
//! ```
//!
//! `up` runs every role until it is asked to stop. A command without a running process runs the same
//! roles, without a door, for as long as it takes; where the settings name services, it asks them and
//! runs none.

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::Result;
use crate::clock::Clock;
use crate::command::{
    About, Commands, Driving, Handler as _, Reindex, Reporter, Request, Response, Rooms,
};
use crate::config::Config;
use crate::database::Database;
use crate::document::kind;
use crate::feature::embed::cache::Shelf;
use crate::feature::worker;
use crate::folder::Folder;
use crate::metrics::Metrics;
use crate::queue::sqlite::SqliteQueue;
use crate::reindex::Remembering;
use crate::shutdown::{Roles, requested};
use crate::source::sqlite::SqliteSource;
use crate::vector::edge::{self, Unreadable};

mod backup;
mod capture;
mod control;
mod doctor;
mod door;
mod embedder;
mod export;
mod feature;
mod migrate;
mod observe;
mod patience;
mod restore;
mod schedule;
mod serve;
mod services;
mod session;
mod standing;
mod store;
mod window;

pub use backup::backup;
pub use capture::capture;
pub use control::{Order, control};
pub use doctor::doctor;
use door::Door;
use embedder::AnyEmbedder;
pub use export::export;
pub use feature::feature;
pub use migrate::migrate;
use observe::tell;
pub use restore::{Restored, restore};
pub use schedule::schedule;
pub use serve::serve;
use services::Parts;
pub use session::{Work, session};
pub use standing::standing;
use store::{AnyEditions, AnyStore};

/// Requests to capture that may wait; each command waits for its own.
const REQUESTS_MAX: usize = 16;

/// Between two watermarks while a command waits for them, in milliseconds.
const ONCE_TICK_MS: u64 = 50;

/// The embedded backends.
#[derive(Debug)]
pub struct Embedded;

impl Rooms for Embedded {
    type Source = SqliteSource;
    type Checkpoints = SqliteSource;
    type Queue = SqliteQueue;
    type Store = AnyStore;
    type Embedder = AnyEmbedder;
    type Editions = AnyEditions;

    async fn count(source: &SqliteSource) -> Result<BTreeMap<String, u64>> {
        Ok(source.counts().await?.into_iter().collect())
    }
}

/// Runs everything in one process until `shutdown` is ready or a role fails; says its address when
/// it answers.
///
/// # Errors
/// Why it could not start, or which role failed.
pub async fn up(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
    ready: impl FnOnce(&str) + Send,
) -> Result<()> {
    let folder = Folder::open(&config.data)?;
    migrate::warn_of(&folder)?;
    let door = Door::open(&config).await?;
    let address = door.address();
    let mut roles = Roles::new();
    let mut shutdown = std::pin::pin!(shutdown);
    if services::are_set(&config)? {
        tokio::select! {
            biased;
            () = shutdown.as_mut() => return Ok(()),
            opened = up_on_services(&config, &mut roles, &folder, door) => opened?,
        }
    } else {
        let address = Some(address.clone());
        let opened = open(&config, &folder, address, Unreadable::Refuse);
        let (commands, requests) = Box::pin(opened).await?;
        start(&mut roles, &config, &commands, requests);
        watch(&mut roles, &config, &commands);
        let readiness = tell(&mut roles, &config, &commands).await?;
        door.serve(&mut roles, (commands, readiness), Some(&folder))?;
    }
    tracing::info!(address, data = %config.data.display(), "lockstep is up");
    ready(&address);
    until(roles, config.serve.grace(), async {
        shutdown.await;
        Ok(())
    })
    .await
}

/// Capture, worker and commands in one process, on services.
async fn up_on_services(
    config: &Config,
    roles: &mut Roles,
    folder: &Folder,
    door: Door,
) -> Result<()> {
    let parts = Parts::open(config, Some(folder)).await?;
    let commands = parts.commands(config, roles, Some(door.address())).await?;
    let capturing = capture::role(config.clone(), commands.metrics.clone(), roles.shutdown());
    roles.start("capture", capturing);
    feature::start(roles, config, &parts, feature::Which::Shared).await?;
    watch(roles, config, &commands);
    drive(roles, &commands);
    let readiness = tell(roles, config, &commands).await?;
    door.serve(roles, (commands, readiness), Some(folder))
}

/// Starts the schedule, on the same manners as the crawls that people ask for.
fn watch<R: Rooms>(roles: &mut Roles, config: &Config, commands: &Commands<R>) {
    let (source, settings) = (Arc::clone(&commands.source), commands.crawling.clone());
    schedule::start(roles, config, source, settings);
}

/// Answers one request in this process, with the roles that it needs. None when `shutdown` was
/// ready before the answer.
///
/// # Errors
/// Why it could not start, what the command says, or which role failed.
pub async fn once(
    mut config: Config,
    request: Request,
    report: Reporter,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<Option<Response>> {
    if services::are_set(&config)? {
        return Box::pin(once_on_services(&config, request, report, shutdown)).await;
    }
    let folder = if request.brings_in() {
        Folder::open(&config.data)?
    } else {
        Folder::open_filled(&config.data)?
    };
    report.say("opening", 0, None);
    // Somebody waits for the next watermark, and nobody else pays for it.
    config.capture.tick_ms = config.capture.tick_ms.min(ONCE_TICK_MS);
    let unreadable = match request {
        Request::Reindex(Reindex::Run { .. }) => Unreadable::Replace,
        _ => Unreadable::Refuse,
    };
    let (commands, requests) = Box::pin(open(&config, &folder, None, unreadable)).await?;
    let mut roles = Roles::new();
    // A question about the index is asked when it has caught up, which it mostly has already.
    let behind = request.reads_index() && !commands.is_caught_up().await?;
    if behind || request.changes_index() {
        start(&mut roles, &config, &commands, requests);
    }
    until(roles, config.serve.grace(), async {
        let answer = async {
            if behind {
                commands.catch_up(&report).await?;
            }
            // Nobody else would finish the work.
            Box::pin(commands.handle(request.waiting(), report)).await
        };
        tokio::select! {
            biased;
            () = shutdown => Ok(None),
            answer = answer => answer.map(Some),
        }
    })
    .await
}

/// Answers one request from what the services hold; their own processes go on with the rest.
async fn once_on_services(
    config: &Config,
    request: Request,
    report: Reporter,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<Option<Response>> {
    let folder = services::index_folder(config)?;
    report.say("opening", 0, None);
    let mut roles = Roles::new();
    let answer = async {
        let parts = Parts::open(config, folder.as_ref()).await?;
        let commands = parts.commands(config, &mut roles, None).await?;
        if !matches!(request, Request::Reindex(Reindex::Run { .. })) {
            return Box::pin(commands.handle(request, report)).await;
        }
        // Capture and workers fill it; nobody else would compare and switch.
        drive(&mut roles, &commands);
        Box::pin(commands.handle(request.waiting(), report)).await
    };
    let answer = tokio::select! {
        biased;
        () = shutdown => Ok(None),
        answer = answer => answer.map(Some),
    };
    let stopped = roles.stop(config.serve.grace()).await;
    let answer = answer?;
    stopped.map(|()| answer)
}

/// Waits for `work` while the roles run, then stops them; a role's failure ends the work.
async fn until<T>(
    mut roles: Roles,
    grace: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let done = tokio::select! {
        biased;
        error = roles.failure() => Err(error),
        done = work => done,
    };
    let stopped = roles.stop(grace).await;
    let done = done?;
    stopped?;
    tracing::info!("everything in hand is done");
    Ok(done)
}

/// Opens every backend in the folder.
async fn open(
    config: &Config,
    folder: &Folder,
    address: Option<String>,
    unreadable: Unreadable,
) -> Result<(
    Arc<Commands<Embedded>>,
    mpsc::Receiver<crate::capture::Request>,
)> {
    let clock = Clock::system();
    let schemas = [SqliteSource::SCHEMA, SqliteQueue::SCHEMA, edge::SCHEMA];
    let database = Database::open(&folder.database(), &schemas)?;
    let source = Arc::new(SqliteSource::new(database.clone(), clock.clone()));
    let queue = SqliteQueue::open(database.clone(), config.queue.partitions, clock.clone()).await?;
    let configured = embedder::configured(config).await?;
    let model = configured.edition.model.name.clone();
    let embedder = Arc::clone(&configured.embedder);
    let within = Some((folder, database));
    let editions = AnyEditions::open(config, within, configured, unreadable).await?;
    let (requests, asked) = mpsc::channel(REQUESTS_MAX);
    let counters = Arc::<worker::Counters>::default();
    let about = About {
        data: config.data.clone(),
        address,
        model,
    };
    let commands = Commands {
        checkpoints: Arc::clone(&source),
        source,
        queue: Arc::new(queue),
        editions: Arc::new(editions),
        embedder,
        driving: Driving::default(),
        requests,
        clock,
        types: Arc::clone(&config.types),
        crawling: config.crawling(folder.temporary()),
        metrics: Arc::new(Metrics::new(Arc::clone(&counters))),
        counters,
        about,
    };
    Ok((Arc::new(commands), asked))
}

/// Starts capture, the feature worker, and what goes on with a re-index.
fn start(
    roles: &mut Roles,
    config: &Config,
    commands: &Arc<Commands<Embedded>>,
    requests: mpsc::Receiver<crate::capture::Request>,
) {
    let shelf = Shelf::on_disk(&Folder::cache(&config.data), config.model.cache_bytes());
    start_with(roles, config, (commands, requests), shelf);
}

/// The same with this shelf of vectors.
fn start_with(
    roles: &mut Roles,
    config: &Config,
    (commands, requests): (
        &Arc<Commands<Embedded>>,
        mpsc::Receiver<crate::capture::Request>,
    ),
    shelf: Shelf,
) {
    let settings = capture_settings(config);
    let (rooms, stop) = (Arc::clone(commands), requested(roles.shutdown()));
    roles.start("capture", async move {
        let ports = crate::capture::Ports {
            source: rooms.source.as_ref(),
            checkpoints: rooms.checkpoints.as_ref(),
            queue: rooms.queue.as_ref(),
            clock: &rooms.clock,
        };
        crate::capture::run(ports, &settings, requests, stop).await
    });
    let settings = worker_settings(config);
    let (rooms, stop) = (Arc::clone(commands), requested(roles.shutdown()));
    let (editions, counters) = (Arc::clone(&rooms.editions), Arc::clone(&rooms.counters));
    let editions = Remembering::new(editions, shelf, counters);
    roles.start("feature", async move {
        let ports = worker::Ports {
            queue: rooms.queue.as_ref(),
            editions: &editions,
            clock: &rooms.clock,
            counters: rooms.counters.as_ref(),
        };
        let all = |count| (0..count).collect();
        Box::pin(worker::run(ports, &settings, all, stop)).await
    });
    drive(roles, commands);
}

/// Goes on with a re-index, whoever began it.
fn drive<R: Rooms>(roles: &mut Roles, commands: &Arc<Commands<R>>) {
    let (rooms, stop) = (Arc::clone(commands), requested(roles.shutdown()));
    roles.start("reindex", async move {
        tokio::select! {
            biased;
            () = stop => Ok(()),
            done = rooms.drive() => done,
        }
    });
}

fn capture_settings(config: &Config) -> crate::capture::Settings {
    crate::capture::Settings {
        window: config.capture.window,
        page_size: config.capture.page_size,
        tick: Duration::from_millis(config.capture.tick_ms),
        save_after: config.capture.save_after,
        snapshot_rate: NonZero::new(config.capture.snapshot_rate),
        lost_history: config.capture.lost_history,
        kinds: [kind::USERS]
            .into_iter()
            .chain(config.types.names())
            .map(str::to_owned)
            .collect(),
        types: Arc::clone(&config.types),
        ..crate::capture::Settings::default()
    }
}

fn worker_settings(config: &Config) -> worker::Settings {
    worker::Settings {
        batch: config.feature.batch_size,
        attempts_max: config.queue.attempts_max,
        tombstone_ttl: config.feature.tombstone_ttl(),
        types: Arc::clone(&config.types),
        ..worker::Settings::default()
    }
}
