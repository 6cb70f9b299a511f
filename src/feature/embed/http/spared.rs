//! What a call has made before it failed for one of its texts. It comes again in parts, and a service may want to
//! be paid for each text.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

/// A hash of a text, since nobody is to read it here.
type Key = [u8; 32];

/// Texts that are kept at most, those of the last call aside: some calls of several workers. Nobody may come for
/// them.
const TEXTS_MAX: usize = 1_000;

/// The vectors of texts, each until it is asked for.
#[derive(Debug, Default)]
pub(super) struct Spared(Mutex<HashMap<Key, Vec<f32>>>);

impl Spared {
    /// Takes what is there of these texts, in their order.
    pub(super) fn take(&self, texts: &[String]) -> Vec<Option<Vec<f32>>> {
        // As a rule nothing is there, and no text has to be hashed.
        if self.there().is_empty() {
            return vec![None; texts.len()];
        }
        let keys: Vec<_> = texts.iter().map(|text| key(text)).collect();
        let mut there = self.there();
        keys.iter().map(|key| there.remove(key)).collect()
    }

    /// Keeps what was made of these texts.
    pub(super) fn keep(&self, texts: &[String], vectors: Vec<Option<Vec<f32>>>) {
        let made = texts.iter().zip(vectors);
        let made = made.filter_map(|(text, vector)| Some((key(text), vector?)));
        let made: Vec<_> = made.collect();
        let mut there = self.there();
        if there.len() > TEXTS_MAX {
            there.clear();
        }
        there.extend(made);
    }

    fn there(&self) -> MutexGuard<'_, HashMap<Key, Vec<f32>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(text: &str) -> Key {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|number| number.to_string()).collect()
    }

    #[test]
    fn what_was_made_is_given_once_and_what_nobody_asks_for_does_not_grow() {
        let spared = Spared::default();
        spared.keep(&texts(0..3), vec![Some(vec![1.0]), None, Some(vec![3.0])]);
        let found = spared.take(&texts(0..4));
        assert_eq!(found, [Some(vec![1.0]), None, Some(vec![3.0]), None]);
        assert_eq!(spared.take(&texts(0..4)), vec![None; 4]);
        for round in 0..20 {
            let numbers = round * 256..(round + 1) * 256;
            spared.keep(&texts(numbers), vec![Some(vec![1.0]); 256]);
            assert!(spared.there().len() <= TEXTS_MAX + 256);
        }
    }
}
