//! How the services stand, for `status`.

use serde::{Deserialize, Serialize};

/// How capture stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stance {
    /// The process that captures, if any does.
    pub owner: Option<String>,
    /// Whether it stands still.
    pub paused: bool,
    /// The epoch that versions carry; none before the first position.
    pub epoch: Option<u32>,
    /// The saved position on the source's clock: RFC 3339, to the second.
    pub position: Option<String>,
    /// How far the source's log reaches back before that position, in seconds.
    pub oplog_window_seconds: Option<u64>,
    /// Types whose snapshots are under way or to come.
    pub snapshot: Vec<String>,
    /// Resets for lost history since the last snapshot that came to its end.
    pub resets: u32,
}

/// The services that are set; counts of a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// The capture of MongoDB; none where it did not answer.
    pub capture: Option<Stance>,
    /// How far its saved position is behind this machine's clock, in seconds; one or two while idle.
    pub capture_lag_seconds: Option<u64>,
    /// The queues of `RabbitMQ`; none where it did not answer.
    pub queue: Option<Queues>,
    /// What was said by whoever did not answer as it should, the index included; without its answer the
    /// status names no model, and its figures say nothing.
    pub faults: Vec<String>,
}

/// What stands in the queues of `RabbitMQ`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queues {
    /// The partition count of now.
    pub partitions: u32,
    /// Messages that no worker has taken, of edits and deletes; barriers count too.
    pub live: u64,
    /// The same of snapshots.
    pub backfill: u64,
    /// Messages set aside.
    pub parked: u64,
}
