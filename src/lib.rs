//! Lockstep keeps a vector index in lockstep with a document store: what is written, edited or
//! deleted in the source is found, found changed, or gone in the index a moment later, after any
//! crash, and [`verify`] proves it.
//!
//! ```text
//! crawl ──> source ──> capture ──> queue ──> feature ──> vector ──> search
//! ```
//!
//! [`source`], [`queue`] and [`vector`] are ports whose docs are their contracts; [`capture`] and
//! [`feature`] are the loops between them; [`run`] alone puts backends into them. [`simulate`] runs
//! the same loops over models that misbehave.
//!
//! It is not a database, and not a framework for pipelines: one flow, in one order.

pub mod author;
pub mod backup;
pub mod capture;
mod certificate;
pub mod change;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod crawl;
pub mod database;
pub mod doctor;
pub mod document;
mod error;
pub mod explain;
pub mod export;
pub mod feature;
pub mod folder;
pub mod logbook;
pub mod metrics;
pub mod migrate;
pub mod moment;
pub mod queue;
pub mod reindex;
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
pub mod token;
pub mod vector;
pub mod verify;

pub use error::{Error, Recovery, Result};
pub use serve::Client;
