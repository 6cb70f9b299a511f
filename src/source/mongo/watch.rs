//! Reading a change stream: one answer of the server at a time, none of it lost to a dropped call.
//!
//! ```text
//! stream ──asked──> answer kept in the watch ──> joined ──> log of places and times ──> handed out
//!    ▲                                                          (complete? idle?)
//!    └──── opened again after an invalidate
//! ```
//!
//! There is no task behind it: an answer is asked for where it is waited for, and read ahead only by
//! what the driver has in hand.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bson::RawDocumentBuf;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mongodb::change_stream::event::ResumeToken;
use tokio::time::timeout;

use super::connect::Server;
use super::fault::fault;
use super::log::Log;
use super::place::{self, Place};
use super::portion::Weighed;
use super::split::Joiner;
use super::stream::{self, Stream};
use crate::change::{Position, Time};
use crate::source::{Event, Watch};
use crate::{Error, Result};

/// A look-up that has no answer is waited for so often, and each time so long: two minutes in all. A time in which
/// nobody asked for it counts as one of them at most.
const WAITS: u32 = 12;
const WAIT: Duration = Duration::from_secs(10);

/// What the driver gives when it is asked for what is next, with the stream handed back.
type Answer = (Box<Stream>, mongodb::error::Result<Option<RawDocumentBuf>>);

/// Documents as they are now, in the order in which they were asked for.
type Found = Result<Vec<Option<Weighed>>>;

/// An open reading of a database's changes.
pub struct MongoWatch {
    server: Arc<Server>,
    reading: Reading,
    joiner: Joiner,
    log: Log,
    /// Documents that are read again, as they were asked for. The answer is kept here, whoever stops waiting for it.
    looking: Option<BoxFuture<'static, Found>>,
    /// Nothing was asked since the stream was opened.
    is_fresh: bool,
    /// The last answer held nothing, and nothing was asked since.
    is_quiet: bool,
    /// A time obtained since then, where the server's tokens do not tell theirs.
    reached: Option<Time>,
    /// Our clock before the question that is under way.
    asked_ms: u64,
    /// Tokens tell their time.
    tokens_tell: bool,
    /// What ended the stream; said when everything before it has been handed out.
    failed: Option<Error>,
}

/// Where the stream is.
enum Reading {
    /// In hand, perhaps with events left of its last answer.
    Here(Box<Stream>),
    /// Asked for what is next. The answer is kept here, whoever stops waiting for it.
    Asked(BoxFuture<'static, Answer>),
    /// Invalidated or failed; opened again at the log's end.
    Ended,
}

impl MongoWatch {
    /// Opens the stream at a position, or at the end of the log.
    pub(super) async fn open(server: Arc<Server>, from: Option<Position>) -> Result<Self> {
        let from = match from {
            Some(position) => Place::read(&position)?,
            None => Place::after_time(server.now().await?),
        };
        let stream = stream::open(&server, &from).await?;
        let kinds: BTreeSet<String> = server.collections().await?.into_iter().collect();
        server.shows(from.time());
        Ok(Self {
            reading: Reading::Here(Box::new(stream)),
            joiner: Joiner::default(),
            log: Log::new(server.settings.clone(), server.is_sharded, kinds, from),
            looking: None,
            is_fresh: true,
            is_quiet: false,
            reached: None,
            asked_ms: 0,
            tokens_tell: true,
            failed: None,
            server,
        })
    }

    /// Takes in what is already here, without waiting: up to one event more than can be handed out,
    /// which tells whether the one before it is the last of its time.
    fn take_what_is_here(&mut self, limit: usize) {
        while self.failed.is_none() && !self.is_quiet && self.log.has_room(limit) {
            let Some(answer) = self.ask().and_then(FutureExt::now_or_never) else {
                return;
            };
            self.take(answer);
        }
    }

    /// The answer that is under way, asked for where none is.
    fn ask(&mut self) -> Option<&mut BoxFuture<'static, Answer>> {
        if let Reading::Here(_) = self.reading {
            let Reading::Here(mut stream) = std::mem::replace(&mut self.reading, Reading::Ended)
            else {
                return None;
            };
            self.asked_ms = self.server.clock.now_ms();
            let answer = async move {
                let next = stream.next_if_any().await;
                (stream, next)
            };
            self.reading = Reading::Asked(answer.boxed());
        }
        match &mut self.reading {
            Reading::Asked(answer) => Some(answer),
            Reading::Here(_) | Reading::Ended => None,
        }
    }

