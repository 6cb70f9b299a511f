//! An embedder that counts what it is asked for, and sometimes does not answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Chaos;
use crate::feature::embed::{Embedder, Model};
use crate::{Error, Result};

/// Vectors from the bytes of a text.
#[derive(Debug)]
pub struct EmbedModel {
    model: Model,
    chaos: Chaos,
    asked: Mutex<HashMap<String, u64>>,
    refused: Mutex<Option<String>>,
}

impl EmbedModel {
    /// Counts from zero.
    pub fn new(chaos: Chaos) -> Self {
        Self::of_edition(chaos, 1)
    }

    /// The same for an edition of the index: of two that follow each other, vectors of one have
    /// another length than those of the other.
    pub fn of_edition(chaos: Chaos, number: u32) -> Self {
        let model = Model {
            name: format!("simulated-{number}"),
            digest: format!("simulated-{number}"),
            dimension: if number.is_multiple_of(2) { 3 } else { 2 },
            token_limit: 32,
        };
        Self {
            model,
            chaos,
            asked: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Refuses every text that has this word, however often it is asked.
    pub fn refuse(&self, word: &str) {
        *self.refused() = Some(word.to_owned());
    }

    fn refused(&self) -> MutexGuard<'_, Option<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each text was embedded.
    pub(crate) fn asked(&self) -> HashMap<String, u64> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Embedder for EmbedModel {
    fn model(&self) -> &Model {
        &self.model
    }

    fn token_count(&self, text: &str) -> usize {
        text.split_whitespace().count() + 2
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        self.chaos.step("embedder", "embed").await?;
        if let Some(word) = self.refused().as_deref()
            && texts.iter().any(|text| text.contains(word))
        {
            return Err(Error::malformed("a text", "the model refuses it"));
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(texts
            .into_iter()
            .map(|text| {
                let sum: u32 = text.bytes().map(u32::from).sum();
                let angle = f64::from(sum % 360).to_radians();
                *asked.entry(text).or_default() += 1;
                #[expect(clippy::cast_possible_truncation, reason = "a vector has f32 values")]
                let mut vector = vec![angle.cos() as f32, angle.sin() as f32];
                vector.resize(self.model.dimension, 0.0);
                vector
            })
            .collect())
    }
}
