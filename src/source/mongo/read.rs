//! Reading documents, each read at a cluster time that was obtained before it.
//!
//! ```text
//! session: majority read ──> T ──> find, majority, afterClusterTime T ──> content at T or later
//! ```
//!
//! So content is never older than its version, and no snapshot has to be held open. Documents are read as raw
//! bytes: the driver looks at nothing in them, and [`super::json`] takes whatever is there.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use bson::raw::cstr;
use bson::{Bson, RawDocument, RawDocumentBuf, doc, rawdoc};
use futures_util::TryStreamExt as _;
use mongodb::options::{FindOptions, Hint};
use mongodb::{ClientSession, Collection, SessionCursor};

use super::connect::Server;
use super::fault::fault;
use super::id::{self, Id};
use super::portion::{Brought, Portion, Weighed};
use super::{json, lease, place};
use crate::change::{DocumentKey, Time};
use crate::document::{CRAWL_ROOT, Document, crawl_roots};
use crate::source::{PAGE_BYTES, Reading};
use crate::{Error, Result};

impl Server {
    /// A cluster time that has certainly been reached: all that is committed at or before it is in
    /// every later majority read.
    pub(super) async fn now(&self) -> Result<Time> {
        Ok(self.session().await?.1)
    }

    /// A session whose reads are not before the time given with it.
    async fn session(&self) -> Result<(ClientSession, Time)> {
        let started = self.client.start_session().await;
        let mut session = started.map_err(fault(&self.service, "start a session"))?;
        // One shard's clock may be behind what another has shown: its read waits for it.
        let shown = Time::from_sequence(self.shown.load(Ordering::Relaxed));
        if shown > Time::default() {
            session.advance_operation_time(place::timestamp(shown));
        }
        let positions = self.state(lease::POSITIONS);
        let read = positions.find_one(doc! { "_id": &self.settings.database });
        let read = read.projection(doc! { "_id": 1 }).session(&mut session);
        read.await.map_err(fault(&self.service, "tell its time"))?;
        let time = session.operation_time().map(place::time);
        let time = time.ok_or_else(|| {
            Error::unavailable(self.service.clone(), "tell its time")("no operationTime in a reply")
        })?;
        self.shows(time);
        Ok((session, time))
    }

    /// Somebody was shown this time: no later read may say an earlier one.
    pub(super) fn shows(&self, time: Time) {
        self.shown.fetch_max(time.sequence(), Ordering::Relaxed);
    }

    /// These documents as they are now: the first ones, as many as a page holds.
    pub(super) async fn read(&self, keys: &[DocumentKey]) -> Result<Reading<Vec<Option<Weighed>>>> {
        let (mut session, time) = self.session().await?;
        let read_ms = self.clock.now_ms();
        let mut portion = Portion::new();
        loop {
            let asked = portion.due(keys);
            if asked.is_empty() {
                return Ok(Reading {
                    time,
                    read_ms,
                    found: portion.into_found(),
                });
            }
            let room = portion.room();
            let (documents, is_whole) = self.named(asked, room, &mut session).await?;
            portion.take(asked, documents, is_whole);
        }
    }

    /// Those of these documents that are there, in no order, broken off where they have so many bytes; and whether
    /// they are all.
    async fn named(
        &self,
        keys: &[DocumentKey],
        room: usize,
        session: &mut ClientSession,
    ) -> Result<(HashMap<DocumentKey, Weighed>, bool)> {
        let mut by_kind: HashMap<&str, Vec<Bson>> = HashMap::new();
        let mut by_bytes = Vec::new();
        for key in keys {
            match id::id(&key.id)? {
                Id::Value(id) => by_kind.entry(&key.kind).or_default().push(id),
                Id::Bytes(id) => by_bytes.push((&key.kind, id)),
            }
        }
        let mut brought = Brought::new(keys, room);
        for (kind, ids) in by_kind {
            let collection = self.raw(kind);
            let query = collection.find(doc! { "_id": { "$in": ids } });
            let found = query.session(&mut *session).await;
            let mut found = found.map_err(fault(&self.service, "read documents"))?;
            let mut found = found.stream(session);
            while let Some(stored) = next(&mut found, self).await? {
                brought.row(document(kind, &stored)?, stored.as_bytes().len());
                if brought.is_full() {
                    return Ok(brought.into_parts());
                }
            }
        }
        for (kind, id) in by_bytes {
            // It, or the one behind it.
            let mut found = self.rows_from_bytes(kind, &id, 1, session).await?;
            let mut found = found.stream(session);
            while let Some(stored) = next(&mut found, self).await? {
                brought.row(document(kind, &stored)?, stored.as_bytes().len());
                if brought.is_full() {
                    return Ok(brought.into_parts());
                }
            }
        }
        Ok(brought.into_parts())
    }

