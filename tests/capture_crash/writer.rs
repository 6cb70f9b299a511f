//! Writers that do at random what users do to a source, until they are told to stop.

use std::sync::Arc;

use fastrand::Rng;
use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use mongodb::{Client, ClientSession, Collection, Database};
use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;

use super::WATCHED;

/// A collection that capture does not watch, for renames out of and into watched ones.
const ATTIC: &str = "attic";
/// Writers at once.
const WRITERS: u64 = 3;
/// One in so many writes of the first writer concerns a whole collection.
const WHOLE: u32 = 60;

type Done = mongodb::error::Result<()>;

/// What the writers did.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) done: u32,
    /// Writes that the server refused: duplicates, conflicts of transactions.
    pub(super) refused: u32,
}

/// Writers at work.
pub(super) struct Writers {
    stop: watch::Sender<bool>,
    writing: JoinSet<Tally>,
}

impl Writers {
    /// Starts them on so many documents of every watched collection.
    pub(super) fn start(database: &Database, documents: u32, random: &mut Rng) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut writing = JoinSet::new();
        let quiet = Arc::default();
        for number in 0..WRITERS {
            let writer = Writer {
                database: database.clone(),
                documents,
                is_first: number == 0,
                random: random.fork(),
                quiet: Arc::clone(&quiet),
            };
            writing.spawn(writer.run(stopped.clone()));
        }
        Self { stop, writing }
    }

    /// Stops them; each write is done or refused.
    pub(super) async fn stop(self) -> Tally {
        self.stop.send_replace(true);
        let mut all = Tally::default();
        for tally in self.writing.join_all().await {
            all.done += tally.done;
            all.refused += tally.refused;
        }
        all
    }
}

/// Fills the watched collections.
pub(super) async fn fill(database: &Database, documents: u32, random: &mut Rng) {
    for kind in WATCHED {
        let filled = (0..documents).map(|number| document(id(number), random));
        let filled: Vec<_> = filled.collect();
        let collection = database.collection::<Document>(kind);
        collection.insert_many(filled).await.unwrap();
    }
}

struct Writer {
    database: Database,
    documents: u32,
    is_first: bool,
    random: Rng,
    /// Held alone while whole collections change: the tests' server stands still for ever now and then
    /// when a drop or a rename meets a transaction.
    quiet: Arc<RwLock<()>>,
}

