//! Temporary.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]
#![expect(dead_code, reason = "temporary")]
mod bad_input;
mod contract {
    mod vector;
}
mod support {
    pub(crate) mod app;
    pub(crate) mod binary;
    pub(crate) mod copy;
    pub(crate) mod export;
    pub(crate) mod model;
}
