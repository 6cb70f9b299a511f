//! One capture is active, the others stand by: positions under a lease with a fencing number.
//!
//! ```text
//! acquire: free or expired? ──no──> wait a second, or less ──> ask again
//!              └─yes─> owner, fence + 1 ──> save, renew: only where the fence is still ours
//! ```
//!
//! Time is the server's alone (`$$NOW`): the clocks of the processes need not agree. Who was fenced
//! off may have published what its successor publishes again; versions make that harmless.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document as BsonDocument, doc};
use mongodb::options::ReturnDocument;

use super::MongoSource;
use super::connect::Server;
use super::fault::{DUPLICATE_KEY, code, fault};
use crate::source::{Checkpoint, Checkpoints};
use crate::{Error, Recovery, Result};

/// The collection of positions: one document a watched database.
pub(super) const POSITIONS: &str = "positions";

/// The end of a lease that nobody has.
pub(super) const NEVER: bson::DateTime = bson::DateTime::from_millis(0);

/// Says that capture is ours, as long as it is renewed.
///
/// Renewed by every save; [`Lease::keep`] renews it besides. Dropped without [`Lease::release`] it
/// keeps others waiting until it expires.
#[derive(Debug)]
pub struct Lease {
    pub(super) server: Arc<Server>,
    fence: i64,
}

impl MongoSource {
    /// Waits until capture of this database is free or its lease has expired, and takes it: a second after that at
    /// the latest, while the server answers.
    ///
    /// `owner` is for people: host and process, say. Cancel safe.
    pub async fn acquire(&self, owner: &str) -> Result<Lease> {
        let server = self.server.clone();
        loop {
            if let Some(fence) = server.take_lease(owner).await? {
                return Ok(Lease { server, fence });
            }
            tokio::time::sleep(pause(server.settings.lease)).await;
        }
    }

    /// The last saved checkpoint, whoever saved it.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        self.server.checkpoint().await
    }
}

impl Lease {
    /// The fencing number: each owner's is greater than its predecessor's.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// Renews the lease for as long as it is polled.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another process has taken over, and what trying again cannot mend.
    pub async fn keep(&self) -> Result<Infallible> {
        loop {
            match self.write(doc! {}).await {
                Ok(()) => {}
                Err(error) => match error.recovery() {
                    Recovery::Retry(_) => {
                        tracing::warn!(error = %error.chain(), "the lease is not renewed yet");
                    }
                    Recovery::Park | Recovery::Stop => return Err(error),
                },
            }
            tokio::time::sleep(self.server.settings.lease / 3).await;
        }
    }

    /// Lets the next one take over at once. A lease that was taken over already is no error, nor is a server that
    /// is away: then it ends by itself.
    pub async fn release(self) -> Result<()> {
        let free = doc! { "owner": Bson::Null, "expires": NEVER };
        match self.write(free).await {
            Err(Error::Fenced { .. }) => Ok(()),
            Err(error) if matches!(error.recovery(), Recovery::Retry(_)) => {
                tracing::warn!(error = %error.chain(), "the lease is not given back, and will expire");
                Ok(())
            }
            other => other,
        }
    }

    /// Writes fields of the state, and renews, if the lease is still ours.
    pub(super) async fn write(&self, fields: BsonDocument) -> Result<()> {
        let mut set = doc! { "expires": self.server.expiry() };
        // Literal, since text of ours may begin with a dollar sign.
        let fields = fields.into_iter();
        set.extend(fields.map(|(name, value)| (name, doc! { "$literal": value }.into())));
        let positions = self.server.state(POSITIONS);
        let ours = doc! { "_id": self.server.state_id(), "fence": self.fence };
        let written = positions.update_one(ours, vec![doc! { "$set": set }]).await;
        let written = written.map_err(fault(&self.server.service, "save the position"))?;
        if written.matched_count == 0 {
            return Err(Error::Fenced { what: "capture" });
        }
        Ok(())
    }
}

impl Checkpoints for Lease {
    async fn load(&self) -> Result<Option<Checkpoint>> {
        self.server.checkpoint().await
    }

