//! The collection in an index of ours, and asked.

use lockstep::change::DocumentKey;
use lockstep::database::Database;
use lockstep::document::Fields;
use lockstep::feature::embed::Embedder;
use lockstep::feature::prepare::{Limits, Prepared, prepare};
use lockstep::search::{self, Mode, Query, Standing};
use lockstep::vector::VectorStore as _;
use lockstep::vector::edge::{EdgeStore, SCHEMA};
use lockstep::{Error, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::collection::{Collection, Document};
use crate::score::Rankings;
use crate::stored;

/// Texts embedded at once.
const BATCH: usize = 256;

/// How a document is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Its title is the beginning of its text: what the others are given.
    Whole,
    /// Its title is metadata, as the crawler stores an article, and so in no embedded text.
    Apart,
}

impl Form {
    pub(crate) fn of(collection: &Collection) -> Vec<Self> {
        let mut forms = vec![Self::Whole];
        if collection.has_titles() {
            forms.push(Self::Apart);
        }
        forms
    }

    pub(crate) fn name(self, mode: &str) -> String {
        match self {
            Self::Whole => mode.to_owned(),
            Self::Apart => format!("{mode}, titles as metadata"),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Whole => "posts",
            Self::Apart => "articles",
        }
    }

    fn fields(self, document: &Document) -> Fields {
        let Document { title, text, .. } = document;
        let content = match self {
            Self::Whole if title.is_empty() => json!({"Content": text}),
            Self::Whole => json!({"Content": format!("{title}\n\n{text}")}),
            Self::Apart => json!({"Title": title, "Content": text}),
        };
        Fields::from_iter([("content".to_owned(), content)])
    }
}

/// The filled index.
pub(crate) struct Index {
    store: EdgeStore,
    /// Every chunk, with its document's id.
    pub(crate) chunks: Vec<Value>,
    _folder: TempDir,
}

impl Index {
    pub(crate) async fn make<E: Embedder>(
        collection: &Collection,
        embedder: &E,
        form: Form,
    ) -> Result<Self> {
        let folder =
            tempfile::tempdir().map_err(Error::unavailable("the disk", "make a folder"))?;
        let database = Database::open(&folder.path().join("lockstep.db"), &[SCHEMA])?;
        let vectors = folder.path().join("vectors");
        let store = EdgeStore::open(&vectors, database, embedder.model()).await?;
        let mut index = Self {
            store,
            chunks: Vec::new(),
            _folder: folder,
        };
        let limits = Limits::of_model(embedder.model());
        let mut pending = Vec::new();
        for document in &collection.documents {
            let count = |text: &str| embedder.token_count(text);
            let prepared = prepare(form.kind(), &form.fields(document), &limits, &count)?;
            let chunks = prepared.chunks.iter();
            index
                .chunks
                .extend(chunks.map(|text| json!({"document": document.id, "text": text})));
            pending.push((DocumentKey::text(form.kind(), &document.id), prepared));
            if pending.len() >= BATCH {
                index.store(embedder, std::mem::take(&mut pending)).await?;
            }
        }
        index.store(embedder, pending).await?;
        Ok(index)
    }

    async fn store<E: Embedder>(
        &self,
        embedder: &E,
        documents: Vec<(DocumentKey, Prepared)>,
    ) -> Result<()> {
        let mut writes = Vec::new();
        for (key, prepared) in documents {
            let vectors = embedder.embed(prepared.chunks.clone()).await?;
            writes.extend(stored::writes(key, prepared, vectors));
        }
        self.store.write(writes).await
    }

    pub(crate) async fn ask<E: Embedder>(
        &self,
        collection: &Collection,
        embedder: &E,
        mode: Mode,
    ) -> Result<Rankings> {
        let mut rankings = Rankings::new();
        for question in &collection.questions {
            let query = Query {
                text: question.text.clone(),
                mode,
                limit: crate::DEPTH,
                ..Query::default()
            };
            let answer = search::search(&self.store, embedder, &query, Standing::default()).await?;
            let found = answer.hits.iter().map(|hit| hit.key.entry_id()).collect();
            rankings.insert(question.id.clone(), found);
        }
        Ok(rankings)
    }
}
