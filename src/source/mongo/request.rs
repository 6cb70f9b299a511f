//! Asking the active capture, from any process that reaches the state database.
//!
//! ```text
//! ask ──> request ──taken by the owner of the lease──> done: count ──> the asker removes it
//! ```
//!
//! A request that was taken and not done is taken again by the next owner.

use bson::{Document as BsonDocument, doc, oid::ObjectId};
use futures_util::TryStreamExt as _;

use super::fault::fault;
use super::lease::{POLL, POSITIONS};
use super::{Lease, MongoSource, id};
use crate::capture::Resync;
use crate::change::DocumentKey;
use crate::{Error, Result};

/// The collection of requests.
pub(super) const REQUESTS: &str = "requests";

/// An answer is kept for so long for somebody to read it.
const ANSWERED_SECONDS: i64 = 24 * 60 * 60;

/// Requests taken at a time.
const TAKEN_MAX: i64 = 100;

/// A request that somebody waits for.
#[derive(Debug)]
pub struct Asked {
    id: ObjectId,
    /// What is to be read again.
    pub what: Resync,
}

impl MongoSource {
    /// Asks the active capture to read documents again; returns how many changes it sent (for a
    /// type, 0 when its snapshot is planned). Waits until there is an active capture.
    ///
    /// # Errors
    /// [`Error::Refused`] with the reason where the source does not give them; what the server says.
    ///
    /// A dropped call leaves the request standing: it is answered all the same.
    pub async fn ask(&self, what: &Resync) -> Result<u64> {
        let server = &self.server;
        let (requests, id) = (server.state(REQUESTS), ObjectId::new());
        // Who asked for these went before the answer came.
        let old = doc! { "_id": { "$lt": made_before(id) }, "done": { "$exists": true } };
        let removed = requests.delete_many(old).await;
        removed.map_err(fault(&server.service, "remove old requests"))?;
        let mut request = doc! { "_id": id, "database": server.state_id() };
        match what {
            Resync::Kind(kind) => request.insert("kind", kind),
            Resync::Keys(keys) => request.insert("keys", written(keys)),
            Resync::Fill(edition) => request.insert("fill", edition.map(i64::from)),
        };
        let asked = requests.insert_one(request).await;
        asked.map_err(fault(&server.service, "take a request"))?;
        loop {
            let found = requests.find_one(doc! { "_id": id, "done": { "$exists": true } });
            let found = found
                .await
                .map_err(fault(&server.service, "answer a request"))?;
            if let Some(answer) = found {
                let removed = requests.delete_one(doc! { "_id": id }).await;
                removed.map_err(fault(&server.service, "remove a request"))?;
                if let Ok(why) = answer.get_str("failed") {
                    return Err(Error::Refused {
                        service: "the active capture".into(),
                        why: why.to_owned(),
                        fix: "mend that, or leave that document out, then ask again".into(),
                    });
                }
                let done = answer.get_i64("done").unwrap_or(0);
                return Ok(u64::try_from(done).unwrap_or(0));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Stops capture until it is resumed, also over restarts; the active capture looks at it.
    pub async fn set_paused(&self, paused: bool) -> Result<()> {
        let server = &self.server;
        let ours = doc! { "_id": server.state_id() };
        let pause = doc! { "$set": { "paused": paused } };
        let positions = server.state(POSITIONS);
        let set = positions.update_one(ours, pause).upsert(true).await;
        set.map_err(fault(&server.service, "pause capture"))?;
        Ok(())
    }

    /// Whether capture is to stand still.
    pub async fn is_paused(&self) -> Result<bool> {
        let state = self.server.state_document().await?;
        Ok(state.is_some_and(|state| state.get_bool("paused").unwrap_or(false)))
    }
}

impl Lease {
    /// The oldest requests that are not done. One that cannot be read is refused.
    pub async fn take_requests(&self) -> Result<Vec<Asked>> {
        let server = &self.server;
        let open = doc! { "database": server.state_id(), "done": { "$exists": false } };
        let requests = server.state(REQUESTS);
        let query = requests
            .find(open)
            .sort(doc! { "_id": 1 })
            .limit(TAKEN_MAX)
            .await;
        let found = query.map_err(fault(&server.service, "read requests"))?;
        let found: Vec<_> = found
            .try_collect()
            .await
            .map_err(fault(&server.service, "read requests"))?;
        let mut asked = Vec::new();
        for request in found {
            let Ok(id) = request.get_object_id("_id") else {
                continue;
            };
            if let Some(what) = what(&request) {
                asked.push(Asked { id, what });
                continue;
            }
            let why = "it does not know what is asked; another version of lockstep asked it";
            let failed = doc! { "done": 0_i64, "failed": why };
            self.answer_with(id, failed).await?;
        }
        Ok(asked)
    }

    /// Says that a request is done, and how many changes it took.
    pub async fn answer(&self, asked: &Asked, count: u64) -> Result<()> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.answer_with(asked.id, doc! { "done": count }).await
    }

    /// Says that a request cannot be done, and why: else it would stand for ever.
    pub async fn refuse(&self, asked: &Asked, why: &str) -> Result<()> {
        let failed = doc! { "done": 0_i64, "failed": why };
        self.answer_with(asked.id, failed).await
    }

    async fn answer_with(&self, id: ObjectId, answer: BsonDocument) -> Result<()> {
        let done = doc! { "$set": answer };
        let requests = self.server.state(REQUESTS);
        let answered = requests.update_one(doc! { "_id": id }, done).await;
        answered.map_err(fault(&self.server.service, "answer a request"))?;
        Ok(())
    }
}

/// The least id of a request that is at most a day older than this one.
fn made_before(id: ObjectId) -> ObjectId {
    let seconds = id.timestamp().timestamp_millis() / 1_000 - ANSWERED_SECONDS;
    let seconds = u32::try_from(seconds).unwrap_or_default();
    ObjectId::from_parts(seconds, [0; 5], [0; 3])
}

fn written(keys: &[DocumentKey]) -> Vec<BsonDocument> {
    let written = |key: &DocumentKey| doc! { "kind": &key.kind, "id": &key.id };
    keys.iter().map(written).collect()
}

fn what(request: &BsonDocument) -> Option<Resync> {
    if let Ok(kind) = request.get_str("kind") {
        return Some(Resync::Kind(kind.to_owned()));
    }
    match request.get("fill") {
        Some(bson::Bson::Null) => return Some(Resync::Fill(None)),
        Some(edition) => {
            let edition = edition
                .as_i64()
                .and_then(|edition| u32::try_from(edition).ok());
            return Some(Resync::Fill(Some(edition?)));
        }
        None => {}
    }
    let key = |key: &bson::Bson| -> Option<DocumentKey> {
        let key = key.as_document()?;
        let id = key.get_str("id").ok()?;
        // Only what names a document.
        id::id(id).ok()?;
        Some(DocumentKey {
            kind: key.get_str("kind").ok()?.to_owned(),
            id: id.to_owned(),
        })
    };
    let keys = request.get_array("keys").ok()?.iter().map(key);
    Some(Resync::Keys(keys.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let keys = [json!(5), json!({"$oid": "65f0a1b2c3d4e5f6a7b8c9d0"})];
        let keys = keys.map(|id| DocumentKey::from_json("posts", &id).unwrap());
        let asked = what(&doc! { "keys": written(&keys) });
        assert_eq!(asked, Some(Resync::Keys(keys.to_vec())));
        let kind = "posts".to_owned();
        assert_eq!(what(&doc! { "kind": &kind }), Some(Resync::Kind(kind)));
        for edition in [None, Some(2)] {
            let asked = what(&doc! { "fill": edition.map(i64::from) });
            assert_eq!(asked, Some(Resync::Fill(edition)));
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_request() {
        let no_id = doc! { "keys": [{ "kind": "posts", "id": "{" }] };
        assert_eq!((what(&doc! {}), what(&no_id)), (None, None));
        assert_eq!(what(&doc! { "fill": -1 }), None);
    }
}