impl Writer {
    async fn run(mut self, stopped: watch::Receiver<bool>) -> Tally {
        let mut tally = Tally::default();
        while !*stopped.borrow() {
            match self.write().await {
                Ok(()) => tally.done += 1,
                Err(error) if is_refusal(&error) => tally.refused += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        tally
    }

    async fn write(&mut self) -> Done {
        let quiet = Arc::clone(&self.quiet);
        if self.is_first && self.random.u32(0..WHOLE) == 0 {
            let _alone = quiet.write().await;
            return self.whole().await;
        }
        let _among_others = quiet.read().await;
        if self.random.u8(0..10) == 0 {
            return self.transaction().await;
        }
        let deed = self.deed();
        deed.done(&self.database, None).await
    }

    fn deed(&mut self) -> Deed {
        let random = &mut self.random;
        let kind = random.choice(WATCHED).unwrap();
        let id = id(random.u32(0..self.documents));
        let what = match random.u8(0..10) {
            0..2 => What::Insert(document(id.clone(), random)),
            2..6 => What::Set(doc! { "text": text(random), "edited.by": random.i32(..) }),
            6..8 => What::Replace(document(id.clone(), random)),
            _ => What::Delete,
        };
        Deed { kind, id, what }
    }

    /// Several documents at one time, now and then one of them twice.
    async fn transaction(&mut self) -> Done {
        let mut session = self.database.client().start_session().await?;
        session.start_transaction().await?;
        for _ in 0..self.random.u8(2..6) {
            let deed = self.deed();
            if let Err(error) = deed.done(&self.database, Some(&mut session)).await {
                // The server may have given it up already.
                session.abort_transaction().await.ok();
                return Err(error);
            }
        }
        session.commit_transaction().await
    }

    /// Drops a collection; renames one out of what is watched, into it, or within it; or edits all of
    /// its documents, so that much is on its way at once.
    async fn whole(&mut self) -> Done {
        let random = &mut self.random;
        let kind = random.choice(WATCHED).unwrap();
        let other = random.choice(WATCHED).unwrap();
        let collection = self.database.collection::<Document>(kind);
        match random.u8(0..8) {
            0 => collection.drop().await,
            1 => self.rename(kind, ATTIC).await,
            2 => self.rename(ATTIC, kind).await,
            3 if kind != other => self.rename(kind, other).await,
            _ => {
                let edit = doc! { "$set": { "text": text(random) } };
                collection.update_many(doc! {}, edit).await.map(drop)
            }
        }
    }

    async fn rename(&self, from: &str, to: &str) -> Done {
        let name = self.database.name();
        let command = doc! {
            "renameCollection": format!("{name}.{from}"),
            "to": format!("{name}.{to}"),
            "dropTarget": true,
        };
        let client: &Client = self.database.client();
        client.database("admin").run_command(command).await?;
        Ok(())
    }
}

/// A write of one document.
struct Deed {
    kind: &'static str,
    id: Bson,
    what: What,
}

enum What {
    Insert(Document),
    Set(Document),
    Replace(Document),
    Delete,
}

impl Deed {
    async fn done(self, database: &Database, session: Option<&mut ClientSession>) -> Done {
        let collection: Collection<Document> = database.collection(self.kind);
        let one = doc! { "_id": self.id };
        macro_rules! within {
            ($write:expr) => {
                match session {
                    Some(session) => $write.session(session).await.map(drop),
                    None => $write.await.map(drop),
                }
            };
        }
        match self.what {
            What::Insert(document) => within!(collection.insert_one(document)),
            What::Set(fields) => within!(collection.update_one(one, doc! { "$set": fields })),
            What::Replace(document) => {
                within!(collection.replace_one(one, document).upsert(true))
            }
            What::Delete => within!(collection.delete_one(one)),
        }
    }
}

/// The `_id` of a number: texts, integers and object ids, mixed in one collection.
fn id(number: u32) -> Bson {
    match number % 3 {
        0 => Bson::String(format!("d{number}")),
        1 => Bson::Int32(i32::try_from(number).unwrap()),
        _ => {
            let mut bytes = [7; 12];
            bytes[8..].copy_from_slice(&number.to_be_bytes());
            Bson::ObjectId(ObjectId::from_bytes(bytes))
        }
    }
}

fn document(id: Bson, random: &mut Rng) -> Document {
    doc! {
        "_id": id,
        "text": text(random),
        "count": random.i64(0..1 << 50),
        "share": random.f64(),
        "at": DateTime::from_millis(random.i64(0..2_000_000_000_000)),
        "edited": { "by": random.i32(..) },
    }
}

/// Mostly short; some are long enough that a connection is cut within them.
fn text(random: &mut Rng) -> String {
    let words = if random.u8(0..20) == 0 { 4_000 } else { 10 };
    let word = |_| format!("{:x} ", random.u16(..));
    (0..words).map(word).collect()
}

/// Whether the server may say so to concurrent writers: a duplicate, a conflict, a collection that is
/// not there.
fn is_refusal(error: &mongodb::error::Error) -> bool {
    use mongodb::error::{ErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure};
    const NO_COLLECTION: i32 = 26;
    const DUPLICATE: i32 = 11_000;
    const CONFLICT: i32 = 112;
    let code = match &*error.kind {
        ErrorKind::Command(error) => error.code,
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code,
        _ => 0,
    };
    [NO_COLLECTION, DUPLICATE, CONFLICT].contains(&code)
        || error.contains_label(TRANSIENT_TRANSACTION_ERROR)
}
