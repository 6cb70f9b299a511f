//! What a re-index would take: every document is prepared, a sample of the texts is embedded.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::Result;
use crate::document::Fields;
use crate::feature::embed::Embedder;
use crate::feature::prepare::Limits;
use crate::feature::types::Types;
use crate::source::Source;

/// Documents read at once.
const PAGE: usize = 256;
/// Texts of the sample: a few batches of any model, so that the first one's warming up counts
/// little.
const SAMPLE_MAX: usize = 256;
/// Bytes that a point or a manifest takes besides its vector, texts and metadata: ids, version,
/// rank, names of fields.
const BYTES_EACH: u64 = 200;

/// What a re-index would take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Documents of the source.
    pub documents: u64,
    /// Those that cannot be prepared, and would be parked.
    pub unusable: u64,
    /// Texts that would be embedded: as many points.
    pub chunks: u64,
    /// Texts that were embedded to measure how long one takes.
    pub sampled: u64,
    /// How long all of them would take, at the speed of the sample: seconds of this process,
    /// which embeds what is edited meanwhile, too.
    pub seconds: f64,
    /// What the new edition would take, in bytes: vectors, texts and metadata; an engine's own
    /// indices aside. The old one stays beside it until the switch.
    pub bytes: u64,
}

/// Reads every document and embeds a sample of evenly spread texts; changes nothing.
///
/// Cancel safe. Memory is bounded by a page of documents and the sample.
pub async fn estimate<S: Source, E: Embedder>(
    source: &S,
    (embedder, types): (&E, &Types),
    tell: &(dyn Fn(u64) + Send + Sync),
) -> Result<Estimate> {
    let limits = Limits::of_model(embedder.model());
    let count = |text: &str| embedder.token_count(text);
    let mut found = Estimate::default();
    let mut sample = Sample::default();
    for kind in source.kinds().await? {
        let mut after = None;
        loop {
            let page = source.page(&kind, after, PAGE).await?.found;
            let Some(last) = page.last() else { break };
            after = Some(last.key.id.clone());
            for document in page {
                found.documents += 1;
                let prepared = types.prepare(&document.key.kind, &document.fields, &limits, &count);
                let Ok(prepared) = prepared else {
                    found.unusable += 1;
                    continue;
                };
                let metadata = bytes(&prepared.metadata);
                found.bytes += BYTES_EACH + metadata + prepared.text.len() as u64;
                for chunk in prepared.chunks {
                    found.chunks += 1;
                    found.bytes += BYTES_EACH + metadata + chunk.len() as u64;
                    sample.offer(chunk);
                }
                // Preparing a large document takes a while, and others share the thread.
                tokio::task::yield_now().await;
            }
            tell(found.documents);
        }
    }
    let vector = embedder.model().dimension * size_of::<f32>();
    found.bytes += found.chunks * vector as u64;
    found.sampled = sample.texts.len() as u64;
    if !sample.texts.is_empty() {
        let begun = Instant::now();
        embedder.embed(sample.texts).await?;
        let each = begun.elapsed().div_f64(to_f64(found.sampled));
        found.seconds = each.as_secs_f64() * to_f64(found.chunks);
    }
    Ok(found)
}

/// Texts that lie evenly in all that were offered: every n-th, with a growing n.
#[derive(Debug)]
struct Sample {
    texts: Vec<String>,
    every: u64,
    offered: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            texts: Vec::new(),
            every: 1,
            offered: 0,
        }
    }
}

impl Sample {
    fn offer(&mut self, text: String) {
        if self.offered.is_multiple_of(self.every) {
            if self.texts.len() == SAMPLE_MAX {
                let mut keep = false;
                self.texts.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.every *= 2;
            }
            if self.offered.is_multiple_of(self.every) {
                self.texts.push(text);
            }
        }
        self.offered += 1;
    }
}

fn bytes(metadata: &Fields) -> u64 {
    serde_json::to_string(metadata).map_or(0, |text| text.len() as u64)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate of more than 2^53 chunks need not be exact"
)]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::DocumentKey;
    use crate::feature::embed::hash::HashEmbedder;
    use crate::still::Still;

    #[test]
    fn a_sample_is_bounded_and_spread_over_all() {
        let mut sample = Sample::default();
        (0..5000).for_each(|number| sample.offer(number.to_string()));
        let numbers: Vec<u64> = sample
            .texts
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert!(numbers.len() > SAMPLE_MAX / 2 && numbers.len() <= SAMPLE_MAX);
        assert!(
            numbers
                .windows(2)
                .all(|pair| pair[1] - pair[0] == sample.every)
        );
        assert!(numbers.last().unwrap() + 2 * sample.every > 5000);
    }

    #[tokio::test]
    async fn every_chunk_is_counted_with_its_vector() {
        let mut still = Still::default();
        for id in ["1", "2", "3"] {
            let fields = serde_json::json!({"content": "one paragraph of some words"});
            let fields = fields.as_object().unwrap().clone();
            still
                .documents
                .insert(DocumentKey::text("posts", id), fields);
        }
        let unusable = serde_json::json!({"content": 5})
            .as_object()
            .unwrap()
            .clone();
        still
            .documents
            .insert(DocumentKey::text("posts", "4"), unusable);
        let embedder = HashEmbedder::new(64);
        let found = estimate(&still, (&embedder, Types::seed()), &|_| {})
            .await
            .unwrap();
        assert_eq!(
            (found.documents, found.unusable, found.chunks, found.sampled),
            (4, 1, 3, 3)
        );
        assert!(found.bytes > 3 * 64 * 4);
    }
}
