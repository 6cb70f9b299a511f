//! Everything that is tested from outside, in one binary.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod contract {
    mod embedder;
    mod queue;
    mod source;
    mod vector;
}
mod pipeline;
mod simulation;
mod support {
    pub(crate) mod app;
    pub(crate) mod model;
}
