//! One reading of the change log, from a checkpoint to the first error.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::publish::publish_all;
use super::{Frontier, Ports, RESETS_MAX, Request, Resync, Settings, SnapshotPlan, Step};
use crate::change::{Act, Barrier, Change, DocumentKey, Lane, Operation, Version};
use crate::document::{Document, Fields};
use crate::queue::{Outgoing, Queue};
use crate::source::{Body, Checkpoint, Checkpoints, Event, Reading, Source, Watch};
use crate::{Error, Result};

/// An open watch and what is known about it.
pub(super) struct Session<'a, S: Source, C, Q> {
    ports: &'a Ports<'a, S, C, Q>,
    settings: &'a Settings,
    watch: S::Watch,
    frontier: Frontier,
    checkpoint: Checkpoint,
    progressed: bool,
}

/// What happened next.
enum Turn {
    Stop,
    Asked(Request),
    Events(Vec<Event>),
    Tick,
    Page,
}

impl<'a, S: Source, C: Checkpoints, Q: Queue> Session<'a, S, C, Q> {
    /// Opens the watch from the checkpoint; without one, or where history is lost, plans a snapshot
    /// of everything and saves that plan before the first page.
    ///
    /// # Errors
    /// [`Error::HistoryLost`] only after [`RESETS_MAX`] resets in a row.
    pub(super) async fn open(
        ports: &'a Ports<'a, S, C, Q>,
        settings: &'a Settings,
    ) -> Result<Self> {
        let saved = ports.checkpoints.load().await?;
        let (watch, checkpoint) = match saved {
            None => begin(ports, settings, Before::default()).await?,
            Some(saved) => match ports.source.watch(Some(saved.position.clone())).await {
                Ok(watch) => (watch, saved),
                Err(Error::HistoryLost { why }) if saved.resets < RESETS_MAX => {
                    tracing::warn!(
                        why,
                        resets = saved.resets + 1,
                        "history lost, reading all again"
                    );
                    begin(ports, settings, Before::lost(saved)).await?
                }
                Err(error) => return Err(error),
            },
        };
        let (position, time) = watch.here();
        let frontier = Frontier::new(checkpoint.epoch, position, time);
        Ok(Self {
            ports,
            settings,
            watch,
            frontier,
            checkpoint,
            progressed: false,
        })
    }

    /// Whether anything was confirmed since it was opened.
    pub(super) fn has_progressed(&self) -> bool {
        self.progressed
    }

