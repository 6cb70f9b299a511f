//! The tests of the whole crate, one binary.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod simulation;
