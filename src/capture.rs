//! Source to queue: every change confirmed, then the position saved.
//!
//! ```text
//! watch ──events──> number ──> publish, retried in order ──confirmed──> boundary ──> checkpoint
//! pages, resyncs ──rows at their read time──────┘
//! ```
//!
//! Any error reopens the watch from the last checkpoint, exactly as a crash would: a replay repeats
//! versions, and a repeated version is harmless.

mod begin;
mod frontier;
mod generation;
mod messages;
mod pipeline;
mod publish;
mod record;
mod session;
mod snapshot;

use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::maybe_done;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

pub use begin::afresh;
pub use frontier::{Boundary, Frontier};
pub use snapshot::{SnapshotPlan, Step};

use crate::change::DocumentKey;
use crate::clock::Clock;
use crate::feature::types::Types;
use crate::queue::Generations;
use crate::retry::Backoff;
use crate::source::{Checkpoints, Source};
use crate::{Error, Recovery, Result};
use session::Session;

/// How capture behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Changes that may be published and not yet confirmed; a quarter of them are read and published together.
    pub window: usize,
    /// Bytes of changes in hand, confirmed or not, at which reading waits.
    pub window_bytes: usize,
    /// Documents a page of a snapshot.
    pub page_size: usize,
    /// Between two watermarks, and between two saves of an idle position.
    pub tick: Duration,
    /// Changes after which the position is saved before the next tick.
    pub save_after: usize,
    /// The epoch of a source that was never read.
    pub epoch: u32,
    /// Types that a snapshot of everything asks for besides those that the source shows: one that
    /// vanished while nobody watched is still found.
    pub kinds: Vec<String>,
    /// Documents a second that a snapshot reads at most; none for no limit.
    pub snapshot_rate: Option<NonZero<u32>>,
    /// What is done when history is lost.
    pub lost_history: LostHistory,
    /// Seeds the length of pauses before another try; none for pauses that are always the same.
    pub jitter: Option<u64>,
    /// Says which fields the queue does not get.
    pub types: Arc<Types>,
}

/// What is done when the source no longer has the changes after the saved position.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostHistory {
    /// Everything is read again, and what was deleted in the gap is found.
    #[default]
    Resnapshot,
    /// Capture stops and says so.
    Stop,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 500,
            // A window of ordinary documents takes a quarter of it; large ones are bounded by it.
            window_bytes: 8 << 20,
            page_size: 200,
            tick: Duration::from_secs(1),
            save_after: 1000,
            epoch: 1,
            kinds: Vec::new(),
            snapshot_rate: None,
            lost_history: LostHistory::default(),
            jitter: None,
            types: Arc::default(),
        }
    }
}

/// Resets for lost history in a row after which capture stops and says why.
pub const RESETS_MAX: u32 = 3;

/// What capture needs; handed in, so that every part can be another.
#[derive(Debug)]
pub struct Ports<'a, S, C, Q> {
    /// Where documents live.
    pub source: &'a S,
    /// Where the checkpoint is kept.
    pub checkpoints: &'a C,
    /// Where changes go.
    pub queue: &'a Q,
    /// Wall clock, for people only.
    pub clock: &'a Clock,
}

/// Asks capture to read documents again and send them at today's version.
#[derive(Debug)]
pub struct Request {
    /// Which.
    pub what: Resync,
    /// Answered when the changes are confirmed (or, for a type, its snapshot is planned), with how
    /// many there were; or with why the source does not give them. Dropped where capture ended first; a session that
    /// failed hands it on to the next.
    pub done: oneshot::Sender<Result<u64>>,
}

/// What to read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resync {
    /// These documents; one that is gone is sent as a delete.
    Keys(Vec<DocumentKey>),
    /// Every document of the type; what is gone is found by a floor.
    Kind(String),
    /// Every document, for the edition of the index that has this number and for no other, between
    /// two marks. A repeat changes nothing; none gives up whatever is being filled.
    Fill(Option<u32>),
}

/// Carries changes until `shutdown` is ready; then saves the position once more.
///
/// # Errors
/// Only those that trying again cannot mend, and lost history after [`RESETS_MAX`] resets in a row.
pub async fn run<S: Source, C: Checkpoints, Q: Generations>(
    ports: Ports<'_, S, C, Q>,
    settings: &Settings,
    mut requests: mpsc::Receiver<Request>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    // Once it was ready it stays so, for whoever asks after a session that failed while it ended.
    let shutdown = maybe_done(shutdown);
    tokio::pin!(shutdown);
    let mut backoff = Backoff::jittered(settings.jitter);
    // What the last session found of lost history, which a watch may tell only after it was opened.
    let mut lost = None;
    let mut unanswered = None;
    loop {
        // It may wait for workers, and a fenced-off predecessor may have begun another generation.
        let settled = tokio::select! {
            biased;
            () = shutdown.as_mut() => return Ok(()),
            settled = generation::settle(ports.queue, settings.jitter) => settled,
        };
        let opened = match settled {
            Ok(()) => Session::open(&ports, settings, lost.take()).await,
            Err(error) => Err(error),
        };
        let error = match opened {
            Ok(mut session) => {
                let asked = unanswered.take();
                let ran = session.run(asked, &mut requests, shutdown.as_mut());
                let Err(error) = ran.await else {
                    return Ok(());
                };
                if session.has_progressed() {
                    backoff.reset();
                }
                unanswered = session.unanswered();
                error
            }
            Err(error @ Error::HistoryLost { .. }) => return Err(error),
            Err(error) => error,
        };
        let pause = match (&error, error.recovery()) {
            // The next session plans the snapshot.
            (Error::HistoryLost { why }, _) => {
                lost = Some(why.clone());
                Duration::ZERO
            }
            (_, Recovery::Retry(pause)) => backoff.next(pause),
            (_, Recovery::Park | Recovery::Stop) => return Err(error),
        };
        tracing::warn!(error = %error.chain(), pause_ms = pause.as_millis(), "capture opens again");
        tokio::select! {
            biased;
            () = shutdown.as_mut() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}