    /// Runs until `shutdown` or an error.
    pub(super) async fn run(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<()> {
        let mut ticks = interval(self.settings.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            match self.turn(requests, shutdown.as_mut(), &mut ticks).await? {
                Turn::Stop => return self.save().await,
                Turn::Asked(request) => self.answer(request).await?,
                Turn::Events(events) => self.carry(events).await?,
                Turn::Tick => self.tick().await?,
                Turn::Page => {}
            }
            // A page a turn: a snapshot neither delays edits nor starves under them.
            self.page().await?;
            if self.frontier.unsaved() >= self.settings.save_after {
                self.save().await?;
            }
        }
    }

    /// Waits for what comes first. All of these are cancel safe.
    async fn turn(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
        ticks: &mut Interval,
    ) -> Result<Turn> {
        Ok(tokio::select! {
            biased;
            () = shutdown => Turn::Stop,
            Some(request) = requests.recv() => Turn::Asked(request),
            _ = ticks.tick() => Turn::Tick,
            events = self.watch.next(self.settings.window) => Turn::Events(events?),
            () = std::future::ready(()), if self.checkpoint.snapshot.is_active() => Turn::Page,
        })
    }

    /// Numbers, publishes and confirms events of the log.
    async fn carry(&mut self, events: Vec<Event>) -> Result<()> {
        self.remember_kinds(&events).await?;
        let mut batch = Vec::with_capacity(events.len());
        let mut frontier = self.frontier.clone();
        for event in events {
            if event.body == Body::Idle {
                frontier.idle(&event);
            } else {
                let version = frontier.number(&event);
                self.outgoing(event, version, &mut batch);
            }
        }
        publish_all(self.ports.queue, batch).await?;
        self.frontier = frontier;
        self.progressed = true;
        Ok(())
    }

    /// A type is in the checkpoint before its first change is sent: should its history be lost and
    /// the type vanish from the source, its floor still finds what the index holds of it.
    async fn remember_kinds(&mut self, events: &[Event]) -> Result<()> {
        let known = self.checkpoint.kinds.len();
        for event in events {
            if let Body::Edit {
                key: DocumentKey { kind, .. },
                ..
            }
            | Body::Replaced { kind } = &event.body
                && !self.checkpoint.kinds.contains(kind)
            {
                self.checkpoint.kinds.insert(kind.clone());
            }
        }
        if self.checkpoint.kinds.len() > known {
            self.ports.checkpoints.save(self.checkpoint.clone()).await?;
        }
        Ok(())
    }

    /// The messages of one event.
    fn outgoing(&mut self, event: Event, version: Version, batch: &mut Vec<Outgoing>) {
        let partitions = self.ports.queue.partitions();
        match event.body {
            Body::Edit {
                key,
                operation,
                fields: None,
            } if operation != Operation::Delete => {
                tracing::debug!(%key, %version, "looked up after it was deleted: its delete follows");
            }
            Body::Edit {
                key,
                operation,
                fields,
            } => {
                let change = Change::new(key, version, operation, fields, event.committed_ms);
                batch.push(Outgoing::change(change, Lane::Live, partitions));
            }
            Body::Dropped { kind } => batch.extend(void(kind, version, partitions)),
            Body::Replaced { kind } => {
                batch.extend(void(kind.clone(), version, partitions));
                self.checkpoint.snapshot.add(kind, version);
            }
            Body::Idle => {}
        }
    }

    /// Publishes the next page of a snapshot, or the floor that follows the last one.
    async fn page(&mut self) -> Result<()> {
        let Step::Page { kind, after } = self.checkpoint.snapshot.step() else {
            return Ok(());
        };
        let reading = self
            .ports
            .source
            .page(&kind, after, self.settings.page_size)
            .await?;
        let Some(last) = reading.found.last().map(|document| document.key.id.clone()) else {
            return self.end_snapshot().await;
        };
        let (epoch, partitions) = (self.checkpoint.epoch, self.ports.queue.partitions());
        let batch = rows(epoch, reading)
            .map(|change| Outgoing::change(change, Lane::Backfill, partitions))
            .collect();
        publish_all(self.ports.queue, batch).await?;
        self.checkpoint.snapshot.published(last);
        self.progressed = true;
        self.save().await
    }

    async fn end_snapshot(&mut self) -> Result<()> {
        if let Some(barrier) = self.checkpoint.snapshot.barrier() {
            let partitions = self.ports.queue.partitions();
            let batch = Outgoing::barrier(&barrier, Lane::Backfill, partitions);
            publish_all(self.ports.queue, batch).await?;
        }
        self.checkpoint.snapshot.ended();
        if !self.checkpoint.snapshot.is_catching_up() {
            self.checkpoint.resets = 0;
        }
        self.save().await
    }

    /// Sends what was asked for again, at the version of a read made now.
    async fn answer(&mut self, request: Request) -> Result<()> {
        let sent = match request.what {
            Resync::Keys(keys) => self.resync(keys).await?,
            Resync::Kind(kind) => {
                let (_, time) = self.watch.here();
                self.checkpoint.kinds.insert(kind.clone());
                let floor = Version::floor(self.checkpoint.epoch, time);
                self.checkpoint.snapshot.add(kind, floor);
                self.save().await?;
                0
            }
        };
        if request.done.send(sent).is_err() {
            tracing::debug!("who asked for a resync has gone; it is done all the same");
        }
        Ok(())
    }

    async fn resync(&mut self, keys: Vec<DocumentKey>) -> Result<u64> {
        let reading = self.ports.source.read(keys.clone()).await?;
        let version = Version::read(self.checkpoint.epoch, reading.time);
        let partitions = self.ports.queue.partitions();
        let batch: Vec<_> = keys
            .into_iter()
            .zip(reading.found)
            .map(|(key, fields)| {
                let change = read_again(key, version, fields, reading.read_ms);
                Outgoing::change(change, Lane::Live, partitions)
            })
            .collect();
        let sent = batch.len() as u64;
        publish_all(self.ports.queue, batch).await?;
        Ok(sent)
    }

    /// Saves the position, then says to every queue how far it has been filled.
    ///
    /// In this order, so that a replay never repeats a version at or below a watermark: tombstones
    /// below it may be gone.
    async fn tick(&mut self) -> Result<()> {
        self.save().await?;
        if !self.checkpoint.snapshot.is_catching_up() {
            let boundary = self.frontier.boundary();
            let barrier = Barrier::watermark(
                self.checkpoint.epoch,
                boundary.time,
                boundary.committed_ms.min(self.ports.clock.now_ms()),
            );
            let partitions = self.ports.queue.partitions();
            let mut batch = Outgoing::barrier(&barrier, Lane::Live, partitions);
            batch.extend(Outgoing::barrier(&barrier, Lane::Backfill, partitions));
            publish_all(self.ports.queue, batch).await?;
        }
        Ok(())
    }

    /// Saves the last place before which everything is confirmed.
    async fn save(&mut self) -> Result<()> {
        self.checkpoint.position = self.frontier.boundary().position.clone();
        self.ports.checkpoints.save(self.checkpoint.clone()).await?;
        self.frontier.saved();
        Ok(())
    }
}

/// What is known from before a snapshot of everything.
#[derive(Default)]
struct Before {
    epoch: Option<u32>,
    kinds: BTreeSet<String>,
    resets: u32,
}

impl Before {
    fn lost(saved: Checkpoint) -> Self {
        Self {
            epoch: Some(saved.epoch),
            kinds: saved.kinds,
            resets: saved.resets + 1,
        }
    }
}

/// Opens the watch at the end of the log and plans a snapshot of everything before it.
async fn begin<S: Source, C: Checkpoints, Q: Queue>(
    ports: &Ports<'_, S, C, Q>,
    settings: &Settings,
    before: Before,
) -> Result<(S::Watch, Checkpoint)> {
    let Before {
        epoch,
        mut kinds,
        resets,
    } = before;
    let epoch = epoch.unwrap_or(settings.epoch);
    let watch = ports.source.watch(None).await?;
    let (position, time) = watch.here();
    kinds.extend(settings.kinds.iter().cloned());
    kinds.extend(ports.source.kinds().await?);
    let snapshot = SnapshotPlan::all(kinds.iter().cloned(), Version::floor(epoch, time));
    let checkpoint = Checkpoint {
        epoch,
        position,
        snapshot,
        kinds,
        resets,
    };
    ports.checkpoints.save(checkpoint.clone()).await?;
    Ok((watch, checkpoint))
}

/// The floor that voids a whole type at one moment.
fn void(kind: String, version: Version, partitions: u32) -> Vec<Outgoing> {
    let mut name = Vec::from(version.to_bytes());
    name.extend_from_slice(kind.as_bytes());
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &name);
    let barrier = Barrier::Floor {
        id,
        kind,
        version,
        act: Act::AtOnce,
    };
    Outgoing::barrier(&barrier, Lane::Live, partitions)
}

/// The changes of a page, at the time of its read.
fn rows(epoch: u32, reading: Reading<Vec<Document>>) -> impl Iterator<Item = Change> {
    let version = Version::read(epoch, reading.time);
    reading
        .found
        .into_iter()
        .map(move |row| read_again(row.key, version, Some(row.fields), reading.read_ms))
}

/// A document that was read again: as it is now, or gone.
fn read_again(key: DocumentKey, version: Version, fields: Option<Fields>, read_ms: u64) -> Change {
    let operation = if fields.is_some() {
        Operation::Snapshot
    } else {
        Operation::Delete
    };
    Change::new(key, version, operation, fields, read_ms)
}
