//! Lockstep keeps a vector index in lockstep with a document store.

pub mod capture;
pub mod change;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod crawl;
pub mod database;
pub mod document;
mod error;
pub mod explain;
pub mod feature;
pub mod folder;
pub mod queue;
pub mod retry;
pub mod run;
pub mod search;
pub mod serve;
pub mod shutdown;
pub mod simulate;
pub mod source;
#[cfg(test)]
mod still;
pub mod telemetry;
pub mod vector;
pub mod verify;

pub use error::{Error, Recovery, Result};
