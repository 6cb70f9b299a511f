//! A writer that inserts, edits and deletes documents at random, and drops a type now and then.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use lockstep::change::Time;
use mongodb::bson::{Document, doc};
use mongodb::{ClientSession, Collection, Database};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::book::{Book, KINDS};
use crate::support::edited::{PARAGRAPHS, Revision, text};

/// How somebody writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habit {
    /// Between two writes at most, so that others get on; longer where there are more documents.
    pub(crate) pause_ms: u64,
    /// One write in so many drops a type; none for never.
    pub(crate) drop: Option<u32>,
}

impl Habit {
    /// As fast as others get on.
    pub(super) const RESTLESS: Self = Self {
        pause_ms: 6,
        drop: Some(400),
    };
}

/// The writer at work.
pub(crate) struct Writer {
    stop: watch::Sender<bool>,
    writing: JoinSet<u32>,
}

/// A document as it is: the revisions of its paragraphs.
type Revisions = Vec<Revision>;

struct Pen {
    database: Database,
    session: ClientSession,
    book: Arc<Mutex<Book>>,
    /// The documents that there are.
    now: Vec<Option<Revisions>>,
    /// The last revision of each paragraph that ever was.
    last: Vec<[Revision; PARAGRAPHS]>,
    random: Rng,
    habit: Habit,
}

impl Writer {
    /// Writes two thirds of the documents, then starts.
    pub(crate) async fn start(
        database: &Database,
        documents: usize,
        book: &Arc<Mutex<Book>>,
        random: &mut Rng,
        habit: Habit,
    ) -> Self {
        let mut pen = Pen {
            database: database.clone(),
            session: database.client().start_session().await.unwrap(),
            book: Arc::clone(book),
            now: vec![None; documents],
            last: vec![[0; PARAGRAPHS]; documents],
            random: random.fork(),
            habit,
        };
        for document in 0..documents * 2 / 3 {
            pen.edit(document).await;
        }
        let (stop, stopped) = watch::channel(false);
        let mut writing = JoinSet::new();
        writing.spawn(pen.run(stopped));
        Self { stop, writing }
    }

    /// Stops it; how much it wrote.
    pub(crate) async fn stop(mut self) -> u32 {
        self.stop.send_replace(true);
        self.writing.join_next().await.unwrap().unwrap()
    }
}

impl Pen {
    async fn run(mut self, stopped: watch::Receiver<bool>) -> u32 {
        let mut count = 0;
        while !*stopped.borrow() {
            let document = self.random.usize(0..self.now.len());
            let drops = self.habit.drop;
            if drops.is_some_and(|one_in| self.random.u32(0..one_in) == 0) {
                self.drop_kind(document).await;
            } else if self.now[document].is_some() && self.random.u8(0..3) == 0 {
                self.delete(document).await;
            } else {
                self.edit(document).await;
            }
            count += 1;
            let at_most = self.habit.pause_ms + self.now.len() as u64 / 200;
            let pause = Duration::from_millis(self.random.u64(0..=at_most));
            tokio::time::sleep(pause).await;
        }
        count
    }

    fn collection(&self, document: usize) -> Collection<Document> {
        self.database.collection(KINDS[document % KINDS.len()])
    }

    /// Inserts it, or changes a paragraph of it, or nothing but its link.
    async fn edit(&mut self, document: usize) {
        let is_new = self.now[document].is_none();
        if is_new {
            let count = self.random.usize(1..=PARAGRAPHS);
            self.now[document] = Some(vec![0; count]);
            for paragraph in 0..count {
                self.revise(document, paragraph);
            }
        } else if self.random.u8(0..8) > 0 {
            let count = self.now[document].as_ref().unwrap().len();
            let paragraph = self.random.usize(0..count);
            self.revise(document, paragraph);
        }
        let (collection, id) = (self.collection(document), format!("d{document}"));
        let content = self.content(document);
        let link = format!("https://example.org/{document}/{}", self.random.u16(..));
        if is_new || self.random.bool() {
            let whole = doc! {
                "_id": &id,
                "platform": "medium",
                "author_id": "ada",
                "link": link,
                "content": content,
            };
            let replace = collection
                .replace_one(doc! { "_id": id }, whole)
                .upsert(true);
            replace.session(&mut self.session).await.unwrap();
        } else {
            let set = doc! { "$set": { "content": content, "link": link } };
            let update = collection.update_one(doc! { "_id": id }, set);
            update.session(&mut self.session).await.unwrap();
        }
        self.note(document, false);
    }

    async fn delete(&mut self, document: usize) {
        let one = doc! { "_id": format!("d{document}") };
        let collection = self.collection(document);
        let delete = collection.delete_one(one);
        delete.session(&mut self.session).await.unwrap();
        self.now[document] = None;
        self.note(document, true);
    }

    /// Drops the type of this document.
    async fn drop_kind(&mut self, document: usize) {
        let collection = self.collection(document);
        let drop = collection.drop();
        drop.session(&mut self.session).await.unwrap();
        for gone in (document % KINDS.len()..self.now.len()).step_by(KINDS.len()) {
            if self.now[gone].take().is_some() {
                self.note(gone, true);
            }
        }
    }

    fn revise(&mut self, document: usize, paragraph: usize) {
        let last = &mut self.last[document][paragraph];
        *last += 1;
        self.now[document].as_mut().unwrap()[paragraph] = *last;
    }

    fn content(&self, document: usize) -> Document {
        let revisions = self.now[document].iter().flatten().enumerate();
        let texts = revisions.map(|(paragraph, revision)| text((document, paragraph), *revision));
        let texts: Vec<_> = texts.collect();
        doc! { "Title": format!("Document {document}"), "Content": texts.join("\n\n") }
    }

    /// From the time of the session's last write on, nothing older is there.
    fn note(&self, document: usize, is_delete: bool) {
        let time = self.session.operation_time().unwrap();
        let time = Time {
            seconds: time.time,
            increment: time.increment,
        };
        let mut oldest = self.last[document].map(|last| last + 1);
        let now = self.now[document].iter().flatten();
        for (oldest, now) in oldest.iter_mut().zip(now) {
            *oldest = *now;
        }
        let mut book = self.book.lock().unwrap();
        book.done(document, time, oldest, is_delete);
    }
}
