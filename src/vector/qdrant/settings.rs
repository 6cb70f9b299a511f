//! Where the server is and how its collections are made.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a server is reached, and what is asked of it when collections are made.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `http://host:6334` or `https://host:6334`: the port of gRPC.
    pub url: String,
    /// The key that the server asks for; none for a server without.
    pub api_key: Option<String>,
    /// What the names of all collections begin with; empty for nothing.
    pub name: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// Shards of a collection; 0 leaves it to the server.
    pub shards: u32,
    /// Copies of each shard; from 2 on, a read asks a majority of them.
    pub replicas: u32,
    /// What a search compares first.
    pub quantisation: Quantisation,
    /// Whether vectors, texts and indexes are read from the disk instead of being kept in memory.
    pub on_disk: bool,
}

/// What a search compares first; the vectors themselves are kept whole beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantisation {
    /// The vectors themselves.
    #[default]
    None,
    /// 8 bits a value.
    Scalar,
    /// 1 bit a value; meant for vectors of 1,024 values and more.
    Binary,
}

impl Settings {
    /// A server with the defaults of everything else.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            api_key: None,
            name: String::new(),
            // A full batch on a slow disk.
            timeout: Duration::from_secs(30),
            shards: 0,
            replicas: 1,
            quantisation: Quantisation::None,
            on_disk: false,
        }
    }

    /// How many copies have a write before it is answered.
    pub(super) fn majority(&self) -> u32 {
        self.replicas / 2 + 1
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.api_key.is_some() {
            "(hidden)"
        } else {
            "(none)"
        };
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("api_key", &key)
            .field("name", &self.name)
            .field("timeout", &self.timeout)
            .field("shards", &self.shards)
            .field("replicas", &self.replicas)
            .field("quantisation", &self.quantisation)
            .field("on_disk", &self.on_disk)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_not_shown() {
        let settings = Settings {
            api_key: Some("hunter2".into()),
            ..Settings::new("https://db:6334")
        };
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("(hidden)"), "{shown}");
    }

    #[test]
    fn a_write_is_on_more_than_half_of_the_copies() {
        let majority = |replicas| {
            let settings = Settings {
                replicas,
                ..Settings::new("http://db:6334")
            };
            settings.majority()
        };
        assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
    }
}
