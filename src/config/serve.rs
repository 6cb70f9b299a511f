//! The settings of what is answered over HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wide;

/// The running process's address, and what it lets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serve {
    /// Where requests are answered; port 0 for any free one. Beyond loopback only where there is a token.
    pub listen: SocketAddr,
    /// How long a stop waits for what is in hand, in seconds.
    pub grace_seconds: u64,
    /// The file of the tokens' digests; a relative one lies in the data folder.
    pub tokens: PathBuf,
    /// Whether the first system's crawl path may be asked without a token.
    pub seed_clients: bool,
    /// Largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// Requests that are answered at once.
    pub requests_max: usize,
    /// Longest time for one answer, in seconds; exports and the first system's crawl path aside.
    pub timeout_seconds: u64,
    /// Crawls that were asked for over HTTP and run at once.
    pub crawls_at_once: usize,
    /// Crawls that may wait for their turn.
    pub crawls_waiting_max: usize,
    /// Crawls whose end is remembered.
    pub crawls_kept: usize,
}

impl Default for Serve {
    fn default() -> Self {
        Self {
            // A fixed port, so that an address written down stays right.
            listen: SocketAddr::from(([127, 0, 0, 1], 7411)),
            // Longer than any batch takes, shorter than the 90 s after which systemd kills.
            grace_seconds: 20,
            // Beside the data: one folder to move or remove.
            tokens: PathBuf::from("tokens.json"),
            // Whoever may ask there makes us fetch pages and store them.
            seed_clients: false,
            // A question or a link is shorter by far.
            body_bytes_max: 1 << 20,
            // Many times what the embedder can answer at once; more would only wait.
            requests_max: 64,
            // A search takes milliseconds; longer, and something is wrong.
            timeout_seconds: 30,
            // Hides the slowness of one host from the others.
            crawls_at_once: 2,
            // An hour's work; whoever has more lists them in a file.
            crawls_waiting_max: 100,
            // Whoever asked for one has looked by then.
            crawls_kept: 1_000,
        }
    }
}

impl Serve {
    /// How long a stop waits for what is in hand.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }

    /// The file of the tokens' digests, with this data folder.
    pub fn tokens_in(&self, data: &Path) -> PathBuf {
        data.join(&self.tokens)
    }

    pub(super) fn bounds(&self) -> Vec<(&'static str, u64, u64, u64)> {
        vec![
            ("serve.grace_seconds", self.grace_seconds, 1, 3_600),
            (
                "serve.body_bytes_max",
                wide(self.body_bytes_max),
                1_024,
                64 << 20,
            ),
            ("serve.requests_max", wide(self.requests_max), 1, 10_000),
            ("serve.timeout_seconds", self.timeout_seconds, 1, 3_600),
            ("serve.crawls_at_once", wide(self.crawls_at_once), 1, 64),
            (
                "serve.crawls_waiting_max",
                wide(self.crawls_waiting_max),
                0,
                100_000,
            ),
            ("serve.crawls_kept", wide(self.crawls_kept), 1, 100_000),
        ]
    }
}
