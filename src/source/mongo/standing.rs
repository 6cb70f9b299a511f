//! How capture stands, for people, and moving its position while it rests.
//!
//! ```text
//! pause ──> the active capture says that it rests ──> reset | rewind ──> resume
//! ```
//!
//! A position may be moved only while nobody saves one: capture rests, or no process holds its lease.

use std::time::Duration;

use bson::{Bson, doc};

use super::MongoSource;
use super::fault::{DUPLICATE_KEY, code, fault};
use super::lease::{Lease, NEVER, POLL, POSITIONS};
use super::place::Place;
use crate::change::{Position, Time};
use crate::source::Checkpoint;
use crate::{Error, Result};

/// How capture stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The process that captures, if any does.
    pub owner: Option<String>,
    /// Whether it was asked to stand still.
    pub paused: bool,
    /// What was saved last.
    pub checkpoint: Option<Checkpoint>,
    /// The saved position's place on the source's clock.
    pub time: Option<Time>,
    /// How far the server's log reaches back before the position; none where that cannot be known.
    pub window: Option<Duration>,
}

impl Standing {
    /// The saved position as a moment, RFC 3339, to the second.
    pub fn moment(&self) -> Option<String> {
        let millis = i64::from(self.time?.seconds) * 1_000;
        bson::DateTime::from_millis(millis)
            .try_to_rfc3339_string()
            .ok()
    }
}

impl MongoSource {
    /// How capture stands.
    pub async fn standing(&self) -> Result<Standing> {
        let state = self.server.state_document().await?.unwrap_or_default();
        let held = self.is_held().await?;
        let owner = state.get_str("owner").ok().filter(|_| held);
        let checkpoint = self.checkpoint().await?;
        let position = checkpoint.as_ref().map(|saved| &saved.position);
        // The position of another source has no time here; capture says so when it starts.
        let place = position.and_then(|position| Place::read(position).ok());
        let window = match position.filter(|_| place.is_some()) {
            Some(position) => self.oplog_window(position).await?,
            None => None,
        };
        Ok(Standing {
            owner: owner.map(str::to_owned),
            paused: state.get_bool("paused").unwrap_or(false),
            time: place.map(|place| place.time()),
            checkpoint,
            window,
        })
    }

    /// Waits until a capture that was asked to pause rests; at once when there is none.
    pub async fn rested(&self) -> Result<()> {
        while self.is_held().await? && !self.is_at_rest().await? {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Saves another checkpoint, or none, while nobody captures: in one step, which fences off whoever rests
    /// or is about to begin with the old one.
    ///
    /// # Errors
    /// [`Error::Refused`] while a capture is active.
    pub async fn replace_checkpoint(&self, checkpoint: Option<&Checkpoint>) -> Result<()> {
        let text = checkpoint.map(serde_json::to_string).transpose();
        let text = text.map_err(|error| Error::malformed("the checkpoint", error.to_string()))?;
        let text = text.map_or(Bson::Null, Bson::String);
        let (positions, id) = (self.server.state(POSITIONS), self.server.state_id());
        // As numbers: not every server with MongoDB's protocol compares a date with this variable.
        let end = doc! { "$toLong": { "$ifNull": ["$expires", NEVER] } };
        let expired = doc! { "$lte": [end, { "$toLong": "$$NOW" }] };
        let idle = doc! { "$or": [{ "$eq": ["$at_rest", true] }, expired] };
        let set = doc! {
            "checkpoint": { "$literal": text.clone() },
            "fence": { "$add": [{ "$ifNull": ["$fence", 0_i64] }, 1_i64] },
            "owner": Bson::Null,
            "expires": NEVER,
        };
        let free = doc! { "_id": id, "$expr": idle };
        let failed = fault(&self.server.service, "save the position");
        let saved = positions.update_one(free, vec![doc! { "$set": set }]).await;
        if saved.map_err(failed)?.matched_count > 0 {
            return Ok(());
        }
        let first = doc! { "_id": id, "checkpoint": text, "fence": 1_i64, "expires": NEVER };
        match positions.insert_one(first).await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some(DUPLICATE_KEY) => Err(Error::Refused {
                service: "capture".to_owned(),
                why: "it is active and would save over the position".to_owned(),
                fix: "ask for `lockstep pause capture` first, and for `resume` afterwards"
                    .to_owned(),
            }),
            Err(error) => Err(fault(&self.server.service, "save the position")(error)),
        }
    }

    /// The position just before this moment, RFC 3339, which is before the saved one: going forward would
    /// leave out what is between.
    ///
    /// # Errors
    /// [`Error::Config`] for what is no such time.
    pub fn position_before(saved: &Position, moment: &str) -> Result<Position> {
        let bad = |why: String| Error::Config {
            setting: "--to".to_owned(),
            why,
        };
        let moment = bson::DateTime::parse_rfc3339_str(moment)
            .map_err(|error| bad(format!("{error}; want a time as 2026-01-31T12:00:00Z")))?;
        let seconds = u32::try_from(moment.timestamp_millis() / 1_000)
            .map_err(|_| bad("it is before 1970 or after 2106".to_owned()))?;
        // Everything of that second is read again.
        let before = Time {
            seconds: seconds.saturating_sub(1),
            increment: u32::MAX,
        };
        // Of another source's position no time is known; capture says so when it starts.
        let is_ahead = |place: Place| place.time() < before;
        if Place::read(saved).is_ok_and(is_ahead) {
            let why = "it is after the saved position, and what is between would be left out; \
                `lockstep position show` says where that is";
            return Err(bad(why.to_owned()));
        }
        Ok(Place::after_time(before).position())
    }

    async fn is_at_rest(&self) -> Result<bool> {
        let state = self.server.state_document().await?.unwrap_or_default();
        Ok(state.get_bool("at_rest").unwrap_or(false))
    }

    /// Whether a process holds the lease, by the server's clock.
    async fn is_held(&self) -> Result<bool> {
        // As numbers: not every server with MongoDB's protocol compares a date with this variable.
        let held = doc! {
            "_id": self.server.state_id(),
            "$expr": { "$gt": [{ "$toLong": "$expires" }, { "$toLong": "$$NOW" }] },
        };
        let positions = self.server.state(POSITIONS);
        let found = positions.find_one(held).await;
        Ok(found
            .map_err(fault(&self.server.service, "read the lease"))?
            .is_some())
    }
}

impl Lease {
    /// Says that this capture rests, or goes on.
    pub async fn rest(&self, rests: bool) -> Result<()> {
        self.write(doc! { "at_rest": rests }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_place_before_its_second_and_never_ahead_of_the_saved_one() {
        let at = |seconds, increment| Place::after_time(Time { seconds, increment }).position();
        let back = |saved: &Position, to| MongoSource::position_before(saved, to);
        let midnight = "1970-01-02T00:00:00Z";
        for saved in [at(86_400, 1), at(86_399, u32::MAX), at(90_000, 0)] {
            assert_eq!(back(&saved, midnight).unwrap(), at(86_399, u32::MAX));
        }
        let ahead = back(&at(86_399, 5), midnight).unwrap_err().to_string();
        assert!(ahead.contains("after the saved position"), "{ahead}");
        let error = back(&at(1, 0), "yesterday").unwrap_err().to_string();
        assert!(error.contains("2026-01-31T12:00:00Z"), "{error}");
    }
}
