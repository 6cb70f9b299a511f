//! The source of production under the contract, on a server that the tests own; and what it alone
//! promises.

mod collections;
mod ids;
mod lease;
mod refused;
mod stream;
mod widened;

use std::collections::BTreeSet;
use std::future::Future;

use lockstep::Result;
use lockstep::change::{DocumentKey, Position};
use lockstep::document::{Document, Fields};
use lockstep::source::mongo::{Lease, MongoSource, MongoWatch};
use lockstep::source::{Checkpoint, Checkpoints, Reading, Source};
use mongodb::bson::doc;

use super::{Subject, suite};
use crate::support::mongo::{Home, MongoServer};

pub(crate) struct Mongo {
    home: Home,
    source: Leased,
}

/// The source, and the lease that keeps its checkpoint.
pub(crate) struct Leased {
    source: MongoSource,
    lease: Lease,
}

impl Leased {
    async fn open(home: &Home) -> Self {
        let source = home.open().await;
        let lease = source.acquire("test").await.unwrap();
        Self { source, lease }
    }
}

impl Source for Leased {
    type Watch = MongoWatch;

    fn save(&self, documents: Vec<Document>) -> impl Future<Output = Result<()>> + Send {
        Source::save(&self.source, documents)
    }

    fn amend(&self, fields: Vec<Document>) -> impl Future<Output = Result<()>> + Send {
        self.source.amend(fields)
    }

    fn delete(&self, keys: Vec<DocumentKey>) -> impl Future<Output = Result<usize>> + Send {
        self.source.delete(keys)
    }

    fn read(
        &self,
        keys: Vec<DocumentKey>,
    ) -> impl Future<Output = Result<Reading<Vec<Option<Fields>>>>> + Send {
        self.source.read(keys)
    }

    fn page(
        &self,
        kind: &str,
        after: Option<String>,
        limit: usize,
    ) -> impl Future<Output = Result<Reading<Vec<Document>>>> + Send {
        self.source.page(kind, after, limit)
    }

    fn kinds(&self) -> impl Future<Output = Result<Vec<String>>> + Send {
        self.source.kinds()
    }

    fn watched(&self) -> Option<BTreeSet<String>> {
        self.source.watched()
    }

    fn watch(&self, from: Option<Position>) -> impl Future<Output = Result<MongoWatch>> + Send {
        self.source.watch(from)
    }
}

impl Checkpoints for Leased {
    fn load(&self) -> impl Future<Output = Result<Option<Checkpoint>>> + Send {
        self.lease.load()
    }

    fn save(&self, checkpoint: Checkpoint) -> impl Future<Output = Result<()>> + Send {
        self.lease.save(checkpoint)
    }
}

impl Subject for Mongo {
    type Source = Leased;

    async fn open() -> Self {
        let home = Home::new();
        let source = Leased::open(&home).await;
        Self { home, source }
    }

    fn source(&self) -> &Leased {
        &self.source
    }

    async fn reopen(self) -> Self {
        self.source.lease.release().await.unwrap();
        let source = Leased::open(&self.home).await;
        Self { source, ..self }
    }

    /// The server trims its log by size only: it is told to answer as it does when it has. One
    /// command for the new watch and one for the open one.
    async fn lose_history(&self) {
        let data = doc! { "failCommands": ["aggregate", "getMore"], "errorCode": 286 };
        let name = &self.home.settings.database;
        MongoServer::shared().fail(name, 2, data).await;
    }
}

suite!(Mongo);
