//! Changes to points: clean, chunk, plan, embed what is new, store, settle.

pub mod chunk;
pub mod clean;
pub mod embed;
pub mod prepare;
pub mod spec;
