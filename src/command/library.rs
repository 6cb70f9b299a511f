//! What is read from the index as it is, for the HTTP API and for exports.

use std::future::Future;

use crate::export::{self, Export, Selection, Wanted};
use crate::queue::Queue as _;
use crate::vector::{Manifest, Point, Select, VectorStore};
use crate::{Error, Result, author, explain};

use super::commands::{Commands, Rooms};
use super::{Handler, settle};

/// A document as the index holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Its text and metadata.
    pub manifest: Manifest,
    /// Its points in the order of the text.
    pub points: Vec<Point>,
}

/// Answers commands, and gives out what the index holds.
pub trait Library: Handler {
    /// What the index is kept in.
    type Store: VectorStore;

    /// The document of this type and id: as it is shown, or as extended JSON.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the index holds none, [`Error::Config`] where it holds several.
    fn document(&self, kind: &str, id: &str) -> impl Future<Output = Result<Held>> + Send;

    /// Begins an export of the index as it is.
    fn export(
        &self,
        selection: Selection,
    ) -> impl Future<Output = Result<Export<Self::Store>>> + Send;

    /// Whether a question could be answered now: source, queue and index each say something.
    fn ready(&self) -> impl Future<Output = Result<()>> + Send;
}

impl<R: Rooms> Library for Commands<R> {
    type Store = R::Store;

    async fn document(&self, kind: &str, id: &str) -> Result<Held> {
        let open = self.searched().await?;
        let store = open.current.store.as_ref();
        let keys = explain::keys(kind, id);
        let found = store.manifests(Select::Of(keys)).await?;
        let control = store.control().await?;
        let mut found: Vec<Manifest> = (found.into_iter())
            .filter(|manifest| control.holds(manifest))
            .collect();
        // As extended JSON an id is exactly one.
        if found.iter().any(|manifest| manifest.key.id == id) {
            found.retain(|manifest| manifest.key.id == id);
        }
        if found.len() > 1 {
            let ids: Vec<_> = found.iter().map(|one| one.key.id.as_str()).collect();
            let why = format!("it names several documents; say which: {}", ids.join(", "));
            return Err(Error::Config {
                setting: format!("{kind}/{id}"),
                why,
            });
        }
        let manifest = found.pop().ok_or_else(|| Error::NotFound {
            what: format!("document {kind}/{id}"),
        })?;
        let points = export::points(store, &manifest).await?;
        Ok(Held {
            points: points.into(),
            manifest,
        })
    }

    async fn export(&self, selection: Selection) -> Result<Export<R::Store>> {
        let known_id = match &selection.author {
            Some(author) => author::known_id(self.source.as_ref(), author).await?,
            None => None,
        };
        let open = self.searched().await?;
        let index = &open.current;
        let control = index.store.control().await?;
        let settled = control.settled(self.queue.partitions());
        let about = export::About {
            as_of_ms: export::as_of_ms(settled),
            parked: self.queue.depth().await?.parked,
            edition: index.number,
            model: open.register.current.model.name.clone(),
            dimension: open.register.current.model.dimension,
        };
        Ok(Export::new(index, Wanted::new(selection, known_id), about))
    }

    async fn ready(&self) -> Result<()> {
        self.searched().await?.current.store.control().await?;
        self.queue.depth().await?;
        settle::end(self.source.as_ref()).await.map(drop)
    }
}
