//! What really happened to the source: every event of its change stream, heard by the test itself
//! with the official driver, past the code under test.

use futures_util::StreamExt as _;
use lockstep::change::{DocumentKey, Time};
use mongodb::bson::{Bson, Document, doc};
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType};
use mongodb::{Collection, Database};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{WATCHED, patiently};

/// A collection that capture does not watch; a document in it marks a moment.
const MARKS: &str = "marks";

/// One thing that happened at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Heard {
    pub(super) time: Time,
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// A document was inserted or replaced: its content is in the event.
    Stored(DocumentKey),
    /// Fields of a document were set: its content has to be looked up.
    Updated(DocumentKey),
    /// A document was deleted.
    Deleted(DocumentKey),
    /// All documents of a type were dropped, renamed away, or replaced by a rename.
    Voided(String),
}

/// Everything heard so far, in order.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) heard: Vec<Heard>,
    marks: i32,
    last: Time,
}

impl History {
    /// Whether what happened as number `index` to this key was undone later: its update may have been
    /// looked up when the document was gone, and then there was nothing to send.
    pub(super) fn is_gone_after(&self, index: usize, key: &DocumentKey) -> bool {
        self.heard[index..].iter().any(|later| match &later.what {
            What::Deleted(gone) => gone == key,
            What::Voided(kind) => *kind == key.kind,
            What::Stored(_) | What::Updated(_) => false,
        })
    }

    /// Whether an update of this key at this time was undone later.
    pub(super) fn is_undone(&self, key: &DocumentKey, time: Time) -> bool {
        let update = What::Updated(key.clone());
        let found = self
            .heard
            .iter()
            .position(|heard| heard.time == time && heard.what == update);
        found.is_some_and(|index| self.is_gone_after(index, key))
    }

    fn hear(&mut self, event: ChangeStreamEvent<Document>) {
        let time = event.cluster_time.unwrap();
        let time = Time {
            seconds: time.time,
            increment: time.increment,
        };
        self.last = time;
        let kind = event.ns.and_then(|ns| ns.coll);
        if kind.as_deref() == Some(MARKS) {
            self.marks += 1;
            return;
        }
        let to = event.to.and_then(|to| to.coll);
        let key = || key(kind.as_deref().unwrap(), event.document_key.as_ref());
        let what = match event.operation_type {
            OperationType::Insert | OperationType::Replace => vec![What::Stored(key())],
            OperationType::Update => vec![What::Updated(key())],
            OperationType::Delete => vec![What::Deleted(key())],
            OperationType::Drop => vec![What::Voided(kind.unwrap())],
            OperationType::Rename => [kind, to].into_iter().flatten().map(What::Voided).collect(),
            other => panic!("nobody did {other:?}"),
        };
        let what = what.into_iter().filter(What::is_watched);
        self.heard.extend(what.map(|what| Heard { time, what }));
    }
}

impl What {
    fn is_watched(&self) -> bool {
        match self {
            Self::Stored(key) | Self::Updated(key) | Self::Deleted(key) => {
                WATCHED.contains(&key.kind.as_str())
            }
            Self::Voided(kind) => WATCHED.contains(&kind.as_str()),
        }
    }
}

fn key(kind: &str, document_key: Option<&Document>) -> DocumentKey {
    let id = match document_key.unwrap().get("_id").unwrap() {
        Bson::String(text) => json!(text),
        Bson::Int32(number) => json!(number),
        Bson::ObjectId(id) => json!({ "$oid": id.to_hex() }),
        other => panic!("no writer uses {other:?}"),
    };
    DocumentKey::from_json(kind, &id).unwrap()
}

/// A change stream of the test's own, from its opening on.
pub(super) struct Record {
    history: watch::Receiver<History>,
    marks: Collection<Document>,
    marked: i32,
    _listening: JoinSet<()>,
}

impl Record {
    pub(super) async fn open(database: &Database) -> Self {
        let mut stream = database.watch().await.unwrap();
        let (told, history) = watch::channel(History::default());
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            while let Some(event) = stream.next().await {
                let event = event.unwrap();
                told.send_modify(|history| history.hear(event));
            }
        });
        Self {
            history,
            marks: database.collection(MARKS),
            marked: 0,
            _listening: listening,
        }
    }

    /// Waits until everything that has happened before this call is heard; a time after all of it.
    pub(super) async fn catch_up(&mut self) -> Time {
        self.marked += 1;
        let mark = self.marked;
        let insert = async { self.marks.insert_one(doc! { "_id": mark }).await };
        patiently("the source to take a mark", insert)
            .await
            .unwrap();
        let marked = self.history.wait_for(|history| history.marks >= mark);
        let history = patiently("the mark in the test's own stream", marked).await;
        history.unwrap().last
    }

    /// What has been heard.
    pub(super) fn history(&self) -> watch::Ref<'_, History> {
        self.history.borrow()
    }
}
