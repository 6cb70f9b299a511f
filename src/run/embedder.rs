//! The configured embedder.

use std::num::NonZero;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::Config;
use crate::feature::embed::hash::HashEmbedder;
use crate::feature::embed::http::{HttpEmbedder, HttpOptions};
use crate::feature::embed::local::{LocalEmbedder, LocalOptions};
use crate::feature::embed::{Embedder, Model, Usage};
use crate::reindex::{Configured, Edition};
use crate::{Error, Result, config};

/// As many values as the default model gives.
const HASH_DIMENSION: usize = 384;

/// One of the embedders, chosen by the settings.
#[derive(Debug)]
pub enum AnyEmbedder {
    /// The model in the model folder.
    Local(LocalEmbedder),
    /// A service.
    Http(Box<HttpEmbedder>),
    /// A deterministic hash.
    Hash(HashEmbedder),
}

impl Embedder for AnyEmbedder {
    fn model(&self) -> &Model {
        match self {
            Self::Local(embedder) => embedder.model(),
            Self::Http(embedder) => embedder.model(),
            Self::Hash(embedder) => embedder.model(),
        }
    }

    fn token_count(&self, text: &str) -> usize {
        match self {
            Self::Local(embedder) => embedder.token_count(text),
            Self::Http(embedder) => embedder.token_count(text),
            Self::Hash(embedder) => embedder.token_count(text),
        }
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        match self {
            Self::Local(embedder) => embedder.embed(texts).await,
            Self::Http(embedder) => embedder.embed(texts).await,
            Self::Hash(embedder) => embedder.embed(texts).await,
        }
    }

    fn usage(&self) -> Usage {
        match self {
            Self::Local(embedder) => embedder.usage(),
            Self::Http(embedder) => embedder.usage(),
            Self::Hash(embedder) => embedder.usage(),
        }
    }
}

/// Opens the embedder that the settings choose, and says what an edition of the index made with it is;
/// waits a while for a service that does not answer yet.
pub(super) async fn configured(config: &Config) -> Result<Configured<AnyEmbedder>> {
    let embedder = open(config).await?;
    let recipe = serde_json::to_value(config.model.recipe())
        .map_err(|error| Error::malformed("the model's settings", error.to_string()))?;
    let edition = Edition {
        number: 0,
        model: embedder.model().clone(),
        pipeline: config.types.pipeline(),
        recipe,
    };
    Ok(Configured {
        edition,
        embedder: Arc::new(embedder),
    })
}

/// Opens the embedder of an edition that was made with other settings.
pub(super) async fn of_recipe(config: &Config, recipe: Value) -> Result<AnyEmbedder> {
    let recipe: config::Model = serde_json::from_value(recipe)
        .map_err(|error| Error::malformed("the recorded model", error.to_string()))?;
    let with = Config {
        model: config.model.of_recipe(recipe),
        ..config.clone()
    };
    open(&with).await
}

async fn open(config: &Config) -> Result<AnyEmbedder> {
    let model = &config.model;
    if let Some(options) = model.service(&config.data) {
        let options = HttpOptions {
            jitter: Some(Uuid::new_v4().as_u64_pair().0),
            ..options
        };
        let open = || HttpEmbedder::open(options.clone(), Clock::system());
        return super::patience::patiently(config, open)
            .await
            .map(|service| AnyEmbedder::Http(Box::new(service)));
    }
    if model.backend == config::Backend::Hash {
        let dimension = match model.dimension {
            0 => HASH_DIMENSION,
            dimension => dimension,
        };
        return Ok(AnyEmbedder::Hash(HashEmbedder::new(dimension)));
    }
    let options = LocalOptions {
        threads: NonZero::new(model.threads),
        precision: model.precision,
    };
    let local = LocalEmbedder::open(&config.model_folder(), options)?;
    Ok(AnyEmbedder::Local(local))
}
