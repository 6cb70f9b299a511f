//! What carries changes from capture to the workers: partitions, each a live and a backfill lane.
//!
//! ```text
//! publish ──> [partition, lane] ──> receive ──> settle     done for good
//!                                           ├─> release    give back, to be received again
//!                                           └─> park       set aside with the reason
//! ```

pub mod rabbit;
pub mod sqlite;

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::Result;
use crate::change::{Barrier, Change, DocumentKey, Lane, Message, Operation, Place, Version};

/// Bytes of backfill that are handed out at once; one message may always be. A worker receives again when it is done
/// with all that it received, and what is live waits for that.
pub(crate) const BACKFILL_BYTES: u32 = 64 << 10;

/// A message and the queue it goes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The queue.
    pub place: Place,
    /// The message.
    pub message: Message,
}

/// What became of one published message.
#[derive(Debug)]
pub enum Confirm {
    /// The queue has it, durably.
    Confirmed,
    /// The queue refused or returned it, or did not answer; it may be there all the same.
    Failed(crate::Error),
}

/// Names a delivery to its consumer until it is settled, released or parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

/// A message in hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its name towards the consumer that received it.
    pub tag: Tag,
    /// The queue it came from.
    pub place: Place,
    /// How often it was received, this time included. Counted durably before it is handed out, so
    /// that a message that kills its worker is found out.
    pub attempt: u32,
    /// The message, or why its bytes are none.
    pub message: Result<Message, Unreadable>,
}

/// Bytes in the queue that are no message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong with them.
    pub why: String,
}

/// A message that was set aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// The message's id; a message parked twice stands once.
    pub id: Uuid,
    /// The document; none for bytes that are no message.
    pub key: Option<DocumentKey>,
    /// The change's version; [`Version::NONE`] without one.
    pub version: Version,
    /// What the change was; none for bytes that are no message.
    pub operation: Option<Operation>,
    /// Where it was received.
    pub place: Place,
    /// Why it was parked.
    pub reason: String,
    /// How often it had been received.
    pub attempts: u32,
    /// When: milliseconds since 1970, UTC.
    pub parked_ms: u64,
}

/// What stands in the queues; counts of a moment, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// Changes that are not settled, in live lanes.
    pub live: u64,
    /// Changes that are not settled, in backfill lanes.
    pub backfill: u64,
    /// Messages set aside.
    pub parked: u64,
}

/// Carries messages, in order per key and lane, at least once.
///
/// - What is confirmed survives a crash of either side, until it is settled or parked.
/// - Messages of one place are received in the order in which they were published, except that a
///   released one, or one whose consumer died, comes again later.
/// - A barrier is handed out only when every message published before it to its place is settled
///   or parked: whoever receives it has passed it.
/// - A message may come twice: after a crash, and after a confirm that was lost.
/// - Concurrent publishers and consumers are served.
pub trait Queue: Send + Sync + 'static {
    /// Receives from some partitions.
    type Consumer: Consumer;
    /// Ready when each message of a batch has its answer: one each, in order.
    ///
    /// They come whether or not anybody waits. Dropped, they are forgotten; the messages go all the same.
    ///
    /// # Errors
    /// When none has an answer; any of them may be there all the same.
    type Answers: Future<Output = Result<Vec<Confirm>>> + Send + 'static;

    /// The number of partitions, as far as this process knows; [`Generations::current`] asks.
    fn partitions(&self) -> u32;

    /// Publishes in order. Ready when the batch is on its way, so that the next one may follow before
    /// the answers are there: it stands behind this one.
    ///
    /// A failed message holds up no other, of its batch or of one behind it. Who wants the order of a
    /// key sends again what failed, with all that followed it to the same place.
    ///
    /// Dropped half-way, any message of the batch may be there. How many batches are on their way at
    /// once is for the caller to bound.
    ///
    /// # Errors
    /// When none has an answer; any of them may be there all the same.
    fn publish(&self, batch: &[Outgoing]) -> impl Future<Output = Result<Self::Answers>> + Send;

    /// A consumer of these partitions. What another consumer of them had in hand when it was
    /// dropped comes again.
    fn consume(&self, partitions: Vec<u32>) -> impl Future<Output = Result<Self::Consumer>> + Send;

    /// The next `limit` parked messages after this id, by id; a shorter page is the last.
    fn parked(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Parked>>> + Send;

    /// Forgets parked messages: they were overtaken by a newer version, or a person said so.
    fn forget(&self, ids: Vec<Uuid>) -> impl Future<Output = Result<()>> + Send;

    /// Counts what is there.
    fn depth(&self) -> impl Future<Output = Result<Depth>> + Send;
}

