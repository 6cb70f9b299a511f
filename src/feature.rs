//! Changes to points: clean, chunk, plan, embed what is new, store, settle.

pub mod embed;
pub mod prepare;
