//! A Qdrant server or cluster, over gRPC.
//!
//! ```text
//! write ──phase, collection──> batches with conditions ──wait──> answered
//! read  ──by type──> side by side ──merge──> answer
//! ```
//!
//! For each type there are two collections, `cleaned_<type>` with one point a document (its manifest
//! and cleaned text, no vector) and `vector_<type>` with one point a chunk (a dense vector and one of
//! its words); see `name` for their editions and aliases, `payload` for their fields. They are made when
//! a type is first stored. What holds for all types is in the collection `lockstep_control`.
//!
//! Every condition of the port is a filter that the server weighs in the step in which it writes
//! (`guard`), which needs version 1.16. Writes wait until they can be read, and are ordered by one copy;
//! where there are several copies, reads ask a majority.
//!
//! After an error, what a call holds for one collection was done up to some place, and for the others
//! of its phase (`write`) up to places of their own.

mod alias;
mod collection;
mod control;
mod editions;
mod guard;
mod link;
mod name;
mod older;
mod operation;
mod order;
mod page;
mod payload;
mod read;
mod register;
mod server;
mod settings;
mod value;
mod write;

use std::collections::BTreeSet;

use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{CollectionInfo, Condition, Filter};

use self::name::Family;
use self::server::Server;
use super::{By, Control, Counts, Manifest, Near, Nearest, Point, Select, VectorStore, Write};
use crate::change::{DocumentKey, PointId};
use crate::feature::embed::Model;
use crate::{Error, Result};

pub use self::editions::QdrantEditions;
pub use self::settings::{Quantisation, Settings};

/// One edition of an index on a server.
#[derive(Debug)]
pub struct QdrantStore {
    server: Server,
    edition: u32,
    model: Model,
}

impl QdrantStore {
    /// Connects to the edition of this number, and checks that it is of this model and whole; makes what
    /// an empty server lacks.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where nobody answers; [`Error::Refused`] for a wrong key, a server before
    /// 1.16, an index of another model, or one that lacks collections; [`Error::Config`] for an address
    /// that is none.
    pub async fn open(settings: Settings, model: &Model, edition: u32) -> Result<Self> {
        let store = Self {
            server: Server::open(settings).await?,
            edition,
            model: model.clone(),
        };
        let stored = control::model(&store.server, edition, model).await?;
        store.check_model(&stored)?;
        for kind in store.all_types().await? {
            store.check_type(&kind).await?;
            store.renew_type(&kind).await?;
        }
        Ok(store)
    }

    fn check_model(&self, stored: &Model) -> Result<()> {
        let given = &self.model;
        if stored.digest == given.digest && stored.dimension == given.dimension {
            return Ok(());
        }
        let why = format!(
            "the index was made with {}, and the model given is {}",
            describe(stored),
            describe(given)
        );
        let fix = "give that model again, or make the index anew with `lockstep reindex`";
        Err(self.server.link.refused(why, fix))
    }

    /// That both collections of a type are there, and its vectors of our dimension.
    async fn check_type(&self, kind: &str) -> Result<()> {
        let [cleaned, vectors] = Family::BOTH.map(|family| self.collection(family, kind));
        for (name, other) in [(&cleaned, &vectors), (&vectors, &cleaned)] {
            if !collection::exists(&self.server.link, name).await? {
                return Err(self.server.missing(name, other));
            }
        }
        let info = self.server.link.client.collection_info(&vectors).await;
        let info = info.map_err(self.server.link.fault("describe a collection"))?;
        let found = info.result.and_then(dimension);
        if found == Some(self.model.dimension as u64) {
            return Ok(());
        }
        let found = found.map_or_else(|| "no".to_owned(), |found| found.to_string());
        Err(self.server.link.refused(
            format!(
                "the vectors of {vectors} have {found} values, and the model's have {}",
                self.model.dimension
            ),
            "give the model that made them, or make the index anew with `lockstep reindex`",
        ))
    }

    /// A collection of this edition.
    fn collection(&self, family: Family, kind: &str) -> String {
        self.server.names.real(family, kind, self.edition)
    }

    fn vectors_of(&self, kinds: &BTreeSet<String>) -> Vec<String> {
        let name = |kind: &String| self.collection(Family::Vector, kind);
        kinds.iter().map(name).collect()
    }

