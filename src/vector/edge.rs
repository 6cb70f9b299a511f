//! Qdrant's own engine in process, with manifests in `SQLite`.
//!
//! ```text
//! write ──> runs of equal kind, in order ──┬─ points ──> engine, flushed ──────────┐
//!                                          └─ rows ────> SQLite, one transaction ──┴─> next run
//! ```
//!
//! A run is durable before the next begins, so a manifest never comes before its points, and a
//! sweep never before its manifest. "Durable" is against the end of the process at any moment;
//! points are also synced to the disk, rows as far as [`Durability::Ordered`] goes.

mod engine;
mod payload;
mod points;
mod rows;
mod shard;

use std::path::Path;

use qdrant_edge::{
    NamedQuery, PointId as EngineId, QueryEnum, QueryRequest, Record, ScoringQuery, ScrollRequest,
    VectorInternal, WithPayloadInterface, WithVector,
};

use self::engine::Engine;
use super::{Control, Counts, Manifest, Near, Nearest, Point, Select, VectorStore, Write};
use crate::change::{DocumentKey, PointId};
use crate::database::{Database, Durability};
use crate::feature::embed::Model;
use crate::{Error, Result};

pub use self::rows::SCHEMA;

/// The embedded vector store.
#[derive(Debug)]
pub struct EdgeStore {
    engine: Engine,
    database: Database,
    dimension: usize,
}

impl EdgeStore {
    /// Opens the folder of the vectors, or makes it; the database must have run [`SCHEMA`].
    ///
    /// # Errors
    /// [`Error::Model`] if its vectors were made with another model, [`Error::Data`] if it is
    /// damaged or gone while its manifests are there.
    pub async fn open(folder: &Path, database: Database, model: &Model) -> Result<Self> {
        Self::open_with(folder, database, model, shard::Upkeep::default()).await
    }

    async fn open_with(
        folder: &Path,
        database: Database,
        model: &Model,
        upkeep: shard::Upkeep,
    ) -> Result<Self> {
        let stored = database.read(rows::model).await?;
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
        let engine = Engine::open(folder, model.dimension, upkeep)?;
        // After the folder is made: a crash in between makes it again.
        if stored.is_none() {
            let model = model.clone();
            database
                .write(Durability::Ordered, move |transaction| {
                    rows::put_model(transaction, &model)
                })
                .await?;
        }
        Ok(Self {
            engine,
            database,
            dimension: model.dimension,
        })
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

fn check_model(folder: &Path, stored: &Model, model: &Model) -> Result<()> {
    if stored.digest == model.digest && stored.dimension == model.dimension {
        return Ok(());
    }
    Err(Error::Model {
        path: folder.to_owned(),
        why: format!(
            "the vectors here were made with {}, and the model given is {}; give that model again, \
             or start with another data folder (--data) and crawl again",
            describe(stored),
            describe(model)
        ),
    })
}

fn describe(model: &Model) -> String {
    let Model {
        name,
        digest,
        dimension,
        ..
    } = model;
    let digest: String = digest.chars().take(12).collect();
    format!("{name} ({dimension} dimensions, digest {digest})")
}

fn check_dimension(vector: &[f32], dimension: usize, thing: impl Fn() -> String) -> Result<()> {
    if vector.len() == dimension {
        return Ok(());
    }
    let why = format!("it has {} values instead of {dimension}", vector.len());
    Err(Error::malformed(thing(), why))
}

/// Splits the writes, in order, into runs that are all of points or all of rows.
fn runs(writes: Vec<Write>) -> Vec<(bool, Vec<Write>)> {
    let mut runs: Vec<(bool, Vec<Write>)> = Vec::new();
    for write in writes {
        let of_points = matches!(
            write,
            Write::Raise { .. } | Write::Upsert(_) | Write::Sweep { .. }
        );
        match runs.last_mut() {
            Some((kind, run)) if *kind == of_points => run.push(write),
            _ => runs.push((of_points, vec![write])),
        }
    }
    runs
}

fn read_point(record: Record) -> Result<Point> {
    payload::point(record.id, record.payload, record.vector)
}

impl VectorStore for EdgeStore {
    async fn manifests(&self, select: Select<DocumentKey>) -> Result<Vec<Manifest>> {
        self.database
            .read(move |connection| rows::manifests(connection, &select))
            .await
    }

    async fn points(&self, select: Select<PointId>) -> Result<Vec<Point>> {
        let payload = WithPayloadInterface::Bool(true);
        let vector = WithVector::Bool(true);
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
        self.database.read(rows::control).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        self.check_vectors(&writes)?;
        for (of_points, run) in runs(writes) {
            if of_points {
                self.engine.write(run).await?;
            } else {
                self.database
                    .write(Durability::Ordered, move |transaction| {
                        run.iter()
                            .try_for_each(|write| rows::apply(transaction, write))
                    })
                    .await?;
            }
        }
        Ok(())
    }

    async fn nearest(&self, question: Nearest) -> Result<Vec<Near>> {
        check_dimension(&question.vector, self.dimension, || {
            "the question's vector".to_owned()
        })?;
        if question.limit == 0 {
            return Ok(Vec::new());
        }
        let vector = VectorInternal::Dense(question.vector);
        let query = QueryEnum::Nearest(NamedQuery::new(vector, payload::DENSE));
        let request = QueryRequest {
            prefetches: Vec::new(),
            query: Some(ScoringQuery::Vector(query)),
            filter: payload::of_kinds_and_authors(&question.kinds, &question.author_ids),
            score_threshold: None,
            limit: question.limit,
            offset: 0,
            params: None,
            with_vector: WithVector::Bool(false),
            with_payload: WithPayloadInterface::Bool(true),
        };
        let found = self.engine.read(move |shard| shard.query(request)).await?;
        let mut near = found
            .into_iter()
            .map(|found| {
                let point = payload::point(found.id, found.payload, None)?;
                let score = found.score;
                Ok(Near { point, score })
            })
            .collect::<Result<Vec<_>>>()?;
        // Equal scores in one order, so that a repeated question has the same answer.
        near.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then(a.point.id.cmp(&b.point.id))
        });
        Ok(near)
    }

    async fn counts(&self) -> Result<Counts> {
        let counts = self.database.read(rows::counts).await?;
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
