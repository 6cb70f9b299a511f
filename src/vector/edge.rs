//! Qdrant's own engine in process, with manifests in `SQLite`.
//!
//! ```text
//! write ──decide──> effects ──> engine, in memory      [M]   seen by readings
//!            │                                          │
//!            └─────> log of effects, manifests, rows   [C]   one transaction: answered
//!                                                       │
//!            later:  engine, on its disk               [F]   flushed for many writes
//!                    log emptied                       [E]
//! ```
//!
//! The engine forgets at `kill -9` what was not flushed, and its flush is dear. So an answered
//! write rests on the log, which is replayed at the next opening, before anything is read. What
//! holds when the process ends between two steps:
//!
//! | crash after | log | engine's memory | engine's disk | manifest | after opening |
//! |---|---|---|---|---|---|
//! | - | | | | | as before the write |
//! | M | without | gone | older, or part of it | without | as before, or orphans that no manifest names; not answered, so done again |
//! | C | with | gone | older, or part of it | with | replayed: with |
//! | F | with | gone | with | with | replayed over itself: with |
//! | E | empty | gone | with | with | with |
//!
//! While the engine rebuilds (`upkeep`), F and E wait: a piece that was built may lack what the log
//! has, and the replay brings it.
//!
//! An effect is absolute (`points`), so the log ends in the same state over whatever part of it
//! the engine's disk has. A manifest stands in the transaction of the points it rests on, or in a
//! later one, and a sweep never in one before its manifest's: a run of writes that share a
//! transaction is points, then rows. Should the transaction fail, its effects are in the engine's
//! memory alone; they are put into the log before any later write is weighed against them.

mod editions;
mod engine;
mod log;
mod older;
mod payload;
mod points;
mod rows;
mod shard;
mod tables;
mod unreadable;
mod upkeep;
mod writer;

use std::collections::HashMap;
use std::path::Path;

use qdrant_edge::{
    NamedQuery, PointId as EngineId, QueryEnum, QueryRequest, Record, ScoringQuery, ScrollRequest,
    VectorInternal, WithPayloadInterface, WithVector,
};
use rusqlite::{Connection, Transaction};

use self::engine::Engine;
use self::tables::Tables;
use self::unreadable::other_dimension;
use super::nearest::order;
use super::{By, Control, Counts, Manifest, Near, Nearest, Point, Select, VectorStore, Write};
use crate::change::{DocumentKey, PointId};
use crate::database::{Database, Durability};
use crate::feature::embed::Model;
use crate::{Error, Result};

pub use self::editions::EdgeEditions;
pub use self::rows::SCHEMA;
pub use self::unreadable::Unreadable;
pub use self::upkeep::Upkeep;

/// The embedded vector store: one edition of the index.
#[derive(Debug)]
pub struct EdgeStore {
    engine: Engine,
    database: Database,
    edition: u32,
    dimension: usize,
}

impl EdgeStore {
    /// Opens the folder of the first edition, or makes it; the database must have run [`SCHEMA`].
    ///
    /// # Errors
    /// [`Error::Model`] if its vectors have another dimension, [`Error::Data`] if it is damaged or
    /// gone while its manifests are there.
    pub async fn open(folder: &Path, database: Database, model: &Model) -> Result<Self> {
        Self::open_with(folder, database, model, Upkeep::default()).await
    }

    /// The same, tidying up at other times.
    ///
    /// # Errors
    /// As [`EdgeStore::open`].
    pub async fn open_with(
        folder: &Path,
        database: Database,
        model: &Model,
        upkeep: Upkeep,
    ) -> Result<Self> {
        Self::open_edition(folder, (database, 1), model, upkeep).await
    }

    /// The same for any edition; makes its tables.
    async fn open_edition(
        folder: &Path,
        (database, edition): (Database, u32),
        model: &Model,
        upkeep: Upkeep,
    ) -> Result<Self> {
        if edition > 1 {
            let make = move |transaction: &Transaction<'_>| {
                Ok(Tables::new(transaction, edition).make(SCHEMA)?)
            };
            database.write(Durability::Ordered, make).await?;
        }
        older::finish(folder)?;
        let stored = stored_model(&database, edition).await?;
        if let Some(stored) = &stored {
            check_model(folder, stored, model)?;
            if !shard::exists(folder) {
                return Err(Error::Data {
                    path: folder.to_owned(),
                    why: "the vectors are gone, but their manifests are there; restore the data \
                          folder as a whole, or start with another one (--data) and crawl again"
                        .to_owned(),
                });
            }
        }
        let engine = Engine::open(folder, (&database, edition), model.dimension, upkeep).await?;
        // After the folder is made: a crash in between makes it again.
        if stored.is_none() {
            let model = model.clone();
            database
                .write(Durability::Ordered, move |transaction| {
                    rows::put_model(Tables::new(transaction, edition), &model)
                })
                .await?;
        }
        Ok(Self {
            engine,
            database,
            edition,
            dimension: model.dimension,
        })
    }

    /// Reads this edition's rows.
    async fn read_rows<T: Send + 'static>(
        &self,
        work: impl FnOnce(Tables<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let edition = self.edition;
        let read = move |connection: &Connection| work(Tables::new(connection, edition));
        self.database.read(read).await
    }

    fn check_vectors(&self, writes: &[Write]) -> Result<()> {
        let points = writes.iter().flat_map(|write| match write {
            Write::Upsert(points) => points.as_slice(),
            _ => &[],
        });
        for point in points {
            check_dimension(&point.vector, self.dimension, || {
                format!("the vector of point {} of {}", point.id, point.key)
            })?;
        }
        Ok(())
    }
}

