//! `lockstep capture`: MongoDB to RabbitMQ, one active process, the others standing by.
//!
//! ```text
//! connect, or say why not ──> stand by ──lease──> capture ──fenced off──> stand by
//!                                                  │  ▲
//!                                          paused ─┘  └─ resumed        requests ──> capture
//! ```

mod requests;

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use futures_util::future::join;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::observe::{self, Window};
use super::patience::{advised, random, tried};
use super::window::{self, Watcher};
use crate::capture::{self, Ports};
use crate::change::Change;
use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::queue::Queue as _;
use crate::queue::rabbit::{self, RabbitQueue};
use crate::retry::Backoff;
use crate::serve::Readiness;
use crate::source::mongo::{Lease, MongoSource};
use crate::{Error, Recovery, Result, doctor};

pub(super) use super::patience::patiently;

/// Producers that were heard for so long are heard again at once.
const QUIET: Duration = Duration::from_mins(1);

/// Captures until `shutdown` is ready, and tells how it goes.
///
/// # Errors
/// What a service refuses and trying again cannot mend; that a service did not answer within
/// `capture.startup_timeout_seconds`; lost history, by the policy.
pub async fn capture(config: Config, shutdown: watch::Receiver<bool>) -> Result<()> {
    require(&config)?;
    let metrics = Arc::new(Metrics::new(Arc::default()));
    let told = Window::open(&config, Arc::clone(&metrics)).await?;
    let Some(service) = Service::connect(config, metrics, shutdown.clone()).await? else {
        return Ok(());
    };
    let telling = told.run(|| service.observe(), service.readiness(), shutdown);
    let told = async {
        telling.await?;
        // It ended for the stop, which capture may still be about.
        pending::<Result<Infallible>>().await
    };
    tokio::select! {
        // Nobody who is slow to ask how it goes holds up its end.
        done = Box::pin(service.run()) => done,
        told = told => match told {
            Ok(never) => match never {},
            Err(error) => Err(error),
        },
    }
}

/// The same as a role of a process that tells itself how it goes.
pub(super) async fn role(
    config: Config,
    metrics: Arc<Metrics>,
    shutdown: watch::Receiver<bool>,
) -> Result<()> {
    match Service::connect(config, metrics, shutdown).await? {
        Some(service) => Box::pin(service.run()).await,
        None => Ok(()),
    }
}

/// What the role needs of the settings.
fn require(config: &Config) -> Result<()> {
    let missing = |setting: &str, what: &str, example: &str| Error::Config {
        setting: setting.into(),
        why: format!("`lockstep capture` {what}; set it, for example to {example}"),
    };
    if !config.source.url.is_set() {
        let example = "mongodb://localhost:27017/?replicaSet=rs0";
        return Err(missing("source.url", "reads MongoDB", example));
    }
    if !config.queue.url.is_set() {
        let example = "amqp://localhost:5672";
        return Err(missing("queue.url", "fills RabbitMQ", example));
    }
    Ok(())
}

pub(super) fn source_settings(config: &Config) -> crate::source::mongo::Settings {
    config.source.settings()
}

pub(super) fn queue_settings(config: &Config) -> rabbit::Settings {
    let queue = &config.queue;
    rabbit::Settings {
        name: queue.name.clone(),
        window: config.capture.window,
        message_bytes_max: queue.message_bytes_max,
        seed_consumers: Some(queue.seed_consumers.clone()).filter(|name| !name.is_empty()),
        ..rabbit::Settings::new(queue.url.expose(), queue.partitions)
    }
}

struct Service {
    config: Config,
    source: MongoSource,
    queue: RabbitQueue,
    clock: Clock,
    metrics: Arc<Metrics>,
    shutdown: watch::Receiver<bool>,
}

impl Service {
    /// None when it was stopped before both answered.
    async fn connect(
        config: Config,
        metrics: Arc<Metrics>,
        shutdown: watch::Receiver<bool>,
    ) -> Result<Option<Self>> {
        let clock = Clock::system();
        let connect = async {
            let source = patiently(&config, || {
                let opened = MongoSource::open(source_settings(&config), clock.clone());
                opened.map_err(advised(doctor::SOURCE_AWAY))
            });
            let queue = patiently(&config, || {
                let opened = RabbitQueue::open(queue_settings(&config), clock.clone());
                opened.map_err(advised(doctor::QUEUE_AWAY))
            });
            tokio::try_join!(source, queue)
        };
        let (source, queue) = tokio::select! {
            biased;
            () = crate::shutdown::requested(shutdown.clone()) => return Ok(None),
            connected = connect => connected?,
        };
        Ok(Some(Self {
            config,
            source,
            queue,
            clock,
            metrics,
            shutdown,
        }))
    }

    async fn observe(&self) {
        tokio::join!(
            observe::position(&self.metrics, &self.source, &self.clock),
            observe::queues(&self.metrics, &self.queue, &self.clock),
        );
    }

    /// It works with the source and the queue, also while it stands by.
    fn readiness(&self) -> Arc<Readiness> {
        let works = (self.source.clone(), self.queue.clone());
        let look = move || {
            let (source, queue) = works.clone();
            async move { source.standing().await.and(queue.depth().await).map(drop) }
        };
        Readiness::new(look, self.shutdown.clone())
    }

