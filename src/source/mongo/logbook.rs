//! What the crawl remembers, in the state database: pages, runs and claims of every database that is
//! watched, each under `<database>/<link>`.

use bson::{Document as BsonDocument, doc};
use futures_util::TryStreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MongoSource;
use super::connect::Server;
use super::fault::{DUPLICATE_KEY, code, fault};
use crate::change::DocumentKey;
use crate::logbook::{Logbook, Page, Pages, Run, Runs, name_of};
use crate::{Error, Result};

pub(super) const PAGES: &str = "crawl_pages";
pub(super) const RUNS: &str = "crawl_runs";
pub(super) const CLAIMS: &str = "crawl_claims";

impl Logbook for MongoSource {
    async fn pages(&self, which: Pages, limit: usize) -> Result<Vec<Page>> {
        let server = &self.server;
        let filter = match which {
            Pages::Of(link) => doc! { "_id": server.id_of(&link) },
            Pages::Making(key) => {
                let mut filter = server.after(None);
                filter.insert("document", name_of(&key));
                filter
            }
            Pages::Under(root, after) => {
                let mut filter = server.after(after.as_deref());
                filter.insert("root", root);
                filter
            }
            Pages::After(after) => server.after(after.as_deref()),
        };
        server.recorded(PAGES, filter, limit).await
    }

    async fn save_pages(&self, pages: Vec<Page>) -> Result<()> {
        for page in pages {
            let document = page.document.as_ref().map(name_of);
            let fields = doc! { "root": &page.root, "document": document };
            self.server
                .record((PAGES, &page.link), fields, &page)
                .await?;
        }
        Ok(())
    }

    async fn runs(&self, which: Runs, limit: usize) -> Result<Vec<Run>> {
        let filter = match which {
            Runs::Of(link) => doc! { "_id": self.server.id_of(&link) },
            Runs::After(after) => self.server.after(after.as_deref()),
        };
        self.server.recorded(RUNS, filter, limit).await
    }

    async fn save_run(&self, run: Run) -> Result<()> {
        self.server.record((RUNS, &run.link), doc! {}, &run).await
    }

    async fn rooted(&self, kind: &str, roots: &[String]) -> Result<Vec<DocumentKey>> {
        self.server.rooted(kind, roots).await
    }

    async fn claim(&self, link: &str, owner: &str, (now_ms, until_ms): (u64, u64)) -> Result<bool> {
        let server = &self.server;
        let (claims, id) = (server.state(CLAIMS), server.id_of(link));
        if until_ms <= now_ms {
            let ours = claims.delete_one(doc! { "_id": id, "owner": owner }).await;
            ours.map_err(fault(&server.service, "give a claim back"))?;
            return Ok(true);
        }
        let (now, until) = (now_ms.cast_signed(), until_ms.cast_signed());
        let free = doc! {
            "_id": id, "$or": [{ "owner": owner }, { "until_ms": { "$lte": now } }],
        };
        let taken = doc! { "$set": { "owner": owner, "until_ms": until } };
        match claims.update_one(free, taken).upsert(true).await {
            Ok(_) => Ok(true),
            // It is there and did not match: somebody else's.
            Err(error) if code(&error) == Some(DUPLICATE_KEY) => Ok(false),
            Err(error) => Err(fault(&server.service, "give a claim")(error)),
        }
    }
}

impl Server {
    /// A database's name has no slash.
    fn id_of(&self, link: &str) -> String {
        format!("{}/{link}", self.state_id())
    }

    /// Our records after this link.
    fn after(&self, link: Option<&str>) -> BsonDocument {
        // What follows the slash in ASCII ends our database's.
        let end = format!("{}0", self.state_id());
        doc! { "_id": { "$gt": self.id_of(link.unwrap_or_default()), "$lt": end } }
    }

    async fn recorded<T: DeserializeOwned>(
        &self,
        collection: &str,
        filter: BsonDocument,
        limit: usize,
    ) -> Result<Vec<T>> {
        let read = "read the crawl's record";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let records = self.state(collection);
        let query = records.find(filter).sort(doc! { "_id": 1 }).limit(limit);
        let found = query.await.map_err(fault(&self.service, read))?;
        let found: Vec<BsonDocument> = found
            .try_collect()
            .await
            .map_err(fault(&self.service, read))?;
        let parse = |record: &BsonDocument| {
            let text = record.get_str("record").unwrap_or_default();
            serde_json::from_str(text)
                .map_err(|error| Error::malformed("the crawl's record", error.to_string()))
        };
        found.iter().map(parse).collect()
    }

    async fn record(
        &self,
        (collection, link): (&str, &str),
        mut fields: BsonDocument,
        record: &impl Serialize,
    ) -> Result<()> {
        let text = serde_json::to_string(record)
            .map_err(|error| Error::malformed("the crawl's record", error.to_string()))?;
        fields.insert("record", text);
        let id = doc! { "_id": self.id_of(link) };
        let records = self.state(collection);
        let written = records.replace_one(id, fields).upsert(true).await;
        written.map_err(fault(&self.service, "save the crawl's record"))?;
        Ok(())
    }
}
