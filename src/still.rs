//! A source, a queue and an index that stand still, for the tests of the rooms that only read.
//!
//! The maps are the contract's orders; everything that would write is out of reach.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::time::Duration;

use uuid::Uuid;

use crate::change::{DocumentKey, Lane, Place, PointId, Position, Time, Version};
use crate::document::{Document, Fields};
use crate::feature::embed::{Embedder, Model};
use crate::feature::prepare::{FINGERPRINT, Prepared};
use crate::queue::{Confirm, Consumer, Delivery, Depth, Outgoing, Parked, Queue, Tag};
use crate::source::{Event, Reading, Source, Watch};
use crate::vector::{
    Control, Counts, Entry, Manifest, Near, Nearest, Point, Select, VectorStore, Write,
};
use crate::{Error, Result};

/// All of it; a test changes what it likes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Still {
    pub(crate) documents: BTreeMap<DocumentKey, Fields>,
    pub(crate) manifests: BTreeMap<DocumentKey, Manifest>,
    pub(crate) points: BTreeMap<PointId, Point>,
    pub(crate) control: Control,
    pub(crate) parked: BTreeMap<Uuid, Parked>,
    pub(crate) depth: Depth,
}

/// Embeds into two values and counts words.
#[derive(Debug)]
pub(crate) struct Letters(Model);

impl Letters {
    pub(crate) fn new() -> Self {
        Self(Model {
            name: "letters".to_owned(),
            digest: String::new(),
            dimension: 2,
            token_limit: 8,
        })
    }
}

/// An angle by the text's bytes: near texts are near.
pub(crate) fn vector(text: &str) -> Vec<f32> {
    let sum: u32 = text.bytes().map(u32::from).sum();
    let angle = f32::from(u16::try_from(sum % 1000).unwrap()) / 1000.0;
    vec![angle.cos(), angle.sin()]
}

/// Each word of `content` is a chunk; a document whose content is no text cannot be prepared.
pub(crate) fn prepare(_kind: &str, fields: &Fields) -> Result<Prepared> {
    let mut metadata = fields.clone();
    let content = metadata.remove("content");
    let text = content.as_ref().and_then(serde_json::Value::as_str);
    let text = text.ok_or_else(|| Error::malformed("content", "it is no text"))?;
    Ok(Prepared {
        metadata,
        text: text.to_owned(),
        chunks: text.split_whitespace().map(str::to_owned).collect(),
    })
}

pub(crate) fn version(sequence: u64) -> Version {
    Version::read(1, Time::from_sequence(sequence))
}

/// A point of its own document, of some type.
pub(crate) fn point(content: &str) -> Point {
    let key = DocumentKey::text("posts", content);
    Point {
        id: PointId::new(&key, content, 0),
        key,
        stamp: version(5).into(),
        rank: 1,
        content: content.to_owned(),
        metadata: Fields::new(),
        vector: vector(content),
    }
}

impl Still {
    /// A document in the source and, in order, in the index at version 5. No word comes twice.
    pub(crate) fn store(&mut self, key: &DocumentKey, fields: &serde_json::Value) {
        let fields = fields.as_object().unwrap().clone();
        let prepared = prepare(&key.kind, &fields).unwrap();
        self.documents.insert(key.clone(), fields);
        let mut entries = Vec::new();
        for (rank, chunk) in (1..).zip(prepared.chunks) {
            let id = PointId::new(key, &chunk, 0);
            entries.push(Entry { id, rank });
            let point = Point {
                id,
                key: key.clone(),
                stamp: version(5).into(),
                rank,
                vector: vector(&chunk),
                content: chunk,
                metadata: prepared.metadata.clone(),
            };
            self.points.insert(id, point);
        }
        let manifest = Manifest {
            key: key.clone(),
            stamp: version(5).into(),
            deleted: false,
            committed_ms: 0,
            fingerprint: FINGERPRINT.to_owned(),
            metadata: prepared.metadata,
            text: prepared.text,
            points: entries,
        };
        self.manifests.insert(key.clone(), manifest);
    }

    /// A parked change of the document.
    pub(crate) fn park(&mut self, key: &DocumentKey, sequence: u64) {
        let id = Uuid::from_u128(self.parked.len() as u128 + 1);
        let parked = Parked {
            id,
            key: Some(key.clone()),
            version: version(sequence),
            operation: None,
            place: Place {
                partition: 0,
                lane: Lane::Live,
            },
            reason: "poison".to_owned(),
            attempts: 5,
            parked_ms: 0,
        };
        self.parked.insert(id, parked);
        self.depth.parked += 1;
    }
}

fn select<K: Ord + Clone, T: Clone>(all: &BTreeMap<K, T>, select: Select<K>) -> Vec<T> {
    match select {
        Select::Of(keys) => keys
            .iter()
            .filter_map(|key| all.get(key).cloned())
            .collect(),
        Select::After { after, limit } => {
            let rest = all
                .iter()
                .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
            rest.take(limit).map(|(_, one)| one.clone()).collect()
        }
    }
}

