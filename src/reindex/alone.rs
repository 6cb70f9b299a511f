//! An index with one edition and no room for another.

use std::sync::Arc;

use super::{Edition, Editions, Event, Index, Register, Standing};
use crate::feature::embed::Embedder;
use crate::vector::VectorStore;
use crate::{Error, Result};

/// The one edition of an index whose backend keeps no others.
#[derive(Debug)]
pub struct Alone<V, E> {
    register: Register,
    index: Index<V, E>,
}

impl<V: VectorStore, E: Embedder> Alone<V, E> {
    /// This store, written to and asked with this model.
    pub fn new(store: Arc<V>, embedder: Arc<E>, pipeline: impl Into<String>) -> Self {
        let edition = Edition {
            number: 1,
            model: embedder.model().clone(),
            pipeline: pipeline.into(),
            recipe: serde_json::Value::Null,
        };
        Self {
            register: Register::new(edition),
            index: Index {
                number: 1,
                store,
                embedder,
                held: None,
            },
        }
    }
}

impl<V: VectorStore, E: Embedder> Editions for Alone<V, E> {
    type Store = V;
    type Embedder = E;

    async fn open(&self) -> Result<Standing<V, E>> {
        Ok(Standing {
            register: self.register.clone(),
            current: self.index.clone(),
            next: None,
            closed: None,
        })
    }

    fn configured(&self) -> Edition {
        self.register.current.clone()
    }

    async fn begin(&self) -> Result<bool> {
        Err(Error::Refused {
            service: "the index".into(),
            why: "it keeps one edition, so that no other can be filled beside it".into(),
            fix: "make an index of another name".into(),
        })
    }

    async fn change(&self, _: &Register, _: Event) -> Result<bool> {
        Ok(false)
    }

    async fn remove(&self, _: u32) -> Result<()> {
        Ok(())
    }
}
