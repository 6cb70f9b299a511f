//! The configured embedder.

use std::num::NonZero;

use uuid::Uuid;

use crate::clock::Clock;
use crate::config::Config;
use crate::feature::embed::hash::HashEmbedder;
use crate::feature::embed::http::{HttpEmbedder, HttpOptions};
use crate::feature::embed::local::{LocalEmbedder, LocalOptions};
use crate::feature::embed::{Embedder, Model, Usage};
use crate::{Result, config};

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

/// Opens the embedder that the settings choose; waits a while for a service that does not answer yet.
pub(super) async fn open(config: &Config, clock: &Clock) -> Result<AnyEmbedder> {
    let model = &config.model;
    if let Some(options) = model.service(&config.data) {
        let options = HttpOptions {
            jitter: Some(Uuid::new_v4().as_u64_pair().0),
            ..options
        };
        let open = || HttpEmbedder::open(options.clone(), clock.clone());
        return super::capture::patiently(config, open)
            .await
            .map(|service| AnyEmbedder::Http(Box::new(service)));
    }
    if model.backend == config::Backend::Hash {
        return Ok(AnyEmbedder::Hash(HashEmbedder::new(HASH_DIMENSION)));
    }
    let options = LocalOptions {
        threads: NonZero::new(model.threads),
        precision: model.precision,
    };
    let local = LocalEmbedder::open(&config.model_folder(), options)?;
    Ok(AnyEmbedder::Local(local))
}
