//! Lockstep keeps a vector index in lockstep with a document store.

pub mod capture;
pub mod change;
pub mod document;
mod error;
pub mod explain;
pub mod feature;
pub mod queue;
pub mod search;
pub mod source;
#[cfg(test)]
mod still;
pub mod vector;
pub mod verify;

pub use error::{Error, Recovery, Result};
