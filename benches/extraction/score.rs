//! The score of "article-extraction-benchmark", as its authors define it: shingles of four words.

use std::collections::HashMap;

const SHINGLE: usize = 4;

/// Means over the pages.
pub(crate) struct Score {
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    pub(crate) f1: f64,
}

/// Scores pairs of truth and prediction.
pub(crate) fn score<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Score {
    let (mut precisions, mut recalls) = (Vec::new(), Vec::new());
    for (truth, text) in pairs {
        let (truth, text) = (shingles(truth), shingles(text));
        let both: usize = truth
            .iter()
            .map(|(shingle, count)| (*count).min(text.get(shingle).copied().unwrap_or_default()))
            .sum();
        let (in_truth, in_text): (usize, usize) = (truth.values().sum(), text.values().sum());
        if in_text > 0 {
            precisions.push(both as f64 / in_text as f64);
        }
        if in_truth > 0 {
            recalls.push(both as f64 / in_truth as f64);
        }
    }
    let (precision, recall) = (mean(&precisions), mean(&recalls));
    Score {
        precision,
        recall,
        f1: 2.0 * precision * recall / (precision + recall),
    }
}

/// Every run of four words with how often it comes; a shorter text is one run.
fn shingles(text: &str) -> HashMap<Vec<&str>, usize> {
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let mut counts = HashMap::new();
    if words.is_empty() {
        return counts;
    }
    for shingle in words.windows(SHINGLE.min(words.len())) {
        *counts.entry(shingle.to_vec()).or_default() += 1;
    }
    counts
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
