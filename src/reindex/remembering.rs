//! Editions whose models remember what they have embedded, for workers.

use std::sync::Arc;

use super::{Edition, Editions, Event, Index, Register, Searched, Standing};
use crate::Result;
use crate::feature::embed::cache::{Cached, Shelf};
use crate::feature::worker::Counters;

/// The same editions, with one shelf of vectors before all of their models.
#[derive(Debug)]
pub struct Remembering<T> {
    editions: Arc<T>,
    shelf: Arc<Shelf>,
    counters: Arc<Counters>,
}

impl<T: Editions> Remembering<T> {
    /// These editions with this shelf; what it saves is counted.
    pub fn new(editions: Arc<T>, shelf: Shelf, counters: Arc<Counters>) -> Self {
        Self {
            editions,
            shelf: Arc::new(shelf),
            counters,
        }
    }

    fn remembering(
        &self,
        index: Index<T::Store, T::Embedder>,
    ) -> Index<T::Store, Cached<T::Embedder>> {
        let cached = |embedder| {
            let cached = Cached::new(
                embedder,
                Arc::clone(&self.shelf),
                Arc::clone(&self.counters),
            );
            Arc::new(cached)
        };
        index.map(|store| store, cached)
    }
}

impl<T: Editions> Editions for Remembering<T> {
    type Store = T::Store;
    type Embedder = Cached<T::Embedder>;

    async fn open(&self) -> Result<Standing<Self::Store, Self::Embedder>> {
        let open = self.editions.open().await?;
        Ok(open.map(|index| self.remembering(index)))
    }

    async fn searched(&self) -> Result<Searched<Self::Store, Self::Embedder>> {
        let searched = self.editions.searched().await?;
        Ok(searched.map(|index| self.remembering(index)))
    }

    fn configured(&self) -> Edition {
        self.editions.configured()
    }

    async fn begin(&self) -> Result<bool> {
        self.editions.begin().await
    }

    async fn change(&self, from: &Register, event: Event) -> Result<bool> {
        self.editions.change(from, event).await
    }

    async fn remove(&self, number: u32) -> Result<()> {
        self.editions.remove(number).await
    }
}