    /// Every type of this edition, in order, those included that another process has made meanwhile.
    async fn all_types(&self) -> Result<BTreeSet<String>> {
        let recorded = control::types(&self.server).await?;
        let ours = recorded.into_iter().filter(|(of, _)| *of == self.edition);
        Ok(ours.map(|(_, kind)| kind).collect())
    }

    fn removed(&self) -> Error {
        let edition = self.edition;
        self.server.link.refused(
            format!("edition {edition} of the index was removed"),
            "nothing: what is in hand is done again, with the editions that are there",
        )
    }

    /// Makes a type's collections. Whoever comes second, or after a crash, makes what is missing.
    async fn make_type(&self, kind: &str) -> Result<()> {
        let registered = register::stored(&self.server).await?;
        if registered.is_some_and(|stored| !stored.register.needed().contains(&self.edition)) {
            return Err(self.removed());
        }
        self.server.refuse_others_names(&[kind.to_owned()]).await?;
        for family in Family::BOTH {
            let name = self.collection(family, kind);
            collection::make(&self.server.link, &name, family, self.model.dimension).await?;
        }
        // Before, since nobody who finds it recorded does it again; and after, for a switch in between, which
        // has named the types that were recorded.
        self.name_if_current(kind).await?;
        control::record_type(&self.server, kind, self.edition).await?;
        self.name_if_current(kind).await
    }

    async fn name_if_current(&self, kind: &str) -> Result<()> {
        let registered = register::stored(&self.server).await?;
        match registered {
            Some(stored) if stored.register.current.number == self.edition => {
                self.server.name_type(kind, self.edition).await
            }
            _ => Ok(()),
        }
    }

    fn check_vectors(&self, writes: &[Write]) -> Result<()> {
        let points = writes.iter().flat_map(|write| match write {
            Write::Upsert(points) => points.as_slice(),
            _ => &[],
        });
        for point in points {
            self.check_dimension(&point.vector, || {
                format!("the vector of point {} of {}", point.id, point.key)
            })?;
        }
        Ok(())
    }

    fn check_dimension(&self, vector: &[f32], thing: impl Fn() -> String) -> Result<()> {
        let expected = self.model.dimension;
        if vector.len() == expected {
            return Ok(());
        }
        let why = format!("it has {} values instead of {expected}", vector.len());
        Err(Error::malformed(thing(), why))
    }
}

fn describe(model: &Model) -> String {
    let digest: String = model.digest.chars().take(12).collect();
    format!(
        "{} ({} dimensions, digest {digest})",
        model.name, model.dimension
    )
}

fn dimension(info: CollectionInfo) -> Option<u64> {
    match info.config?.params?.vectors_config?.config? {
        Config::ParamsMap(vectors) => Some(vectors.map.get(payload::DENSE)?.size),
        Config::Params(_) => None,
    }
}

impl VectorStore for QdrantStore {
    async fn manifests(&self, select: Select<DocumentKey>) -> Result<Vec<Manifest>> {
        match select {
            Select::Of(keys) => self.manifests_of(keys).await,
            Select::After { after, limit } => self.manifests_after(after, limit).await,
        }
    }

    async fn points(&self, select: Select<PointId>) -> Result<Vec<Point>> {
        match select {
            Select::Of(ids) => self.points_of(ids).await,
            Select::After { after, limit } => self.points_after(after, limit).await,
        }
    }

    async fn control(&self) -> Result<Control> {
        control::read(&self.server, self.edition).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        self.check_vectors(&writes)?;
        self.perform(writes).await
    }

    async fn nearest(&self, question: Nearest) -> Result<Vec<Near>> {
        if let By::Meaning(vector) = &question.by {
            self.check_dimension(vector, || "the question's vector".to_owned())?;
        }
        self.nearest_of(question).await
    }

    async fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        for kind in self.all_types().await? {
            let deleted = |is: bool| {
                let filter = Filter::must([Condition::matches(payload::DELETED, is)]);
                self.count(self.collection(Family::Cleaned, &kind), Some(filter))
            };
            counts.documents += deleted(false).await?;
            counts.tombstones += deleted(true).await?;
            counts.points += self
                .count(self.collection(Family::Vector, &kind), None)
                .await?;
        }
        Ok(counts)
    }
}
