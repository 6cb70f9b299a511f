//! The settings of the services: where they are, and what must never be shown of it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::document::kind;
use crate::source::mongo::{self, Images, Scope};
use crate::vector::qdrant::{self, Quantisation};

/// The settings that are [`Secret`]; each may stand in a file that a variable names.
pub const SECRETS: [&str; 5] = [
    "crawl.github_token",
    "model.api_key",
    "queue.url",
    "source.url",
    "vector.api_key",
];

/// Text that holds a password; it is never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whoever connects with it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is any.
    pub fn is_set(&self) -> bool {
        !self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "(hidden)" } else { "(none)" })
    }
}

/// Where documents live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// `mongodb://user:password@host:port/?replicaSet=name`; empty: in the data folder.
    pub url: Secret,
    /// The database that holds the documents.
    pub database: String,
    /// The collections whose documents are indexed; empty: every one of the database.
    pub collections: Vec<String>,
    /// Which change stream is opened.
    pub scope: Scope,
    /// Where the content of an updated document comes from.
    pub images: Images,
    /// The database that holds positions and requests.
    pub state_database: String,
    /// How long a capture that no longer answers keeps others from taking over, in seconds.
    pub lease_seconds: u64,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            database: "twin".into(),
            // What the feature pipeline knows how to read, and the authors.
            collections: [kind::ARTICLES, kind::POSTS, kind::REPOSITORIES, kind::USERS]
                .map(str::to_owned)
                .into(),
            scope: Scope::Database,
            // Needs nothing to be set up on the collections.
            images: Images::UpdateLookup,
            // Beside the watched database, so that saving a position is no change of it.
            state_database: "lockstep".into(),
            // Outlives an election, and is soon enough for who waits for news.
            lease_seconds: 15,
        }
    }
}

impl Source {
    /// The settings, as the source takes them.
    pub fn settings(&self) -> mongo::Settings {
        mongo::Settings {
            url: self.url.expose().to_owned(),
            database: self.database.clone(),
            kinds: self.collections.clone(),
            scope: self.scope,
            images: self.images,
            state_database: self.state_database.clone(),
            lease: Duration::from_secs(self.lease_seconds),
        }
    }
}

/// What carries changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// `amqp[s]://user:password@host:port/vhost` of `RabbitMQ`; empty: in the data folder.
    pub url: Secret,
    /// What the names of all queues of the broker begin with.
    pub name: String,
    /// Partitions; fixed when the data folder is made. On `RabbitMQ` capture changes them.
    pub partitions: u32,
    /// How often a change is tried before it is parked.
    pub attempts_max: u32,
    /// The largest message that the broker is given, in bytes; a larger change is parked by its key.
    pub message_bytes_max: usize,
    /// A plain durable queue that gets a copy of every change but deletes; empty: none.
    pub seed_consumers: String,
    /// A plain durable queue whose messages are taken in; empty: none.
    pub seed_producers: String,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            // Beside other applications on one broker.
            name: "lockstep".into(),
            // Enough for several workers on one machine, few enough that each fills a batch.
            partitions: 4,
            // A fault that passes is over by then; one that does not should be seen soon.
            attempts_max: 5,
            // What RabbitMQ 4 takes by default, and MongoDB's own limit.
            message_bytes_max: 16 << 20,
            seed_consumers: String::new(),
            seed_producers: String::new(),
        }
    }
}

/// Where the index lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vector {
    /// `http[s]://host:6334`, the gRPC port of a Qdrant server; empty: in the data folder.
    pub url: String,
    /// The key that the server asks for; empty: none.
    pub api_key: Secret,
    /// What the names of all collections begin with; empty: nothing.
    pub name: String,
    /// How long one request may take, in seconds.
    pub timeout_seconds: u64,
    /// Shards of a new collection; 0 leaves it to the server.
    pub shards: u32,
    /// Copies of each shard of a new collection.
    pub replicas: u32,
    /// What a search of a new collection compares first.
    pub quantisation: Quantisation,
    /// Whether a new collection reads vectors, texts and indexes from the disk.
    pub on_disk: bool,
}

impl Default for Vector {
    fn default() -> Self {
        // The reasons stand beside the settings, in the vector room.
        let settings = qdrant::Settings::new("");
        Self {
            url: settings.url,
            api_key: Secret::default(),
            name: settings.name,
            timeout_seconds: settings.timeout.as_secs(),
            shards: settings.shards,
            replicas: settings.replicas,
            quantisation: settings.quantisation,
            on_disk: settings.on_disk,
        }
    }
}

impl Vector {
    /// An address is shown, so that nothing secret may stand in it.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        let url = Url::parse(&self.url).ok()?;
        let is_open =
            !url.username().is_empty() || url.password().is_some() || url.query().is_some();
        let why = || "what lets us in belongs into vector.api_key, not into the address".to_owned();
        is_open.then(|| ("vector.url", why()))
    }

    /// The settings, as the vector room takes them.
    pub fn settings(&self) -> qdrant::Settings {
        let key = Some(&self.api_key).filter(|key| key.is_set());
        qdrant::Settings {
            url: self.url.clone(),
            api_key: key.map(|key| key.expose().to_owned()),
            name: self.name.clone(),
            timeout: Duration::from_secs(self.timeout_seconds),
            shards: self.shards,
            replicas: self.replicas,
            quantisation: self.quantisation,
            on_disk: self.on_disk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret("mongodb://ada:hunter2@db".into());
        assert_eq!(format!("{secret:?}"), "(hidden)");
        assert!(
            !format!(
                "{:?}",
                Source {
                    url: secret,
                    ..Source::default()
                }
            )
            .contains("hunter2")
        );
    }
}
