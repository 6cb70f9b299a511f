//! What a title adds to a document's score. Pure.
//!
//! A title is not part of any embedded text, so that a changed title embeds nothing; so it is
//! compared by its words.

use std::collections::HashSet;

use qdrant_rust_stemmers::{Algorithm, Stemmer};

/// What a title is worth whose every word was asked for. Cosines of passages that answer equally
/// well differ by about half of it.
const WORTH: f32 = 0.1;

/// The words of a question, stemmed.
pub(super) struct Asked {
    words: HashSet<String>,
}

impl Asked {
    /// Takes in a question.
    pub(super) fn new(question: &str) -> Self {
        Self {
            words: stems(question).collect(),
        }
    }

    /// What this title adds: its share of words that were asked for, times [`WORTH`].
    pub(super) fn worth(&self, title: &str) -> f32 {
        let words: Vec<String> = stems(title).collect();
        let asked = words
            .iter()
            .filter(|word| self.words.contains(*word))
            .count();
        #[expect(clippy::cast_precision_loss, reason = "a title has few words")]
        let share = asked as f32 / words.len().max(1) as f32;
        WORTH * share
    }
}

/// English stems; words of other languages mostly stay what they are.
fn stems(text: &str) -> impl Iterator<Item = String> {
    let stemmer = Stemmer::create(Algorithm::English);
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(move |word| stemmer.stem(&word.to_lowercase()).into_owned())
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_worth_the_share_of_its_words_that_were_asked_for() {
        let asked = Asked::new("How do I share state between threads?");
        assert!((asked.worth("Shared-State Concurrency") - WORTH * 2.0 / 3.0).abs() < 1e-6);
        assert!(asked.worth("").abs() < 1e-6);
        assert!(asked.worth("Shared state") > asked.worth("Using Threads to Run Code"));
    }
}
