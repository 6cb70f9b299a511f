//! Documents of the seed's shape that were inserted while nobody captured.

use bson::{DateTime, Document as BsonDocument, Timestamp, doc};
use futures_util::TryStreamExt as _;
use lockstep::capture::SnapshotPlan;
use lockstep::change::Time;
use lockstep::clock::Clock;
use lockstep::document::author_id;
use lockstep::source::mongo::{MongoSource, Settings};
use lockstep::source::{Checkpoint, Source as _, Watch as _};
use mongodb::Database;

use crate::{Bench, Outcome};

/// Documents of one insert; small enough for a message of the protocol.
const INSERT: usize = 500;
const INSERT_BYTES: usize = 16 << 20;
/// Bodies that the raw publishing repeats.
const BODIES: i64 = 1_000;
const AUTHOR: &str = "Ada Lovelace";

/// What stands in the log of changes after a place.
pub(crate) struct Backlog {
    pub(crate) kind: String,
    pub(crate) count: usize,
    /// How the product is told of its database.
    pub(crate) settings: Settings,
    /// The same database, by the bare driver.
    pub(crate) database: Database,
    /// Just before the first of them.
    pub(crate) before: Checkpoint,
    pub(crate) start: Time,
    /// At or after the last of them.
    pub(crate) end: Time,
}

impl Backlog {
    /// Inserts `count` documents of so many bytes.
    pub(crate) async fn fill(
        bench: &Bench,
        kind: &str,
        (count, bytes): (usize, usize),
    ) -> Outcome<Self> {
        let settings = bench.mongo.settings(kind);
        let database = bench.mongo.database(kind).await?;
        let source = MongoSource::open(settings.clone(), Clock::system()).await?;
        let (position, start) = source.watch(None).await?.here();
        let collection = database.collection::<BsonDocument>(kind);
        let mut made = 0;
        while made < count {
            let next = (count - made).min(INSERT).min(INSERT_BYTES / bytes);
            let documents = (made..made + next).map(|number| document(number, bytes));
            collection.insert_many(documents).await?;
            made += next;
        }
        let (_, end) = source.watch(None).await?.here();
        Ok(Self {
            kind: kind.to_owned(),
            count,
            settings,
            database,
            before: Checkpoint {
                epoch: 1,
                position,
                snapshot: SnapshotPlan::all([], lockstep::change::Version::floor(1, start)),
                kinds: [kind.to_owned()].into(),
                watched: source.watched(),
                resets: 0,
            },
            start,
            end,
        })
    }

    /// Where a bare change stream begins.
    pub(crate) fn first(&self) -> Timestamp {
        Timestamp {
            time: self.start.seconds,
            increment: self.start.increment.saturating_add(1),
        }
    }

    /// What the product has the server do with each event before it is sent.
    pub(crate) fn asked(&self) -> Vec<BsonDocument> {
        let kind = doc! { "$in": [&self.kind] };
        vec![
            doc! { "$match": { "$or": [
                { "ns.coll": &kind },
                { "to.coll": &kind },
                { "operationType": { "$in": ["dropDatabase", "invalidate"] } },
            ] } },
            doc! { "$unset": "updateDescription" },
            doc! { "$changeStreamSplitLargeEvent": {} },
        ]
    }

    /// Some of the documents, as the server stores them.
    pub(crate) async fn bodies(&self) -> Outcome<Vec<Vec<u8>>> {
        let collection = self.database.collection::<bson::RawDocumentBuf>(&self.kind);
        let found = collection.find(doc! {}).limit(BODIES).await?;
        let found: Vec<_> = found.try_collect().await?;
        Ok(found
            .into_iter()
            .map(bson::RawDocumentBuf::into_bytes)
            .collect())
    }
}

/// An article; most of its bytes are text.
pub(crate) fn document(number: usize, bytes: usize) -> BsonDocument {
    let now = DateTime::from_millis(1_700_000_000_000 + i64::try_from(number).unwrap_or(0));
    doc! {
        "platform": "medium",
        "link": format!("https://example.org/articles/{number}"),
        "content": {
            "Title": format!("On engines, part {number}"),
            "Subtitle": "What an engine weaves",
            "Content": text(number as u64, bytes.saturating_sub(450)),
            "language": "en",
        },
        "author_id": author_id(AUTHOR),
        "author_full_name": AUTHOR,
        "published_at": now,
        "modified_at": now,
    }
}

/// Words, with now and then what JSON has to escape; the same for the same number.
fn text(seed: u64, bytes: usize) -> String {
    const WORDS: [&str; 12] = [
        "engine",
        "weaves",
        "patterns",
        "just",
        "as",
        "the",
        "loom",
        "“leaves”",
        "\"quoted\"",
        "and\n",
        "numbers",
        "naïve",
    ];
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        text.push_str(WORDS[random.usize(..WORDS.len())]);
        text.push(' ');
    }
    text
}
