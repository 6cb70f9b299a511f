//! A document as the index holds it.

use lockstep::change::{DocumentKey, PointId, Time, Version};
use lockstep::feature::prepare::{FINGERPRINT, Prepared};
use lockstep::vector::{Entry, Manifest, Point, Write};

/// The points of its chunks with these vectors, and the manifest that names them.
pub(crate) fn writes(key: DocumentKey, prepared: Prepared, vectors: Vec<Vec<f32>>) -> [Write; 2] {
    let version = Version::read(1, Time::from_sequence(1));
    let chunks = prepared.chunks.into_iter().zip(vectors).zip(1_u32..);
    let points: Vec<Point> = chunks
        .map(|((content, vector), rank)| Point {
            // Of equal chunks of one document the later one has another id.
            id: PointId::new(&key, &content, rank),
            key: key.clone(),
            stamp: version.into(),
            rank: rank.into(),
            content,
            metadata: prepared.metadata.clone(),
            vector,
        })
        .collect();
    let entries = points.iter().map(|point| Entry {
        id: point.id,
        rank: point.rank,
    });
    let manifest = Manifest {
        points: entries.collect(),
        key,
        stamp: version.into(),
        deleted: false,
        committed_ms: 0,
        fingerprint: FINGERPRINT.to_owned(),
        metadata: prepared.metadata,
        text: prepared.text,
    };
    [Write::Upsert(points), Write::Manifest(Box::new(manifest))]
}
