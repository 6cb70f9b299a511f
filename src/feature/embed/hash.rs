//! Vectors from hashed words: deterministic and free, for tests and for the pipeline's ceiling.
//!
//! ```text
//! text ──words──> hash ──> one value raised or lowered a word ──> unit length
//! ```
//!
//! Texts that share words are near; nothing more is promised of their meaning.

use sha2::{Digest, Sha256};

use super::{Embedder, Model};
use crate::{Error, Result};

/// Tokens that are read of one text; that of the usual models.
const TOKEN_LIMIT: usize = 256;

/// The tokens that frame every text.
const SPECIAL_TOKENS: usize = 2;

/// Characters a token, about what a word-piece vocabulary makes of English.
const TOKEN_CHARACTERS: usize = 4;

/// Embeds by feature hashing of words; never chosen unless it is named.
#[derive(Debug, Clone)]
pub struct HashEmbedder {
    model: Model,
}

impl HashEmbedder {
    /// An embedder of vectors with so many values, at least one.
    pub fn new(dimension: usize) -> Self {
        let dimension = dimension.max(1);
        let name = format!("hash-{dimension}");
        let digest = Sha256::digest(format!("{name} version 1"));
        Self {
            model: Model {
                digest: format!("{digest:x}"),
                name,
                dimension,
                token_limit: TOKEN_LIMIT,
            },
        }
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.model.dimension];
        for word in text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
        {
            let hash = fnv1a(&word.to_lowercase());
            // The lowest bit is the sign, the others the place: collisions then cancel on average.
            let place = (hash >> 1) % self.model.dimension as u64;
            let step = if hash & 1 == 0 { 1.0 } else { -1.0 };
            if let Some(value) = vector.get_mut(usize::try_from(place).unwrap_or(0)) {
                *value += step;
            }
        }
        if vector.iter().all(|value| *value == 0.0) {
            vector[0] = 1.0;
        }
        super::normalise(&mut vector);
        vector
    }
}

impl Embedder for HashEmbedder {
    fn model(&self) -> &Model {
        &self.model
    }

    /// Additive over the words between white space, plus two.
    fn token_count(&self, text: &str) -> usize {
        let pieces = |word: &str| word.chars().count().div_ceil(TOKEN_CHARACTERS);
        SPECIAL_TOKENS + text.split_whitespace().map(pieces).sum::<usize>()
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let vector = |text: &String| {
            let tokens = self.token_count(text);
            if tokens > TOKEN_LIMIT {
                return Err(super::over_limit(tokens, TOKEN_LIMIT));
            }
            Ok(self.vector(text))
        };
        texts.iter().map(vector).collect::<Result<_, Error>>()
    }
}

/// FNV-1a, 64 bits: a few instructions a byte, and the same on every machine and release.
fn fnv1a(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_nearer_than_others() {
        let embedder = HashEmbedder::new(384);
        let vector = |text: &str| embedder.vector(text);
        let question = vector("share state between threads");
        let near = vector("Threads can share state through a mutex.");
        let far = vector("The oven should be hot before the bread goes in");
        assert!(dot(&question, &near) > dot(&question, &far) + 0.2);
    }

    #[test]
    fn every_vector_has_length_one_even_of_nothing() {
        let embedder = HashEmbedder::new(7);
        for text in ["", "  \n", "a", "one two three", "ä ö ü 你好 🙂"] {
            let vector = embedder.vector(text);
            assert!((dot(&vector, &vector) - 1.0).abs() < 1e-5, "{text:?}");
        }
    }

    #[test]
    fn the_tokens_of_joined_texts_add_up() {
        let embedder = HashEmbedder::new(8);
        let count = |text: &str| embedder.token_count(text) - SPECIAL_TOKENS;
        let (a, b) = ("some words here", "and extraordinarily long ones");
        assert_eq!(count(&format!("{a}\n\n{b}")), count(a) + count(b));
        assert_eq!(count(""), 0);
    }

    #[tokio::test]
    async fn a_text_over_the_limit_is_refused() {
        let embedder = HashEmbedder::new(8);
        let most = "word ".repeat(TOKEN_LIMIT - SPECIAL_TOKENS);
        assert!(embedder.embed(vec![most.clone()]).await.is_ok());
        assert!(embedder.embed(vec![most + "word"]).await.is_err());
    }
}