    /// The next documents after an `_id`, in the order of the server's own index over all types.
    ///
    /// `{_id: {$gt: x}}` would stay within the type of `x`; a lower bound of the index does not. It
    /// includes `x` itself, so one more is asked for.
    pub(super) async fn page(
        &self,
        kind: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Reading<Vec<Document>>> {
        let (mut session, time) = self.session().await?;
        let read_ms = self.clock.now_ms();
        let from = after.as_deref().map(id::id).transpose()?;
        let rows = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut query = match from {
            Some(Id::Bytes(from)) => {
                let rows = self.rows_from_bytes(kind, &from, rows, &mut session);
                rows.await?
            }
            Some(Id::Value(from)) => self.rows(kind, Some(from), rows, &mut session).await?,
            None => self.rows(kind, None, rows, &mut session).await?,
        };
        let mut rows = query.stream(&mut session);
        let (mut found, mut bytes) = (Vec::new(), 0);
        while found.len() < limit
            && bytes < PAGE_BYTES
            && let Some(stored) = next(&mut rows, self).await?
        {
            let row = document(kind, &stored)?;
            if after.as_ref() != Some(&row.key.id) {
                bytes += stored.as_bytes().len();
                found.push(row);
            }
        }
        Ok(Reading {
            time,
            read_ms,
            found,
        })
    }

    /// So many documents from this `_id` on.
    async fn rows(
        &self,
        kind: &str,
        from: Option<Bson>,
        limit: i64,
        session: &mut ClientSession,
    ) -> Result<SessionCursor<RawDocumentBuf>> {
        let index = doc! { "_id": 1 };
        let mut options = FindOptions::builder()
            .sort(index.clone())
            .hint(Hint::Keys(index))
            .limit(limit)
            .build();
        options.min = from.map(|id| doc! { "_id": id });
        let collection = self.raw(kind);
        let query = collection.find(doc! {}).with_options(options);
        let query = query.session(session).await;
        query.map_err(fault(&self.service, "read a page"))
    }

    /// The same from an `_id` that is known by its bytes: only a whole command of our own may hold what is no text.
    async fn rows_from_bytes(
        &self,
        kind: &str,
        from: &RawDocument,
        limit: i64,
        session: &mut ClientSession,
    ) -> Result<SessionCursor<RawDocumentBuf>> {
        let mut concern = rawdoc! { "level": "majority" };
        if let Some(time) = session.operation_time() {
            concern.append(cstr!("afterClusterTime"), time);
        }
        let mut find = rawdoc! {
            "find": kind, "sort": { "_id": 1 }, "hint": { "_id": 1 }, "limit": limit,
            "readConcern": concern,
        };
        find.append(cstr!("min"), from);
        let database = self.database();
        let query = database.run_raw_cursor_command(find).session(session).await;
        let query = query.map_err(fault(&self.service, "read a page"))?;
        Ok(query.with_type())
    }

    /// The documents whose `crawl_root` is one of these, or a list with one. The collection may compare texts by rules of
    /// its own, and who asks may delete what is found.
    pub(super) async fn rooted(&self, kind: &str, roots: &[String]) -> Result<Vec<DocumentKey>> {
        let collection = self.raw(kind);
        let find = collection.find(doc! { CRAWL_ROOT: { "$in": roots } });
        let found = find.projection(doc! { "_id": 1, CRAWL_ROOT: 1 }).await;
        let mut rows = found.map_err(fault(&self.service, "read documents"))?;
        let mut keys = Vec::new();
        while let Some(stored) = next(&mut rows, self).await? {
            let Document { key, fields } = document(kind, &stored)?;
            if crawl_roots(&fields).any(|root| roots.iter().any(|one| one == root)) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// The collections that are watched, with or without documents.
    pub(super) async fn collections(&self) -> Result<Vec<String>> {
        let database = self.database();
        let query = database.list_collections();
        let query = query.filter(doc! { "type": "collection" }).await;
        let listed = query.map_err(fault(&self.service, "list its collections"))?;
        let listed: Vec<_> = listed
            .try_collect()
            .await
            .map_err(fault(&self.service, "list its collections"))?;
        let names = listed.into_iter().map(|collection| collection.name);
        Ok(names.filter(|kind| self.settings.watches(kind)).collect())
    }

    /// Whether a collection has documents.
    pub(super) async fn has_documents(&self, kind: &str) -> Result<bool> {
        let collection = self.raw(kind);
        let query = collection.find_one(doc! {});
        let found = query.projection(doc! { "_id": 1 }).await;
        Ok(found
            .map_err(fault(&self.service, "read a document"))?
            .is_some())
    }

    /// How many documents a collection has, as its statistics say.
    pub(super) async fn count(&self, kind: &str) -> Result<u64> {
        let count = self.raw(kind).estimated_document_count().await;
        count.map_err(fault(&self.service, "count documents"))
    }

    /// The time of the log's first entry, where it may be read.
    pub(super) async fn oplog_start(&self) -> Option<Time> {
        let log: Collection<RawDocumentBuf> = self.client.database("local").collection("oplog.rs");
        let first = log.find_one(doc! {}).sort(doc! { "$natural": 1 });
        let first = first.projection(doc! { "ts": 1 }).await.ok()??;
        Some(place::time(first.get_timestamp("ts").ok()?))
    }

    fn raw(&self, kind: &str) -> Collection<RawDocumentBuf> {
        self.database().collection(kind)
    }
}

/// The next document of a query.
async fn next(
    rows: &mut (impl futures_util::Stream<Item = mongodb::error::Result<RawDocumentBuf>> + Unpin),
    server: &Server,
) -> Result<Option<RawDocumentBuf>> {
    rows.try_next()
        .await
        .map_err(fault(&server.service, "read documents"))
}

fn document(kind: &str, stored: &RawDocument) -> Result<Document> {
    let key = id::key(kind, stored)?;
    let fields = json::fields(&key, stored)?;
    Ok(Document { key, fields })
}
