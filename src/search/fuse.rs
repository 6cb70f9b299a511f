//! One list out of two. Pure.

use std::collections::HashMap;

use super::query::Mode;
use crate::change::PointId;
use crate::vector::{Near, Point};

/// How little a first place counts above a tenth: 60, as in G. V. Cormack, C. L. A. Clarke and S. Büttcher,
/// "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009.
const K: f32 = 60.0;

/// A point that was found, and what speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scored {
    /// The point.
    pub(super) point: Point,
    /// What it is ranked by.
    pub(super) score: f32,
    /// Cosine similarity of its meaning, if it was found by that.
    pub(super) cosine: Option<f32>,
}

/// The points of both lists, best first: each point's score is the sum, over the lists that it is in, of
/// one divided by [`K`] and its place there. Scores of cosines and of BM25 have no common measure; places have.
///
/// Where one list alone is asked for, its scores stay.
pub(super) fn fuse(mode: Mode, meaning: Vec<Near>, words: Vec<Near>) -> Vec<Scored> {
    let mut fused: Vec<Scored> = Vec::with_capacity(meaning.len() + words.len());
    let mut places: HashMap<PointId, usize> = HashMap::new();
    let lists = [(true, meaning), (false, words)];
    for (is_meaning, list) in lists {
        for (near, place) in list.into_iter().zip(1_u16..) {
            let score = match mode {
                Mode::Hybrid => 1.0 / (K + f32::from(place)),
                Mode::Dense | Mode::Words => near.score,
            };
            let at = *places.entry(near.point.id).or_insert_with(|| {
                fused.push(Scored {
                    point: near.point,
                    score: 0.0,
                    cosine: None,
                });
                fused.len() - 1
            });
            if let Some(scored) = fused.get_mut(at) {
                scored.score += score;
                if is_meaning {
                    scored.cosine = Some(near.score);
                }
            }
        }
    }
    fused.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then(a.point.id.cmp(&b.point.id))
    });
    fused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::still::point;

    fn list(contents: &[&str]) -> Vec<Near> {
        let near = contents.iter().zip(1_u8..).map(|(content, place)| Near {
            point: point(content),
            score: 1.0 / f32::from(place),
        });
        near.collect()
    }

    fn shown(fused: &[Scored]) -> Vec<&str> {
        fused.iter().map(|one| one.point.content.as_str()).collect()
    }

    #[test]
    fn what_both_lists_have_comes_before_what_one_has_further_up() {
        let fused = fuse(Mode::Hybrid, list(&["a", "b", "c"]), list(&["d", "c", "b"]));
        assert_eq!(shown(&fused)[..2], ["b", "c"]);
        let expected = 1.0 / 62.0 + 1.0 / 63.0;
        assert!(
            fused[..2]
                .iter()
                .all(|one| (one.score - expected).abs() < 1e-6)
        );
        assert!((fused[2].score - 1.0 / 61.0).abs() < 1e-6);
        let cosine = |content: &str| {
            fused
                .iter()
                .find(|one| one.point.content == content)
                .unwrap()
                .cosine
        };
        assert_eq!((cosine("b"), cosine("d")), (Some(0.5), None));
    }

    #[test]
    fn one_list_alone_keeps_its_scores() {
        let fused = fuse(Mode::Dense, list(&["a", "b"]), Vec::new());
        assert_eq!(shown(&fused), ["a", "b"]);
        assert_eq!((fused[1].score, fused[1].cosine), (0.5, Some(0.5)));
        let fused = fuse(Mode::Words, Vec::new(), list(&["a", "b"]));
        assert_eq!((fused[1].score, fused[1].cosine), (0.5, None));
    }
}