/// A queue whose partition count may change while messages are in it, from one generation of queues to
/// the next.
///
/// - A generation holds every message from its first to its end, an `end` barrier in each place. The next
///   one begins when every place's end is settled, and so everything before it settled or parked: a
///   change of the next generation overtakes none.
/// - How far a change of the count has come is kept by the queue, durably: whoever asks after a crash goes
///   on where it stopped, to the count that was wanted when it began.
/// - Embedded the count is fixed with the data folder: one process and one worker have nothing to share.
///   `SQLite` says [`Turn::Stays`] and refuses a folder of another count.
pub trait Generations: Queue {
    /// The partitions of the generation of now, whoever began it; [`Queue::partitions`] says the same from
    /// here on. Ask before consuming.
    fn current(&self) -> impl Future<Output = Result<u32>> + Send;

    /// Takes the next step to the partition count that the settings ask for. Called by the one who
    /// publishes, while nothing of its own is on its way.
    ///
    /// `sent`: the barrier of the last [`Turn::End`] was confirmed in every place. Then this waits until
    /// each is settled, and begins the next generation. Cancel safe.
    fn turn(&self, sent: bool) -> impl Future<Output = Result<Turn>> + Send;
}

/// What a change of the partition count needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Nothing: the count is the one that is asked for.
    Stays,
    /// This barrier in every place of both lanes; nothing else is taken in from now on.
    End(Barrier),
    /// Another look: the next generation has begun.
    Begun,
}

/// Receives messages of some partitions. Dropping it gives back whatever is in hand.
pub trait Consumer: Send {
    /// The next deliveries, at most `limit` and at least one; waits until there is one. Live lanes
    /// first, backfill at least one in eight, and of that at most 64 KiB or one message, so that what is live never
    /// waits for much of it. A message in hand is not handed out again.
    ///
    /// A message received before (`attempt` above 1) comes alone, so that a crash it causes is
    /// charged to it.
    ///
    /// An empty answer says that the generation is over, as [`Generations`] has it: consume anew. Behind
    /// [`Consumer::leave`] it says that nothing is left.
    ///
    /// Cancel safe: what was not handed out is handed out by the next call.
    fn receive(&mut self, limit: usize) -> impl Future<Output = Result<Vec<Delivery>>> + Send;

    /// Fetches nothing more: what was fetched is still handed out, and then nothing. Who drops a consumer without it
    /// gives that back, to come again alone, as if it had failed once.
    fn leave(&mut self);

    /// Acknowledges for good. Settling again is harmless. On an error they may come again. That an `end`
    /// barrier is settled is recorded durably before it is gone.
    fn settle(&mut self, tags: Vec<Tag>) -> impl Future<Output = Result<()>> + Send;

    /// Gives back; they come again, in their old order, not before `pause` is over. The attempt
    /// that ends so is not counted.
    fn release(
        &mut self,
        tags: Vec<Tag>,
        pause: Duration,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Sets aside with the reason, then acknowledges; a repeat replaces. Barriers are never parked.
    fn park(&mut self, tag: Tag, reason: String) -> impl Future<Output = Result<()>> + Send;
}

impl Outgoing {
    /// Roughly what it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + content(&self.message)
    }

    /// A change on its key's partition.
    pub fn change(change: Change, lane: Lane, partitions: u32) -> Self {
        let place = Place {
            partition: change.key.partition(partitions),
            lane,
        };
        Self {
            place,
            message: Message::Change(change),
        }
    }

    /// The barrier for every partition's queue of `lane`.
    pub fn barrier(barrier: &Barrier, lane: Lane, partitions: u32) -> Vec<Self> {
        (0..partitions)
            .map(|partition| Self {
                place: Place { partition, lane },
                message: Message::Barrier(barrier.clone()),
            })
            .collect()
    }
}

/// Roughly what a message says, in bytes.
pub(crate) fn content(message: &Message) -> usize {
    match message {
        Message::Change(change) => change.fields.as_ref().map_or(0, |fields| {
            let field = |(name, value): (&String, &Value)| name.len() + size(value);
            fields.iter().map(field).sum()
        }),
        Message::Barrier(_) => 0,
    }
}

/// Roughly what a value takes in memory, in bytes.
fn size(value: &Value) -> usize {
    let inner = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + size(value))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inner
}
