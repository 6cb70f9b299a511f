//! Text to vectors.
//!
//! ```text
//! texts ──> local: a model from a folder, on threads of its own ──┐
//!      ├──> http: a service that speaks one of three protocols ───┤
//!      └──> hash: words to numbers, for tests ────────────────────┴──> unit vectors
//! ```

mod batch;
mod bert;
pub mod cache;
mod folder;
pub mod hash;
pub mod http;
mod inference;
pub mod local;
mod onnx;
mod quantise;
mod tokens;

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What an embedder is; two with equal `digest` give equal vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name, for people.
    pub name: String,
    /// SHA-256, in hex, over everything that decides a vector.
    pub digest: String,
    /// Values a vector.
    pub dimension: usize,
    /// Tokens that it reads of one text, the special ones included.
    pub token_limit: usize,
}

/// What embedding has cost since the start, where somebody else computes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests that were sent, repeats included.
    pub requests: u64,
    /// Tokens, as the service counts them; 0 where it does not say.
    pub tokens: u64,
}

/// How exactly a local model computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point, as the model was trained.
    #[default]
    Fp32,
    /// 8-bit products: faster and nearly the same. A text's vector differs from the other
    /// precision's by a cosine of about 0.99, so the two are two models.
    Int8,
}

/// Embeds texts.
///
/// - One vector a text, in order, of [`Model::dimension`] values, L2 norm 1.0 ± 1e-4.
/// - A text's vector does not depend on the others of its call beyond 1e-5 a value.
/// - A text over the token limit is an error, never cut in silence.
/// - Cancel safe: nothing is kept. Concurrent callers are served.
pub trait Embedder: Send + Sync + 'static {
    /// What it is.
    fn model(&self) -> &Model;

    /// The tokens of `text`, the special ones included.
    fn token_count(&self, text: &str) -> usize;

    /// Embeds the texts.
    fn embed(&self, texts: Vec<String>) -> impl Future<Output = Result<Vec<Vec<f32>>>> + Send;

    /// What it has cost; nothing where this machine computes.
    fn usage(&self) -> Usage {
        Usage::default()
    }
}

/// Scales a vector to length one; one without a length is left as it is.
fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        for value in vector {
            *value /= length;
        }
    }
}

fn over_limit(tokens: usize, limit: usize) -> Error {
    Error::malformed(
        "a text to embed",
        format!("it has {tokens} tokens and the model reads {limit}; it should have been chunked"),
    )
}
