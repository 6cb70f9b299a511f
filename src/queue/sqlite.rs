//! Partitions, lanes and parked messages in `SQLite`.
