//! Changes to points: clean, chunk, plan, embed what is new, store, settle.
//!
//! ```text
//! delivery ─> ledger ─> prepare (clean, chunk) ─> plan ─> store (embed what is missing) ─> settle
//!                  └──> floor (barriers, tombstones)
//! ```

pub mod chunk;
pub mod clean;
pub mod collect;
pub mod embed;
pub mod floor;
pub mod ledger;
pub mod parked;
pub mod plan;
pub mod prepare;
pub mod share;
pub mod spec;
pub mod store;
pub mod types;
pub mod worker;
