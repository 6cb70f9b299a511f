//! Which model an edition is written and asked with.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use super::Edition;
use crate::feature::embed::Embedder;
use crate::{Error, Result};

/// What the settings ask for.
#[derive(Debug)]
pub struct Configured<E> {
    /// Model, pipeline and recipe of a new edition; its number is not looked at.
    pub edition: Edition,
    /// The configured model, open.
    pub embedder: Arc<E>,
}

/// Opens the model of a recipe.
pub type Opener<'a, E> = &'a (dyn Fn(Value) -> Opening<'a, E> + Send + Sync);
/// A model that is being opened.
pub type Opening<'a, E> = Pin<Box<dyn Future<Output = Result<E>> + Send + 'a>>;

impl<E: Embedder> Configured<E> {
    /// The model of an edition's vectors; none where nothing says how it is opened.
    ///
    /// # Errors
    /// Why it cannot be opened; [`Error::Refused`] where another one is in its place.
    pub async fn own_model_of(
        &self,
        edition: &Edition,
        opener: Opener<'_, E>,
    ) -> Result<Option<Arc<E>>> {
        if self.edition.model.digest == edition.model.digest {
            return Ok(Some(Arc::clone(&self.embedder)));
        }
        if edition.recipe.is_null() {
            return Ok(None);
        }
        let own = opener(edition.recipe.clone()).await?;
        if own.model().digest == edition.model.digest {
            return Ok(Some(Arc::new(own)));
        }
        Err(Error::Refused {
            service: format!("the model of edition {} of the index", edition.number),
            why: format!("{} is where {} was", own.model().name, edition.model.name),
            fix: "put that model back, or run `lockstep reindex` where it still is".into(),
        })
    }

    /// The configured model for an edition whose own is gone, where their vectors can be compared.
    pub fn stand_in_for(&self, edition: &Edition) -> Option<Arc<E>> {
        let fits = self.edition.model.dimension == edition.model.dimension;
        fits.then(|| Arc::clone(&self.embedder))
    }
}