    /// Waits for one answer, having opened the stream again where it has ended.
    async fn wait(&mut self) -> Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if let Reading::Ended = self.reading {
            let stream = stream::open(&self.server, self.log.end()).await?;
            self.reading = Reading::Here(Box::new(stream));
            self.joiner = Joiner::default();
            self.is_fresh = true;
        }
        // Before the question: if then nothing comes, there was nothing up to this time.
        if self.is_quiet && !self.tokens_tell && self.reached.is_none() {
            self.reached = Some(self.server.now().await?);
        }
        self.is_quiet = false;
        if let Some(answer) = self.ask() {
            let answer = answer.await;
            self.take(answer);
        }
        Ok(())
    }

    /// Takes in one answer.
    fn take(&mut self, (stream, next): Answer) {
        let is_over = matches!(next, Ok(None)) && !stream.is_alive();
        let outcome = match next {
            Ok(Some(sent)) => self.event(sent),
            Ok(None) if is_over => self.over(),
            Ok(None) => self.nothing(stream.resume_token().as_ref()),
            Err(error) => Err(fault(&self.server.service, "send its changes")(error)),
        };
        self.reading = if is_over || outcome.is_err() {
            Reading::Ended
        } else {
            Reading::Here(stream)
        };
        self.failed = outcome.err();
    }

    fn event(&mut self, sent: RawDocumentBuf) -> Result<()> {
        (self.is_fresh, self.reached) = (false, None);
        let joined = self.joiner.take(sent).map_err(|error| {
            // Read again from the last place, it comes whole.
            let service = self.server.service.clone();
            Error::unavailable(service, "send a large change whole")(error)
        });
        match joined? {
            Some(event) => self.log.event(&event),
            None => Ok(()),
        }
    }

    /// The server answered that nothing has happened.
    fn nothing(&mut self, token: Option<&ResumeToken>) -> Result<()> {
        self.is_quiet = true;
        let reached = self.reached.take();
        let token = token.map(bson::serialize_to_raw_document_buf).transpose();
        let token = token.map_err(|error| Error::malformed("a resume token", error.to_string()))?;
        let certain = token
            .as_ref()
            .and_then(|token| place::certain_before(token));
        self.tokens_tell = certain.is_some();
        // The opening answers at once, quiet or not; and between two fragments is no place.
        if std::mem::take(&mut self.is_fresh) || self.joiner.is_waiting() {
            return Ok(());
        }
        // What was committed after the question may be missing from this answer.
        self.log
            .nothing(token.as_deref(), certain.or(reached), self.asked_ms)
    }

    /// The server closed the stream: after an invalidate the next one is opened.
    fn over(&self) -> Result<()> {
        if self.log.was_invalidated() {
            return Ok(());
        }
        let service = self.server.service.clone();
        let cause = "its cursor was closed";
        Err(Error::unavailable(service, "keep the change stream open")(
            cause,
        ))
    }

    /// Reads those documents again whose event does not say enough. Nothing is handed out before the answer is there:
    /// what was asked for stays the first that is unclear.
    async fn look_up(&mut self) -> Result<()> {
        if self.looking.is_none() {
            let keys = self.log.unclear();
            if keys.is_empty() {
                return Ok(());
            }
            self.server.shows(self.log.end().time());
            let server = Arc::clone(&self.server);
            let look = async move {
                let Some(reading) = in_time(server.read(&keys)).await else {
                    let (service, why) = (server.service.clone(), "no answer in two minutes");
                    return Err(Error::unavailable(service, "read documents again")(why));
                };
                Ok(reading?.found)
            };
            self.looking = Some(look.boxed());
        }
        if let Some(looking) = &mut self.looking {
            let found = looking.await;
            self.looking = None;
            self.log.clear_up(found?);
        }
        Ok(())
    }
}

/// What is answered; none where that takes too long.
async fn in_time<T>(asked: impl Future<Output = T>) -> Option<T> {
    let mut asked = pin!(asked);
    for _ in 0..WAITS {
        if let Ok(answer) = timeout(WAIT, asked.as_mut()).await {
            return Some(answer);
        }
    }
    None
}

impl Watch for MongoWatch {
    fn here(&self) -> (Position, Time) {
        self.log.here()
    }

    async fn next(&mut self, limit: usize) -> Result<Vec<Event>> {
        loop {
            self.take_what_is_here(limit);
            if !self.log.is_empty() {
                self.look_up().await?;
                let events = self.log.hand_out(limit);
                self.server.shows(self.log.here().1);
                return Ok(events);
            }
            self.wait().await?;
        }
    }
}

impl std::fmt::Debug for MongoWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoWatch")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_up_without_an_answer_is_given_up() {
        let given_up = timeout(2 * WAITS * WAIT, in_time(pending::<()>())).await;
        assert_eq!(given_up.expect("it waits for ever"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_nobody_asked_for_long_is_waited_for() {
        let (answer, answered) = oneshot::channel();
        let mut look = in_time(answered).boxed();
        assert!((&mut look).now_or_never().is_none());
        advance(2 * WAITS * WAIT).await;
        assert!((&mut look).now_or_never().is_none());
        answer.send(()).unwrap();
        assert_eq!(look.await, Some(Ok(())));
    }
}
