//! Documents that say something else each. Pure.
//!
//! Maximal marginal relevance: J. Carbonell and J. Goldstein, "The Use of MMR, Diversity-Based Reranking for
//! Reordering Documents and Producing Summaries", SIGIR 1998.

/// How much being near the question counts against being unlike what is chosen already: their middle.
const RELEVANCE_SHARE: f32 = 0.5;

/// A document that may be chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// What it is ranked by.
    pub(super) score: f32,
    /// The vector of its best passage.
    pub(super) vector: &'a [f32],
}

/// The places of those to show, the first of all first. Of the rest always the one whose score, as a share of
/// the range of all scores, is furthest above its likeness to the likest of those before.
pub(super) fn choose(candidates: &[Candidate<'_>], wanted: usize) -> Vec<usize> {
    let scores = || candidates.iter().map(|one| one.score);
    let (least, most) = (
        scores().fold(f32::INFINITY, f32::min),
        scores().fold(f32::NEG_INFINITY, f32::max),
    );
    let relevance = |score: f32| match most - least {
        range if range > 0.0 => (score - least) / range,
        _ => 1.0,
    };
    let mut rest: Vec<(usize, f32)> = (0..candidates.len()).map(|at| (at, 0.0)).collect();
    let mut chosen = Vec::new();
    while chosen.len() < wanted {
        let value = |(at, likeness): (usize, f32)| {
            let score = candidates.get(at).map_or(0.0, |one| relevance(one.score));
            RELEVANCE_SHARE * score - (1.0 - RELEVANCE_SHARE) * likeness
        };
        // Of equal ones the first, which is the better one.
        let best = rest.iter().enumerate().rev();
        let best = best.max_by(|(_, a), (_, b)| value(**a).total_cmp(&value(**b)));
        let Some(place) = best.map(|(place, _)| place) else {
            break;
        };
        let (next, _) = rest.remove(place);
        chosen.push(next);
        let vector = candidates.get(next).map_or(&[][..], |one| one.vector);
        for (at, likeness) in &mut rest {
            if let Some(other) = candidates.get(*at) {
                let same: f32 = vector.iter().zip(other.vector).map(|(a, b)| a * b).sum();
                *likeness = likeness.max(same);
            }
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_what_is_shown_gives_way_to_something_else() {
        let vectors = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]];
        let scores = [0.9, 0.89, 0.7, 0.5];
        let candidates: Vec<_> = vectors
            .iter()
            .zip(scores)
            .map(|(vector, score)| Candidate { score, vector })
            .collect();
        assert_eq!(choose(&candidates, 3), [0, 2, 1]);
        assert_eq!(choose(&candidates, 9).len(), 4);
        assert!(choose(&[], 3).is_empty());
    }

    #[test]
    fn where_nothing_is_alike_the_order_stays() {
        let vectors: Vec<Vec<f32>> = (0..4)
            .map(|at| {
                (0..4)
                    .map(|other| if at == other { 1.0 } else { 0.0 })
                    .collect()
            })
            .collect();
        let scored = vectors.iter().zip([4.0, 3.0, 3.0, 1.0]);
        let candidates: Vec<_> = scored
            .map(|(vector, score)| Candidate { score, vector })
            .collect();
        assert_eq!(choose(&candidates, 4), [0, 1, 2, 3]);
    }
}
