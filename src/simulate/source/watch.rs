//! Reading the model's log.

use std::time::Duration;

use tokio::time::Instant;

use super::{SourceModel, place};
use crate::change::{Position, Time};
use crate::simulate::Plant;
use crate::source::{Body, Event, Watch};
use crate::{Error, Result};

/// While nothing happens the watch says so this often.
const IDLE: Duration = Duration::from_secs(1);

/// A reading of the model's log.
#[derive(Debug)]
pub struct WatchModel {
    source: SourceModel,
    at: usize,
    /// When to say that nothing happened; kept over calls, since each may be cut off.
    idle_at: Instant,
}

impl WatchModel {
    pub(super) fn new(source: SourceModel, at: usize) -> Self {
        Self {
            source,
            at,
            idle_at: Instant::now() + IDLE,
        }
    }

    fn take(&mut self, limit: usize) -> Result<Vec<Event>> {
        let chaos = &self.source.chaos;
        let mut state = self.source.state();
        if self.at < state.trimmed {
            return Err(Error::HistoryLost {
                why: format!("event {} is gone", self.at),
            });
        }
        let count = if chaos.fault(50) {
            1 + chaos.below(limit)
        } else {
            limit
        };
        let lies = chaos.has(Plant::PositionInsideTransaction);
        let events: Vec<_> = (self.at..)
            .map_while(|at| state.event(at, lies))
            .take(count)
            .collect();
        self.at += events.len();
        if chaos.has(Plant::PositionBeforeConfirm)
            && let (Some(checkpoint), Some(last)) = (&mut state.checkpoint, events.last())
        {
            checkpoint.position = last.position.clone();
        }
        Ok(events)
    }
}

impl Watch for WatchModel {
    fn here(&self) -> (Position, Time) {
        (place(self.at), self.source.state().time_at(self.at))
    }

    async fn next(&mut self, limit: usize) -> Result<Vec<Event>> {
        let source = self.source.clone();
        source.chaos.step("source", "read its change log").await?;
        loop {
            let changed = source.shared.changed.notified();
            let events = self.take(limit)?;
            if !events.is_empty() {
                self.idle_at = Instant::now() + IDLE;
                return Ok(events);
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep_until(self.idle_at) => {
                    self.idle_at = Instant::now() + IDLE;
                    let (position, time) = self.here();
                    let committed_ms = source.clock.now_ms();
                    let idle = Event { position, time, complete: true, committed_ms, body: Body::Idle };
                    return Ok(vec![idle]);
                }
            }
        }
    }
}
