//! Questions to the vectors, and what answers them. Pure.

use super::lexical::{self, Words};
use super::{Only, Point};

/// What is compared with the stored vectors.
#[derive(Debug, Clone, PartialEq)]
pub enum By {
    /// A question's meaning: a vector of the index's dimension, L2 norm 1. Scored by cosine, -1 to 1.
    Meaning(Vec<f32>),
    /// A question's words. Scored by BM25, above 0; a point with none of them is not found. How rare a
    /// word is (IDF) is counted by the store, among the points of at least the searched types, points
    /// that were deleted lately perhaps included.
    Words(Words),
}

/// A question to the vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// What is compared.
    pub by: By,
    /// Only these points; what is left out takes no place among the others.
    pub only: Only,
    /// How many points at most.
    pub limit: usize,
}

/// A point that is near.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// The point, without its vector.
    pub point: Point,
    /// As [`By`] says.
    pub score: f32,
}

impl Nearest {
    /// The answer of a store that holds these points and nothing else: what a backend's own search is
    /// to come to.
    pub(crate) fn among<'a>(&self, points: impl IntoIterator<Item = &'a Point>) -> Vec<Near> {
        let points: Vec<&Point> = points.into_iter().collect();
        let scores = match &self.by {
            By::Meaning(question) => points
                .iter()
                .map(|one| dot(&one.vector, question))
                .collect(),
            By::Words(question) => {
                let texts: Vec<Words> = points
                    .iter()
                    .map(|one| lexical::of_text(&one.content))
                    .collect();
                lexical::scores(question, &texts)
            }
        };
        let near = points.into_iter().zip(scores).filter(|(point, score)| {
            let is_found = matches!(self.by, By::Meaning(_)) || *score > 0.0;
            is_found && self.only.admits(&point.key.kind, &point.metadata)
        });
        let near = near.map(|(point, score)| Near {
            point: Point {
                vector: Vec::new(),
                ..point.clone()
            },
            score,
        });
        let mut near: Vec<Near> = near.collect();
        order(&mut near);
        near.truncate(self.limit);
        near
    }
}

/// Best first; equal scores in one order, so that a repeated question has the same answer.
pub(super) fn order(near: &mut [Near]) {
    near.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then(a.point.id.cmp(&b.point.id))
    });
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}
