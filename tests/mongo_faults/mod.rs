//! What the source promises when MongoDB does what a healthy server will not do on command.
//!
//! ```text
//! script ──> Scripted ──> MongoSource ──> Reader: opens anew after an error, as capture does
//! ```

mod history;
mod refuse;
mod resume;
mod shape;
mod strange;

use std::collections::VecDeque;

use bson::Timestamp;
use lockstep::change::{Operation, Position, Time};
use lockstep::clock::Clock;
use lockstep::source::mongo::{MongoSource, MongoWatch, Settings};
use lockstep::source::{Body, Event, Source as _, Watch as _};
use lockstep::{Error, Result};

use crate::support::wire::{DATABASE, Scripted, Setup};

/// Errors after which a reader gives up.
const REOPENED_MAX: usize = 10;

/// A server that is healthy until it is told otherwise, and a source on it.
async fn open(setup: Setup) -> (Scripted, MongoSource) {
    let server = Scripted::with(setup, []).await;
    // A silent server is noticed in a second.
    let url = format!(
        "{}&connectTimeoutMS=500&heartbeatFrequencyMS=500",
        server.url()
    );
    let source = connect(&url).await.unwrap();
    (server, source)
}

async fn connect(url: &str) -> Result<MongoSource> {
    MongoSource::open(Settings::new(url, DATABASE), Clock::manual(0)).await
}

/// Reads on over errors that may pass.
struct Reader {
    source: MongoSource,
    watch: MongoWatch,
    /// The last position handed out.
    position: Position,
    /// Handed out by the watch and not yet by us.
    ahead: VecDeque<Event>,
}

impl Reader {
    /// From the end of the log.
    async fn new(source: MongoSource) -> Self {
        Self::after(source, None).await
    }

    async fn after(source: MongoSource, position: Option<Position>) -> Self {
        let watch = source.watch(position).await.unwrap();
        let (position, _) = watch.here();
        Self {
            source,
            watch,
            position,
            ahead: VecDeque::new(),
        }
    }

    /// The next event that is not idle.
    async fn event(&mut self) -> Result<Event> {
        let mut reopened = 0;
        loop {
            if let Some(event) = self.ahead.pop_front() {
                self.position = event.position.clone();
                if event.body == Body::Idle {
                    continue;
                }
                return Ok(event);
            }
            match self.watch.next(100).await {
                Ok(events) => self.ahead.extend(events),
                Err(error) if is_passing(&error) && reopened < REOPENED_MAX => {
                    reopened += 1;
                    match self.source.watch(Some(self.position.clone())).await {
                        Ok(watch) => self.watch = watch,
                        Err(error) if is_passing(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn events(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.event().await.unwrap());
        }
        events
    }

    /// The next events in words.
    async fn said(&mut self, count: usize) -> Vec<String> {
        self.events(count).await.iter().map(said).collect()
    }
}

fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. })
}

/// An event in words: what happened to which `_id`, and to what text.
fn said(event: &Event) -> String {
    match &event.body {
        Body::Edit {
            key,
            operation,
            fields,
        } => {
            let text = fields
                .as_ref()
                .map(|fields| fields["text"].as_str().unwrap());
            format!(
                "{} {} {}",
                word(*operation),
                key.entry_id(),
                text.unwrap_or("-")
            )
        }
        other => format!("{other:?}"),
    }
}

fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::Insert => "insert",
        Operation::Update => "update",
        Operation::Replace => "replace",
        Operation::Delete => "delete",
        Operation::Snapshot => "snapshot",
        Operation::Fill => "fill",
    }
}

/// A cluster time in our words.
fn at(time: Timestamp) -> Time {
    Time {
        seconds: time.time,
        increment: time.increment,
    }
}
