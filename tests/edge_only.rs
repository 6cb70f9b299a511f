#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]
mod contract { mod vector; }
