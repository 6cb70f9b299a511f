//! A Qdrant server that is away, strange, or has been tampered with.

mod engine;
mod fault;
mod older;
mod whole;

use lockstep::change::{DocumentKey, PointId, Time, Version};
use lockstep::document::Fields;
use lockstep::feature::embed::Model;
use lockstep::vector::qdrant::{QdrantStore, Settings};
use lockstep::vector::{Entry, Manifest, Point, Select, VectorStore, Write};
use lockstep::{Recovery, Result};
use qdrant_client::Qdrant;

use crate::support::qdrant::Server;

fn model() -> Model {
    Model {
        name: "test".to_owned(),
        digest: "00".repeat(32),
        dimension: 4,
        token_limit: 256,
    }
}

async fn open(server: &Server) -> Result<QdrantStore> {
    QdrantStore::open(Settings::new(server.url()), &model(), 1).await
}

/// A client past our store.
fn client(server: &Server) -> Qdrant {
    let client = Qdrant::from_url(&server.url()).skip_compatibility_check();
    client.build().unwrap()
}

fn version(increment: u32) -> Version {
    Version::read(
        1,
        Time {
            seconds: 0,
            increment,
        },
    )
}

/// The writes of a document of one chunk.
fn document(kind: &str, content: &str) -> Vec<Write> {
    let key = DocumentKey::text(kind, "a");
    let point = Point {
        id: PointId::new(&key, content, 0),
        key: key.clone(),
        stamp: version(1).into(),
        rank: 0,
        content: content.to_owned(),
        metadata: Fields::new(),
        vector: vec![1.0, 0.0, 0.0, 0.0],
    };
    let manifest = Manifest {
        key,
        stamp: version(1).into(),
        deleted: false,
        committed_ms: 0,
        fingerprint: String::new(),
        metadata: Fields::new(),
        text: content.to_owned(),
        points: vec![Entry {
            id: point.id,
            rank: 0,
        }],
    };
    vec![
        Write::Upsert(vec![point]),
        Write::Manifest(Box::new(manifest)),
    ]
}

/// The texts of all points.
async fn contents(store: &QdrantStore) -> Vec<String> {
    let select = Select::After {
        after: None,
        limit: 100,
    };
    let points = store.points(select).await.unwrap();
    points.into_iter().map(|point| point.content).collect()
}

/// That it stops with this said.
fn assert_stops<T: std::fmt::Debug>(outcome: Result<T>, parts: &[&str]) {
    let error = outcome.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Stop, "{error:?}");
    assert_says(&error, parts);
}

/// That it is tried again, with this said.
fn assert_retries<T: std::fmt::Debug>(outcome: Result<T>, parts: &[&str]) {
    let error = outcome.unwrap_err();
    assert!(matches!(error.recovery(), Recovery::Retry(_)), "{error:?}");
    assert_says(&error, parts);
}

fn assert_says(error: &lockstep::Error, parts: &[&str]) {
    let text = error.chain();
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}