    async fn save(&self, checkpoint: Checkpoint) -> Result<()> {
        let text = serde_json::to_string(&checkpoint)
            .map_err(|error| Error::malformed("the checkpoint", error.to_string()))?;
        self.write(doc! { "checkpoint": text }).await
    }
}

impl Server {
    /// The name of our document among the positions.
    pub(super) fn state_id(&self) -> &str {
        &self.settings.database
    }

    pub(super) async fn state_document(&self) -> Result<Option<BsonDocument>> {
        let positions = self.state(POSITIONS);
        let found = positions.find_one(doc! { "_id": self.state_id() }).await;
        found.map_err(fault(&self.service, "read the position"))
    }

    async fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let Some(state) = self.state_document().await? else {
            return Ok(None);
        };
        let Ok(text) = state.get_str("checkpoint") else {
            return Ok(None);
        };
        let parsed = serde_json::from_str(text);
        parsed
            .map(Some)
            .map_err(|error| Error::malformed("the saved checkpoint", error.to_string()))
    }

    /// When a lease taken or renewed now ends, by the server's clock.
    fn expiry(&self) -> Bson {
        let lease_ms = i64::try_from(self.settings.lease.as_millis()).unwrap_or(i64::MAX);
        // As numbers, which every server adds alike.
        let expires = doc! { "$add": [{ "$toLong": "$$NOW" }, lease_ms] };
        doc! { "$toDate": expires }.into()
    }

    /// Takes the lease if it is free or has expired; gives its fencing number.
    async fn take_lease(&self, owner: &str) -> Result<Option<i64>> {
        // A name of this attempt alone: a repeated answer of ours is not another's.
        let token = uuid::Uuid::new_v4().to_string();
        // As numbers, which every server compares alike.
        let expires = doc! { "$toLong": { "$ifNull": ["$expires", NEVER] } };
        let free = doc! { "$lte": [expires, { "$toLong": "$$NOW" }] };
        let if_free = |taken: Bson, field: &str| -> Bson {
            doc! { "$cond": [free.clone(), taken, field] }.into()
        };
        let next = doc! { "$add": [{ "$ifNull": ["$fence", 0_i64] }, 1_i64] };
        let set = doc! {
            "owner": if_free(doc! { "$literal": owner }.into(), "$owner"),
            "taken_by": if_free(token.clone().into(), "$taken_by"),
            "fence": if_free(next.into(), "$fence"),
            "expires": if_free(self.expiry(), "$expires"),
            "at_rest": if_free(false.into(), "$at_rest"),
        };
        let positions = self.state(POSITIONS);
        let take = positions
            .find_one_and_update(doc! { "_id": self.state_id() }, vec![doc! { "$set": set }])
            .upsert(true)
            .return_document(ReturnDocument::After);
        let state = match take.await {
            // Another one's first lease came between.
            Err(error) if code(&error) == Some(DUPLICATE_KEY) => None,
            other => other.map_err(fault(&self.service, "give the lease"))?,
        };
        let ours = state.filter(|state| state.get_str("taken_by").is_ok_and(|by| by == token));
        Ok(ours.and_then(|state| state.get_i64("fence").ok()))
    }
}

/// The time between two questions of who waits for something in the state database.
pub(super) const POLL: Duration = Duration::from_millis(200);

/// The longest time between two questions of who stands by.
const QUESTION: Duration = Duration::from_secs(1);

/// The time between two questions of who stands by: a takeover may be so much later than the lease's end.
fn pause(lease: Duration) -> Duration {
    QUESTION.min(lease / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_by_asks_every_second_however_long_the_lease() {
        for (lease_ms, pause_ms) in [
            (300, 100),
            (3_000, 1_000),
            (15_000, 1_000),
            (3_600_000, 1_000),
        ] {
            let lease = Duration::from_millis(lease_ms);
            assert_eq!(pause(lease), Duration::from_millis(pause_ms), "{lease:?}");
        }
    }
}