fn reading<T>(found: T) -> Reading<T> {
    Reading {
        time: Time::default(),
        read_ms: 0,
        found,
    }
}

impl Source for Still {
    type Watch = Never;

    async fn save(&self, _: Vec<Document>) -> Result<()> {
        unreachable!("it stands still")
    }

    async fn amend(&self, _: Vec<Document>) -> Result<()> {
        unreachable!("it stands still")
    }

    async fn delete(&self, _: Vec<DocumentKey>) -> Result<usize> {
        unreachable!("it stands still")
    }

    fn read(
        &self,
        keys: Vec<DocumentKey>,
    ) -> impl Future<Output = Result<Reading<Vec<Option<Fields>>>>> + Send {
        let found = keys.iter().map(|key| self.documents.get(key).cloned());
        ready(Ok(reading(found.collect())))
    }

    fn page(
        &self,
        kind: &str,
        after: Option<String>,
        limit: usize,
    ) -> impl Future<Output = Result<Reading<Vec<Document>>>> + Send {
        let of_kind = self.documents.iter().filter(|(key, _)| key.kind == kind);
        let page = of_kind
            .filter(|(key, _)| after.as_ref().is_none_or(|after| key.id > *after))
            .take(limit)
            .map(|(key, fields)| Document {
                key: key.clone(),
                fields: fields.clone(),
            });
        ready(Ok(reading(page.collect())))
    }

    fn kinds(&self) -> impl Future<Output = Result<Vec<String>>> + Send {
        let mut kinds: Vec<String> = self.documents.keys().map(|key| key.kind.clone()).collect();
        kinds.dedup();
        ready(Ok(kinds))
    }

    async fn watch(&self, _: Option<Position>) -> Result<Never> {
        unreachable!("it stands still")
    }
}

impl Queue for Still {
    type Consumer = Never;
    type Answers = std::future::Pending<Result<Vec<Confirm>>>;

    fn partitions(&self) -> u32 {
        1
    }

    async fn publish(&self, _: &[Outgoing]) -> Result<Self::Answers> {
        unreachable!("it stands still")
    }

    async fn consume(&self, _: Vec<u32>) -> Result<Never> {
        unreachable!("it stands still")
    }

    fn parked(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Parked>>> + Send {
        ready(Ok(select(&self.parked, Select::After { after, limit })))
    }

    async fn forget(&self, _: Vec<Uuid>) -> Result<()> {
        unreachable!("it stands still")
    }

    fn depth(&self) -> impl Future<Output = Result<Depth>> + Send {
        ready(Ok(self.depth.clone()))
    }
}

impl VectorStore for Still {
    fn manifests(
        &self,
        what: Select<DocumentKey>,
    ) -> impl Future<Output = Result<Vec<Manifest>>> + Send {
        ready(Ok(select(&self.manifests, what)))
    }

    fn points(&self, what: Select<PointId>) -> impl Future<Output = Result<Vec<Point>>> + Send {
        ready(Ok(select(&self.points, what)))
    }

    fn control(&self) -> impl Future<Output = Result<Control>> + Send {
        ready(Ok(self.control.clone()))
    }

    async fn write(&self, _: Vec<Write>) -> Result<()> {
        unreachable!("it stands still")
    }

    fn nearest(&self, question: Nearest) -> impl Future<Output = Result<Vec<Near>>> + Send {
        ready(Ok(question.among(self.points.values())))
    }

    fn counts(&self) -> impl Future<Output = Result<Counts>> + Send {
        ready(Ok(Counts {
            points: self.points.len() as u64,
            ..Counts::default()
        }))
    }
}

impl Embedder for Letters {
    fn model(&self) -> &Model {
        &self.0
    }

    fn token_count(&self, text: &str) -> usize {
        2 + text.split_whitespace().count()
    }

    fn embed(&self, texts: Vec<String>) -> impl Future<Output = Result<Vec<Vec<f32>>>> + Send {
        assert!(
            texts
                .iter()
                .all(|text| self.token_count(text) <= self.0.token_limit)
        );
        ready(Ok(texts.iter().map(|text| vector(text)).collect()))
    }
}

/// Neither a watch nor a consumer is ever opened.
#[derive(Debug)]
pub(crate) enum Never {}

impl Watch for Never {
    fn here(&self) -> (Position, Time) {
        match *self {}
    }

    async fn next(&mut self, _: usize) -> Result<Vec<Event>> {
        match *self {}
    }
}

impl Consumer for Never {
    async fn receive(&mut self, _: usize) -> Result<Vec<Delivery>> {
        match *self {}
    }

    fn leave(&mut self) {
        match *self {}
    }

    async fn settle(&mut self, _: Vec<Tag>) -> Result<()> {
        match *self {}
    }

    async fn release(&mut self, _: Vec<Tag>, _: Duration) -> Result<()> {
        match *self {}
    }

    async fn park(&mut self, _: Tag, _: String) -> Result<()> {
        match *self {}
    }
}
