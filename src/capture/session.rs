//! One reading of the change log, from a checkpoint to the first error.

mod again;

use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::begin::{begin, resume};
use super::frontier::Boundary;
use super::pipeline::{Pipeline, Room};
use super::record::Record;
use super::{Frontier, Ports, Request, Settings, Step, messages};
use crate::Result;
use crate::change::{DocumentKey, Mark, Message, Version};
use crate::document::Document;
use crate::queue::{Outgoing, Queue};
use crate::source::{Body, Checkpoints, Event, Reading, Source, Watch};
use again::Again;

/// An open watch and what is known about it.
pub(super) struct Session<'a, S: Source, C, Q: Queue> {
    ports: &'a Ports<'a, S, C, Q>,
    settings: &'a Settings,
    watch: S::Watch,
    /// Numbers what is handed to the pipeline, and so is ahead of what is confirmed.
    frontier: Frontier,
    pipeline: Pipeline<'a, Q, Then>,
    /// The last place before which everything is confirmed.
    confirmed: Boundary,
    record: Record<'a, C>,
    /// A page is on its way; the next one is read after it.
    paging: bool,
    /// Events went last, so that a page goes next: neither starves under the other.
    page_is_next: bool,
    /// When the next page may be read.
    page_due: Instant,
    /// What is read again because somebody asked.
    again: Option<Again>,
    progressed: bool,
}

/// Windows of changes in hand: one that is confirmed, and two behind it, so that the source works on
/// its next answer meanwhile.
const WINDOWS_HELD: usize = 3;

/// Batches of a window. The next one goes when the first is confirmed whole, so that with two the window is three
/// quarters full on average, and with more of them fuller.
const BATCHES_SENT: usize = 4;

/// Documents as they were read, and the last one's `_id`.
type Page = (Reading<Vec<Document>>, Option<String>);

/// What happened next.
enum Turn {
    Stop,
    Saved,
    Confirmed(Then),
    Asked(Request),
    Again,
    Tick,
    Events(Vec<Event>),
    Page,
}

/// What follows from a batch that was confirmed.
enum Then {
    /// The position may be here, and these types were replaced at these versions.
    Moved {
        boundary: Boundary,
        changes: usize,
        replaced: Vec<(String, Version)>,
    },
    /// A page was sent up to this `_id`.
    Paged {
        step: Step,
        last: String,
    },
    /// The floor behind a type's last page was sent.
    Ended {
        step: Step,
    },
    /// A part of what was asked for was sent: so many changes.
    Again {
        sent: u64,
    },
    Nothing,
}

impl<'a, S: Source, C: Checkpoints, Q: Queue> Session<'a, S, C, Q> {
    /// Opens the watch from the checkpoint; without one, or where history is lost, plans a snapshot
    /// of everything and saves that plan before the first page. `lost` is why the session before found
    /// history lost.
    ///
    /// # Errors
    /// [`crate::Error::HistoryLost`] only after [`super::RESETS_MAX`] resets in a row.
    pub(super) async fn open(
        ports: &'a Ports<'a, S, C, Q>,
        settings: &'a Settings,
        lost: Option<String>,
    ) -> Result<Self> {
        let saved = ports.checkpoints.load().await?;
        let (watch, checkpoint) = match saved {
            None => begin(ports, settings, None).await?,
            Some(saved) => resume(ports, settings, saved, lost).await?,
        };
        let (position, time) = watch.here();
        let frontier = Frontier::new(checkpoint.epoch, position, time);
        let room = Room {
            sent: settings.window,
            held: settings.window.saturating_mul(WINDOWS_HELD),
            bytes: settings.window_bytes,
        };
        Ok(Self {
            ports,
            settings,
            watch,
            confirmed: frontier.boundary().clone(),
            frontier,
            pipeline: Pipeline::new(ports.queue, room, settings.jitter),
            record: Record::new(checkpoint, ports.checkpoints),
            paging: false,
            page_is_next: false,
            page_due: Instant::now(),
            again: None,
            progressed: false,
        })
    }

