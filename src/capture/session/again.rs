//! Reading again what somebody asked for, part by part.
//!
//! ```text
//! request ──> a part of its documents ──read, sent──> confirmed ──> the next part ──> answered
//!                        ▲──── what the source did not answer of it
//! ```
//!
//! One request at a time and one part of it under way, so that it takes no more room than a page and events go on
//! in between.

use std::collections::VecDeque;

use super::{Session, Then};
use crate::capture::{Request, Resync, messages};
use crate::change::{DocumentKey, Version};
use crate::queue::Queue;
use crate::source::{Checkpoints, Source, Watch as _};
use crate::{Error, Recovery, Result};

/// A request that is being done.
pub(super) struct Again {
    request: Request,
    /// Documents that were not read yet.
    left: VecDeque<DocumentKey>,
    sent: u64,
    /// A part is on its way; the next one is read after it.
    is_under_way: bool,
}

impl<S: Source, C: Checkpoints, Q: Queue> Session<'_, S, C, Q> {
    /// Takes a request: a type is planned at once, documents are read part by part.
    pub(super) async fn begin_again(&mut self, request: Request) -> Result<()> {
        let what = request.what.clone();
        // Before anything can fail: whoever comes after this session begins it anew.
        let again = self.again.insert(Again {
            request,
            left: VecDeque::new(),
            sent: 0,
            is_under_way: false,
        });
        match what {
            Resync::Keys(keys) => {
                again.left.extend(keys);
                return Ok(());
            }
            Resync::Kind(kind) => {
                let (_, time) = self.watch.here();
                let checkpoint = &mut self.record.checkpoint;
                checkpoint.kinds.insert(kind.clone());
                let floor = Version::floor(checkpoint.epoch, time);
                checkpoint.snapshot.add(kind, floor);
            }
            Resync::Fill(Some(edition)) => {
                let mut kinds = self.record.checkpoint.kinds.clone();
                kinds.extend(self.ports.source.kinds().await?);
                self.record.checkpoint.snapshot.fill(edition, kinds);
            }
            Resync::Fill(None) => self.record.checkpoint.snapshot.give_up_filling(),
        }
        let position = self.confirmed.position.clone();
        self.record.save_at(position).await
    }

    /// What was asked of a session that has failed and was not answered; to be asked of the next one. What was sent
    /// of it is sent again, which is harmless.
    pub(in crate::capture) fn unanswered(self) -> Option<Request> {
        self.again.map(|again| again.request)
    }

    /// Whether a part may be read now, or the request be answered.
    pub(super) fn is_next_again(&self) -> bool {
        self.again.as_ref().is_some_and(|again| !again.is_under_way)
    }

    /// Reads the next part and hands it on; answers behind the last one.
    pub(super) async fn read_again(&mut self) -> Result<()> {
        let Some(again) = &mut self.again else {
            return Ok(());
        };
        let size = again.left.len().min(self.settings.page_size);
        let mut keys: Vec<DocumentKey> = again.left.drain(..size).collect();
        if keys.is_empty() {
            let sent = again.sent;
            self.answer(Ok(sent));
            return Ok(());
        }
        let reading = match self.ports.source.read(keys.clone()).await {
            Ok(reading) => reading,
            // It is about these documents; capture goes on without them.
            Err(error) if !matches!(error.recovery(), Recovery::Retry(_)) => {
                self.answer(Err(error));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // Large documents come a few at a time.
        let unread = match unread(&mut keys, reading.found.len()) {
            Ok(unread) => unread,
            Err(error) => {
                self.answer(Err(error));
                return Ok(());
            }
        };
        for key in unread.into_iter().rev() {
            again.left.push_front(key);
        }
        again.is_under_way = true;
        let epoch = self.record.checkpoint.epoch;
        let batch = messages::of_resync(keys, reading, epoch, self.ports.queue.partitions());
        let sent = batch.len() as u64;
        self.pipeline.push(self.sent(batch), Then::Again { sent });
        Ok(())
    }

    /// Counts a part that was confirmed.
    pub(super) fn sent_again(&mut self, sent: u64) {
        if let Some(again) = &mut self.again {
            again.sent += sent;
            again.is_under_way = false;
        }
    }

    fn answer(&mut self, done: Result<u64>) {
        let Some(again) = self.again.take() else {
            return;
        };
        if again.request.done.send(done).is_err() {
            tracing::debug!("who asked for a resync has gone; it is done all the same");
        }
    }
}

/// Takes from a part what its reading has not answered, for the next one.
///
/// # Errors
/// Where it has answered nothing: the same would be asked for ever.
fn unread(part: &mut Vec<DocumentKey>, answered: usize) -> Result<Vec<DocumentKey>> {
    if answered == 0 {
        let why = "it says of none of the documents that were asked for whether they are there";
        return Err(Error::malformed("what the source answered", why));
    }
    Ok(part.split_off(answered.min(part.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_answers_nothing_is_not_asked_for_again() {
        let keys = ["a", "b"].map(|id| DocumentKey::text("posts", id));
        let mut part = keys.to_vec();
        assert!(unread(&mut part, 0).is_err());
        assert_eq!(unread(&mut part, 1).unwrap(), [keys[1].clone()]);
        assert_eq!(part, [keys[0].clone()]);
        assert!(unread(&mut part, 1).unwrap().is_empty());
    }
}
