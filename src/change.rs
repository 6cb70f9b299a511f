//! Identity, version and place of a change: the words that every room shares. No IO.
//!
//! ```text
//! Event (source, at a Position) ──numbered──> Change (key, version) ──> Message ──> queue
//! ```

mod key;
mod message;
mod version;

pub use key::{DocumentKey, PointId};
pub use message::{Act, Barrier, Change, Lane, Mark, Message, Operation, Place};
pub use version::{Position, Time, Version};
