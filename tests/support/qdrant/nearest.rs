//! How near points are to a question.

use std::collections::HashMap;

use ::qdrant_client::qdrant::query::Variant;
use ::qdrant_client::qdrant::vector_input::Variant as Input;
use ::qdrant_client::qdrant::*;

use super::points::{Shape, meeting};
use super::state::{Answer, State, Stored, nothing_else, unknown, wrong};

pub(super) fn query(state: &mut State, mut request: QueryPoints) -> Answer<QueryResponse> {
    let collection = state.collection(&std::mem::take(&mut request.collection_name))?;
    let shape = Shape::of(request.with_payload.take(), request.with_vectors.take())?;
    let (filter, limit) = (request.filter.take(), request.limit.take().unwrap_or(10));
    let (query, using) = (
        request.query.take(),
        request.using.take().unwrap_or_default(),
    );
    request.read_consistency = None;
    nothing_else(request)?;
    let question = match query.and_then(|query| query.variant) {
        Some(Variant::Nearest(VectorInput {
            variant: Some(question),
        })) => question,
        other => return Err(unknown(other)),
    };
    let score: Score = match question {
        Input::Dense(vector) => {
            let question = normalised(vector.data);
            if collection.dense.get(&using) != Some(&question.len()) {
                return Err(wrong(format!("Vector dimension error: {using}")));
            }
            let dot = move |vector: &Vec<f32>| -> f32 {
                vector.iter().zip(&question).map(|(a, b)| a * b).sum()
            };
            let name = using.clone();
            Box::new(move |found| found.dense.get(&name).map(&dot))
        }
        Input::Sparse(words) => {
            if !collection.sparse.contains(&using) {
                return Err(wrong(format!("Not existing vector name error: {using}")));
            }
            let stored = collection
                .points
                .values()
                .filter_map(|found| found.sparse.get(&using));
            let question = times_rarity(&words, &stored.collect::<Vec<_>>());
            let name = using.clone();
            Box::new(move |found| shared(&question, found.sparse.get(&name)?))
        }
        other => return Err(unknown(other)),
    };
    let mut scored = Vec::new();
    for id in meeting(collection, filter.as_ref())? {
        let found = &collection.points[&id];
        if let Some(score) = score(found) {
            let RetrievedPoint { id, payload, .. } = shape.point(id, found);
            scored.push(ScoredPoint {
                id,
                payload,
                score,
                ..ScoredPoint::default()
            });
        }
    }
    scored.sort_by(|a, b| b.score.total_cmp(&a.score));
    scored.truncate(usize::try_from(limit).unwrap());
    Ok(QueryResponse {
        result: scored,
        ..QueryResponse::default()
    })
}

/// How near a point is; none where it shares nothing with the question.
type Score = Box<dyn Fn(&Stored) -> Option<f32>>;

/// The modifier `idf`: each value of the question times how rare its index is among all that is stored.
#[expect(
    clippy::cast_precision_loss,
    reason = "the server of a test holds few points"
)]
fn times_rarity(question: &SparseVector, stored: &[&SparseVector]) -> HashMap<u32, f32> {
    let all = stored.len() as f32;
    let rare = |index: &u32| {
        let having = stored
            .iter()
            .filter(|one| one.indices.contains(index))
            .count() as f32;
        ((all - having + 0.5) / (having + 0.5) + 1.0).ln()
    };
    let pairs = question.indices.iter().zip(&question.values);
    pairs
        .map(|(index, value)| (*index, value * rare(index)))
        .collect()
}

/// The product over what both have; none where they share nothing.
fn shared(question: &HashMap<u32, f32>, stored: &SparseVector) -> Option<f32> {
    let pairs = stored.indices.iter().zip(&stored.values);
    pairs
        .filter_map(|(index, value)| Some(question.get(index)? * value))
        .reduce(|sum, one| sum + one)
}

pub(super) fn normalised(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length < f32::EPSILON {
        return vector;
    }
    vector.into_iter().map(|value| value / length).collect()
}