    async fn run(&self) -> Result<()> {
        let owner = owner();
        loop {
            // For people alone: the lease is waited for, whatever the source says now.
            let standing = self.source.standing().await.ok();
            if let Some(active) = standing.and_then(|standing| standing.owner) {
                tracing::info!(active, "standing by");
            }
            self.metrics.captures(false);
            let lease = tokio::select! {
                biased;
                () = self.stopped() => return Ok(()),
                lease = tried("waiting for the lease", None, || self.source.acquire(&owner)) => lease?,
            };
            tracing::info!(owner, fence = lease.fence(), "capture is ours");
            self.metrics.captures(true);
            let ended = tokio::select! {
                biased;
                error = self.kept(&lease) => Err(error),
                error = self.taking_in() => Err(error),
                never = self.watching_source() => match never {},
                stopped = self.active(&lease) => stopped,
                () = self.overdue(self.shutdown.clone()) => Ok(()),
            };
            match ended {
                Ok(()) => return lease.release().await,
                Err(Error::Fenced { .. }) => {
                    tracing::warn!(owner, "another process has taken capture over");
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn stopped(&self) {
        crate::shutdown::requested(self.shutdown.clone()).await;
    }

    /// Renews the lease; ends only when that cannot be done.
    async fn kept(&self, lease: &Lease) -> Error {
        match lease.keep().await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    /// Looks whether there is anything to capture, and how much of the source's log is left, for as long as it is
    /// polled. Neither waits for the other: an answer may never come.
    async fn watching_source(&self) -> Infallible {
        join(self.look_for_collections(), self.watching_log())
            .await
            .1
    }

    async fn watching_log(&self) -> Infallible {
        let mut watcher = Watcher::new(self.config.capture.oplog_warning_hours);
        loop {
            match self.source.standing().await {
                Ok(standing) => {
                    if let Some(window) = standing.window {
                        watcher.look(window);
                    }
                }
                Err(error) => {
                    tracing::debug!(error = %error.chain(), "the source's log is not known");
                }
            }
            sleep(window::LOOK).await;
        }
    }

    /// A database of another name is watched without complaint, and nothing ever happens in it.
    async fn look_for_collections(&self) {
        match self.source.collections().await {
            Ok(collections) if collections.is_empty() => {
                let found = doctor::collections(&self.config.source.collections, &[]);
                let (source, fix) = (self.source.name(), found.fix.unwrap_or_default());
                tracing::warn!(source, fix, "no watched collection is there yet");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(error = %error.chain(), "the source's collections are not known");
            }
        }
    }

    /// Moves what the seed's producers send to our queues. Ends only with an error that trying again
    /// cannot mend.
    async fn taking_in(&self) -> Error {
        let queue = &self.config.queue.seed_producers;
        if queue.is_empty() {
            return pending().await;
        }
        let clean = |change: &mut Change| {
            if let Some(fields) = &mut change.fields {
                self.config.types.redact(&change.key.kind, fields);
            }
        };
        let mut backoff = Backoff::jittered(Some(random()));
        loop {
            let begun = Instant::now();
            let taken = self.queue.take_in(queue, clean, pending());
            let Err(error) = taken.await else {
                return pending().await;
            };
            let Recovery::Retry(pause) = error.recovery() else {
                return error;
            };
            if begun.elapsed() > QUIET {
                backoff.reset();
            }
            tracing::warn!(error = %error.chain(), queue, "producers are heard again soon");
            sleep(backoff.next(pause)).await;
        }
    }

    /// Captures, stands still while paused, and captures again, until a stop.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another process has taken over, and what trying again cannot mend.
    async fn active(&self, lease: &Lease) -> Result<()> {
        loop {
            let paused = || self.source.is_paused();
            if tried("whether it is paused is not known yet", None, paused).await? {
                self.rest(lease).await?;
            }
            if *self.shutdown.borrow() {
                return Ok(());
            }
            let (send, requests) = mpsc::channel(1);
            let mut settings = super::capture_settings(&self.config);
            settings.kinds.clone_from(&self.config.source.collections);
            settings.jitter = Some(random());
            let ports = Ports {
                source: &self.source,
                checkpoints: lease,
                queue: &self.queue,
                clock: &self.clock,
            };
            let pause = watch::Sender::new(false);
            let until = async {
                tokio::select! {
                    () = self.stopped() => {}
                    () = crate::shutdown::requested(pause.subscribe()) => {}
                }
            };
            let carried = capture::run(ports, &settings, requests, until);
            let asked = requests::pass_on(&self.source, lease, send, &pause);
            tokio::select! {
                biased;
                done = carried => done?,
                error = asked => return Err(error),
                () = self.overdue(pause.subscribe()) => {}
            }
            if *self.shutdown.borrow() {
                return Ok(());
            }
        }
    }

    /// Stands still until it may go on or is to stop. Others go by what is said of it, so it has to be said.
    async fn rest(&self, lease: &Lease) -> Result<()> {
        let say = |rests| move || lease.rest(rests);
        let unsaid = "whether capture rests is not said yet";
        tried(unsaid, None, say(true)).await?;
        tracing::info!("capture is paused; `lockstep resume capture` lets it go on");
        tokio::select! {
            () = self.stopped() => return Ok(()),
            () = requests::paused(&self.source, false) => tracing::info!("capture goes on"),
        }
        tried(unsaid, None, say(false)).await
    }

    /// Ready when a stop or a pause was asked for longer ago than it may take, as with a broker that blocks us: what is
    /// not confirmed by then comes again.
    async fn overdue(&self, asked: watch::Receiver<bool>) {
        crate::shutdown::requested(asked).await;
        sleep(Duration::from_secs(self.config.serve.grace_seconds)).await;
        tracing::warn!("what is on its way is given up; it is sent again when capture goes on");
    }
}

/// Who we are, for people.
fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let host = host.as_deref().map_or("a process", str::trim_end);
    format!("{host}:{}", std::process::id())
}
