//! Whether the chunks of one way are found as well as those of another.

use std::collections::BTreeMap;
use std::ops::Range;

use lockstep::Result;
use lockstep::feature::embed::Embedder;
use lockstep::feature::embed::local::LocalEmbedder;
use serde_json::{Value, json};

use crate::cut::{Cleaned, Way};
use crate::history::History;
use crate::queries::{Kind, Question, questions};
use crate::{four, mean};

/// How far down an answer counts.
const DEPTH: usize = 10;

/// A chunk of one of the texts.
struct Found {
    document: usize,
    range: Range<usize>,
    vector: Vec<f32>,
}

pub(crate) async fn measure(
    history: &History,
    fp32: &LocalEmbedder,
    int8: &LocalEmbedder,
) -> Result<Value> {
    let mut cleaned = Vec::new();
    for (_, id) in &history.files {
        if let Some(text) = history.text(*id)? {
            cleaned.push(Cleaned::new(&text, fp32)?);
        }
    }
    let texts: Vec<String> = cleaned.iter().map(|one| one.text.clone()).collect();
    let questions = questions(&texts);
    let of_kind = |kind| questions.iter().filter(|one| one.kind == kind).count();
    let counts = Kind::ALL.map(|kind| (kind.name(), of_kind(kind)));
    let mut report = json!({ "documents": texts.len(), "questions": BTreeMap::from(counts) });
    let ways = [
        ("ours", Way::Ours, fp32),
        ("ours, int8", Way::Ours, int8),
        (Way::Characters.name(), Way::Characters, fp32),
        (Way::Tokens.name(), Way::Tokens, fp32),
    ];
    let mut first = None;
    for (name, way, embedder) in ways {
        let gains = gains(&cleaned, &questions, way, embedder).await?;
        let all = mean(&gains);
        let ours = *first.get_or_insert(all);
        report[name] = json!({
            "ndcg_10": four(all), "less_than_ours": four(ours - all),
            "by_question": of_kinds(&questions, &gains),
        });
    }
    Ok(report)
}

fn of_kinds(questions: &[Question], gains: &[f64]) -> BTreeMap<&'static str, f64> {
    let of = |kind: Kind| {
        let pairs = questions.iter().zip(gains);
        let gains = pairs.filter_map(|(one, gain)| (one.kind == kind).then_some(*gain));
        (kind.name(), four(mean(&gains.collect::<Vec<_>>())))
    };
    Kind::ALL.map(of).into()
}

/// nDCG@10 of each question: with one passage that answers, what its first chunk's rank gains.
async fn gains(
    cleaned: &[Cleaned],
    questions: &[Question],
    way: Way,
    embedder: &LocalEmbedder,
) -> Result<Vec<f64>> {
    let (mut texts, mut places) = (Vec::new(), Vec::new());
    for (document, cleaned) in cleaned.iter().enumerate() {
        for piece in cleaned.cut(way, embedder)? {
            texts.push(shortened(piece.text, embedder));
            places.push((document, piece.range));
        }
    }
    let vectors = embedder.embed(texts).await?;
    let found: Vec<Found> = places
        .into_iter()
        .zip(vectors)
        .map(|((document, range), vector)| Found {
            document,
            range,
            vector,
        })
        .collect();
    let asked = questions.iter().map(|question| question.text.clone());
    let vectors = embedder.embed(asked.collect()).await?;
    let gain = |(question, vector): (&Question, &Vec<f32>)| {
        let mut scored: Vec<(f32, &Found)> = found
            .iter()
            .map(|found| (dot(vector, &found.vector), found))
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let rank = scored
            .iter()
            .take(DEPTH)
            .position(|(_, found)| answers(found, question));
        rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 2.0).log2())
    };
    Ok(questions.iter().zip(&vectors).map(gain).collect())
}

/// At least half of the chunk lies in the passage, or half of the passage in the chunk.
fn answers(found: &Found, question: &Question) -> bool {
    let (chunk, gold) = (&found.range, &question.gold);
    let shared = chunk
        .end
        .min(gold.end)
        .saturating_sub(chunk.start.max(gold.start));
    found.document == question.document && (shared * 2 >= chunk.len() || shared * 2 >= gold.len())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What the model reads of a text: as sentence-transformers does, the rest is cut off. Ours never is
/// too long.
fn shortened(mut text: String, embedder: &LocalEmbedder) -> String {
    let limit = embedder.model().token_limit;
    while embedder.token_count(&text) > limit {
        let less = text.len() * 15 / 16;
        text.truncate(text.floor_char_boundary(less));
    }
    text
}