    /// Whether anything was confirmed since it was opened.
    pub(super) fn has_progressed(&self) -> bool {
        self.progressed
    }

    /// Runs until `shutdown` or an error; what is on its way at a shutdown is still confirmed. `unanswered` is what
    /// the session before was asked for.
    pub(super) async fn run(
        &mut self,
        unanswered: Option<Request>,
        requests: &mut mpsc::Receiver<Request>,
        mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<()> {
        if let Some(request) = unanswered {
            self.begin_again(request).await?;
        }
        let mut ticks = interval(self.settings.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            match self.turn(requests, shutdown.as_mut(), &mut ticks).await? {
                Turn::Stop => break,
                Turn::Saved => {}
                Turn::Confirmed(then) => self.follow(then).await?,
                Turn::Asked(request) => self.begin_again(request).await?,
                Turn::Again => self.read_again().await?,
                Turn::Tick => self.tick().await?,
                Turn::Events(events) => self.carry(events).await?,
                Turn::Page => self.page().await?,
            }
        }
        while !self.pipeline.is_empty() {
            let then = self.pipeline.confirmed().await?;
            self.follow(then).await?;
        }
        self.record.save_at(self.confirmed.position.clone()).await
    }

    /// Waits for what comes first. All of these are cancel safe.
    async fn turn(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
        ticks: &mut Interval,
    ) -> Result<Turn> {
        let room = self.pipeline.has_room();
        let page = room && !self.paging && self.record.checkpoint.snapshot.has_step();
        if page && self.page_is_next && self.page_due <= Instant::now() {
            return Ok(Turn::Page);
        }
        let batch = self.settings.window.div_ceil(BATCHES_SENT);
        Ok(tokio::select! {
            biased;
            () = shutdown => Turn::Stop,
            saved = self.record.saved(), if self.record.is_saving() => saved.map(|()| Turn::Saved)?,
            then = self.pipeline.confirmed() => Turn::Confirmed(then?),
            Some(request) = requests.recv(), if room && self.again.is_none() => Turn::Asked(request),
            () = ready(()), if room && self.is_next_again() => Turn::Again,
            _ = ticks.tick(), if room => Turn::Tick,
            events = self.watch.next(batch), if room => Turn::Events(events?),
            () = sleep_until(self.page_due), if page => Turn::Page,
        })
    }

    /// Numbers events of the log and hands them on.
    async fn carry(&mut self, events: Vec<Event>) -> Result<()> {
        self.remember_kinds(&events).await?;
        let partitions = self.ports.queue.partitions();
        let mut batch = Vec::with_capacity(events.len());
        let mut replaced = Vec::new();
        for event in events {
            if event.body == Body::Idle {
                self.frontier.idle(&event);
                continue;
            }
            let version = self.frontier.number(&event);
            if let Body::Replaced { kind } = &event.body {
                replaced.push((kind.clone(), version));
            }
            batch.extend(messages::of_event(event, version, partitions));
        }
        let then = Then::Moved {
            boundary: self.frontier.boundary().clone(),
            changes: batch.len(),
            replaced,
        };
        self.pipeline.push(self.sent(batch), then);
        self.page_is_next = true;
        Ok(())
    }

    /// A type is in the checkpoint before its first change is sent: should its history be lost and
    /// the type vanish from the source, its floor still finds what the index holds of it.
    async fn remember_kinds(&mut self, events: &[Event]) -> Result<()> {
        let known = self.record.checkpoint.kinds.len();
        for event in events {
            if let Body::Edit {
                key: DocumentKey { kind, .. },
                ..
            }
            | Body::Replaced { kind } = &event.body
                && !self.record.checkpoint.kinds.contains(kind)
            {
                self.record.checkpoint.kinds.insert(kind.clone());
            }
        }
        if self.record.checkpoint.kinds.len() > known {
            self.record.save().await?;
        }
        Ok(())
    }

    /// Hands on the next page of a snapshot, or the floor that follows the last one.
    async fn page(&mut self) -> Result<()> {
        self.page_is_next = false;
        let step = self.record.checkpoint.snapshot.step();
        let (epoch, partitions) = (self.record.checkpoint.epoch, self.ports.queue.partitions());
        let (source, size) = (self.ports.source, self.settings.page_size);
        let (batch, last) = match step.clone() {
            Step::Page { kind, after, .. } => {
                let (reading, last) = read(source, &kind, after, size).await?;
                let batch = match last {
                    Some(_) => messages::of_page(reading, epoch, partitions),
                    None => messages::of_end(&self.record.checkpoint.snapshot, partitions),
                };
                (batch, last)
            }
            Step::Fill { kind, after, .. } => {
                let (reading, last) = read(source, &kind, after, size).await?;
                (messages::of_fill(reading, epoch, partitions), last)
            }
            Step::BeginFill { edition } => {
                (messages::of_mark(edition, Mark::Begin, partitions), None)
            }
            Step::EndFill { edition } => (messages::of_mark(edition, Mark::End, partitions), None),
            Step::Done => return Ok(()),
        };
        let then = match last {
            Some(last) => Then::Paged { step, last },
            None => Then::Ended { step },
        };
        if let Some(rate) = self.settings.snapshot_rate {
            let rows = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            self.page_due = Instant::now() + Duration::from_secs(rows.into()) / rate.get();
        }
        self.paging = true;
        self.pipeline.push(self.sent(batch), then);
        Ok(())
    }

    /// Without what the queue is not to carry; and told, so that a change can be followed by its id.
    fn sent(&self, batch: Vec<Outgoing>) -> Vec<Outgoing> {
        for Outgoing { message, .. } in &batch {
            if let Message::Change(change) = message {
                tracing::debug!(id = %change.message_id, key = %change.key, version = %change.version, "sends a change");
            }
        }
        messages::redacted(batch, &self.settings.types)
    }

    /// Saves the position, then says to every queue how far it has been filled.
    ///
    /// In this order, so that a replay never repeats a version at or below a watermark: tombstones
    /// below it may be gone.
    async fn tick(&mut self) -> Result<()> {
        self.record.save_at(self.confirmed.position.clone()).await?;
        if !self.record.checkpoint.snapshot.is_catching_up() {
            let (epoch, now_ms) = (self.record.checkpoint.epoch, self.ports.clock.now_ms());
            let partitions = self.ports.queue.partitions();
            let batch = messages::watermark(&self.confirmed, epoch, now_ms, partitions);
            self.pipeline.push(batch, Then::Nothing);
        }
        Ok(())
    }

    /// Does what follows from a confirmed batch.
    async fn follow(&mut self, then: Then) -> Result<()> {
        self.progressed |= !matches!(then, Then::Nothing);
        match then {
            Then::Moved {
                boundary,
                changes,
                replaced,
            } => {
                self.confirmed = boundary;
                for (kind, version) in replaced {
                    self.record.checkpoint.snapshot.replaced(kind, version);
                }
                let position = self.confirmed.position.clone();
                let save_after = self.settings.save_after;
                self.record.confirmed(changes, position, save_after);
            }
            Then::Paged { step, last } => {
                self.paging = false;
                self.record.checkpoint.snapshot.published(&step, last);
                self.record.save_at(self.confirmed.position.clone()).await?;
            }
            Then::Ended { step } => {
                self.paging = false;
                self.record.checkpoint.snapshot.ended(&step);
                if !self.record.checkpoint.snapshot.is_catching_up() {
                    self.record.checkpoint.resets = 0;
                }
                self.record.save_at(self.confirmed.position.clone()).await?;
            }
            Then::Again { sent } => self.sent_again(sent),
            Then::Nothing => {}
        }
        Ok(())
    }
}

/// The next page of a type, and its last `_id`.
async fn read<S: Source>(
    source: &S,
    kind: &str,
    after: Option<String>,
    size: usize,
) -> Result<Page> {
    let reading = source.page(kind, after, size).await?;
    let last = reading.found.last().map(|document| document.key.id.clone());
    Ok((reading, last))
}