/// The model that the vectors of an edition were made with; none before its first start.
async fn stored_model(database: &Database, edition: u32) -> Result<Option<Model>> {
    let read = move |connection: &Connection| rows::model(Tables::new(connection, edition));
    database.read(read).await
}

/// Vectors of two dimensions cannot be compared; of two models of one dimension they can, and what
/// that is worth is said where it is searched.
fn check_model(folder: &Path, stored: &Model, model: &Model) -> Result<()> {
    if stored.dimension == model.dimension {
        return Ok(());
    }
    Err(other_dimension(folder, stored, model))
}

fn check_dimension(vector: &[f32], dimension: usize, thing: impl Fn() -> String) -> Result<()> {
    if vector.len() == dimension {
        return Ok(());
    }
    let why = format!("it has {} values instead of {dimension}", vector.len());
    Err(Error::malformed(thing(), why))
}

fn read_point(record: Record) -> Result<Point> {
    payload::point(record.id, record.payload, record.vector)
}

impl VectorStore for EdgeStore {
    async fn manifests(&self, select: Select<DocumentKey>) -> Result<Vec<Manifest>> {
        self.read_rows(move |rows| rows::manifests(rows, &select))
            .await
    }

    async fn points(&self, select: Select<PointId>) -> Result<Vec<Point>> {
        let payload = WithPayloadInterface::Bool(true);
        let vector = points::meaning();
        let records = match select {
            Select::Of(ids) => {
                let ids: Vec<_> = ids.into_iter().map(|id| EngineId::Uuid(id.0)).collect();
                self.engine
                    .read(move |shard| shard.retrieve(&ids, Some(payload), Some(vector)))
                    .await?
            }
            Select::After { after, limit } => {
                let after = after.map(|id| EngineId::Uuid(id.0));
                let scroll = ScrollRequest {
                    offset: after,
                    // The engine's offset is the first of the page, not the one before it.
                    limit: Some(limit.saturating_add(1)),
                    filter: None,
                    with_payload: Some(payload),
                    with_vector: vector,
                    order_by: None,
                };
                let (mut records, _) = self.engine.read(move |shard| shard.scroll(scroll)).await?;
                records.retain(|record| Some(record.id) != after);
                records.truncate(limit);
                records
            }
        };
        records.into_iter().map(read_point).collect()
    }

    async fn control(&self) -> Result<Control> {
        self.read_rows(rows::control).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        self.check_vectors(&writes)?;
        self.engine.write(writes).await
    }

    async fn nearest(&self, question: Nearest) -> Result<Vec<Near>> {
        let (vector, name) = match question.by {
            By::Meaning(vector) => {
                check_dimension(&vector, self.dimension, || {
                    "the question's vector".to_owned()
                })?;
                (Some(VectorInternal::Dense(vector)), payload::DENSE)
            }
            By::Words(words) => (payload::sparse(words), payload::SPARSE),
        };
        let Some(vector) = vector.filter(|_| question.limit > 0) else {
            return Ok(Vec::new());
        };
        let query = QueryEnum::Nearest(NamedQuery::new(vector, name));
        let request = QueryRequest {
            prefetches: Vec::new(),
            query: Some(ScoringQuery::Vector(query)),
            filter: payload::narrowed(&question.only),
            score_threshold: None,
            limit: question.limit,
            offset: 0,
            params: None,
            with_vector: WithVector::Bool(false),
            with_payload: WithPayloadInterface::Bool(false),
        };
        let found = self.engine.read(move |shard| {
            let found = shard.query(request)?;
            let ids: Vec<_> = found.iter().map(|one| one.id).collect();
            // Read by us: the engine would copy each payload once more.
            let records = shard.retrieve(&ids, Some(WithPayloadInterface::Bool(true)), None)?;
            let scores: HashMap<_, _> = found.iter().map(|one| (one.id, one.score)).collect();
            Ok((records, scores))
        });
        let (records, scores) = found.await?;
        let mut near = records
            .into_iter()
            .filter_map(|record| {
                let score = *scores.get(&record.id)?;
                Some(read_point(record).map(|point| Near { point, score }))
            })
            .collect::<Result<Vec<_>>>()?;
        order(&mut near);
        Ok(near)
    }

    async fn counts(&self) -> Result<Counts> {
        let counts = self.read_rows(rows::counts).await?;
        let points = self
            .engine
            .read(|shard| Ok(shard.info().points_count))
            .await?;
        Ok(Counts {
            points: points as u64,
            ..counts
        })
    }
}
