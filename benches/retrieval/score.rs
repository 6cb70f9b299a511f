//! What rankings are worth, as `trec_eval` and BEIR count it.

use std::collections::{BTreeMap, HashMap};

use crate::collection::Grades;

/// How far down a document counts for nDCG.
const NDCG_DEPTH: usize = 10;

/// The documents found for each question, best first.
pub(crate) type Rankings = HashMap<String, Vec<String>>;

/// Means over all questions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Score {
    pub(crate) ndcg: f64,
    pub(crate) recall: f64,
}

pub(crate) fn score(grades: &BTreeMap<String, Grades>, rankings: &Rankings) -> Score {
    let nothing = Vec::new();
    let of_each = grades.iter().map(|(question, grades)| {
        let ranking = rankings.get(question).unwrap_or(&nothing);
        (ndcg(grades, ranking), recall(grades, ranking))
    });
    let (ndcg, recall): (Vec<f64>, Vec<f64>) = of_each.unzip();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    Score {
        ndcg: mean(&ndcg),
        recall: mean(&recall),
    }
}

/// Gains are the grades themselves, discounted by the logarithm of the place, as a share of the best order's.
fn ndcg(grades: &Grades, ranking: &[String]) -> f64 {
    let gained = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
        let discounted = gains.take(NDCG_DEPTH).enumerate();
        discounted
            .map(|(at, gain)| gain / (at as f64 + 2.0).log2())
            .sum()
    };
    let mut best: Vec<f64> = grades.values().copied().collect();
    best.sort_by(|a, b| b.total_cmp(a));
    let found = gained(
        &mut ranking
            .iter()
            .map(|id| grades.get(id).copied().unwrap_or(0.0)),
    );
    found / gained(&mut best.into_iter())
}

fn recall(grades: &Grades, ranking: &[String]) -> f64 {
    let found = ranking
        .iter()
        .take(crate::DEPTH)
        .filter(|id| grades.contains_key(*id));
    found.count() as f64 / grades.len() as f64
}
