//! The configured embedder.

use std::num::NonZero;

use crate::Result;
use crate::config::{Backend, Config};
use crate::feature::embed::hash::HashEmbedder;
use crate::feature::embed::local::{LocalEmbedder, LocalOptions};
use crate::feature::embed::{Embedder, Model};

/// As many values as the default model gives.
const HASH_DIMENSION: usize = 384;

/// One of the embedders, chosen by the settings.
#[derive(Debug)]
pub enum AnyEmbedder {
    /// The model in the model folder.
    Local(LocalEmbedder),
    /// A deterministic hash.
    Hash(HashEmbedder),
}

impl Embedder for AnyEmbedder {
    fn model(&self) -> &Model {
        match self {
            Self::Local(embedder) => embedder.model(),
            Self::Hash(embedder) => embedder.model(),
        }
    }

    fn token_count(&self, text: &str) -> usize {
        match self {
            Self::Local(embedder) => embedder.token_count(text),
            Self::Hash(embedder) => embedder.token_count(text),
        }
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        match self {
            Self::Local(embedder) => embedder.embed(texts).await,
            Self::Hash(embedder) => embedder.embed(texts).await,
        }
    }
}

/// Opens the embedder that the settings choose.
pub(super) fn open(config: &Config) -> Result<AnyEmbedder> {
    Ok(match config.model.backend {
        Backend::Local => {
            let threads = NonZero::new(config.model.threads);
            let options = LocalOptions {
                threads,
                precision: config.model.precision,
            };
            AnyEmbedder::Local(LocalEmbedder::open(&config.model_folder(), options)?)
        }
        Backend::Hash => AnyEmbedder::Hash(HashEmbedder::new(HASH_DIMENSION)),
    })
}
