//! Receiving: subscribe, fetch, choose, hand out; acknowledge one by one.
//!
//! ```text
//! basic.consume a place ──deliveries──> shelf ──choose──> receive
//!        ▲                                │
//!        └─── cancel, another window ◄────┘ asked for more, or messages grew
//! ```
//!
//! A consumer has a connection and one channel of its own: its deliveries end with it, and a tag of an
//! older one can never be taken for one of these. Where workers share the partitions it follows what is
//! wanted of it, see [`super::sharing`].
//!
//! What the broker does, tried on RabbitMQ 3.10.8: when a channel, a connection or its process ends,
//! everything unacknowledged comes again, in its old order, before all that nobody received, with
//! `x-delivery-count` one higher, whether it was handed out or only fetched; a `basic.nack` counts likewise.
//! But it comes *behind* what was given back before and waits to come again, whatever was published first.
//! A consumer that waits for the single active one gets these first. Not so after `basic.cancel`: the next
//! consumer is served at once, past what the cancelled one still has. So a consumer goes by closing
//! its connection, and cancels only lines that it has nothing of.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt as _, ready};
use futures_util::stream::{BoxStream, SelectAll, StreamExt as _, once};
use lapin::Connection;
use lapin::message::Delivery as Message;
use tokio::time::Instant;

use super::over::Over;
use super::publish::Publisher;
use super::sharing::Part;
use super::shelf::{Fetched, Shelf, Subscribe};
use super::step::{self, Step, Stepping, Subscriptions};
use super::topology::Topology;
use super::wire;
use super::{Shared, declare, generation, over, parked};
use crate::clock::Clock;
use crate::queue::{Consumer, Delivery, Tag};
use crate::retry::until;
use crate::{Error, Result};

/// What one stream of deliveries said: of which line and subscription; none at its end.
type Arrival = (usize, u32, Option<lapin::Result<Message>>);

/// A message is given back when it was not settled for so long: at 30 minutes the broker would end the
/// channel, with an error in its log.
const KEPT_MAX: Duration = Duration::from_mins(25);

/// Receives from `RabbitMQ`. Dropping it closes its connection: everything in hand comes again.
///
/// At most `fetch_bytes` are fetched and not settled, except that each line may always have one message,
/// and that a window chosen while messages were small is not taken back before they are settled.
pub struct RabbitConsumer {
    publisher: Arc<Publisher>,
    /// Of the generation that it consumes, whatever the process goes on with.
    topology: Topology,
    shared: Arc<Shared>,
    clock: Clock,
    part: Part,
    connection: Arc<Connection>,
    subscriptions: Subscriptions,
    shelf: Shelf<Message>,
    arrivals: SelectAll<BoxStream<'static, Arrival>>,
    /// A step under way: kept when `receive` is dropped, so that the next call goes on with it.
    stepping: Option<(Step, Stepping)>,
    over: Over,
    leaves: bool,
}

impl std::fmt::Debug for RabbitConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places = self.shelf.places().collect::<Vec<_>>();
        f.debug_struct("RabbitConsumer")
            .field("places", &places)
            .finish_non_exhaustive()
    }
}

impl RabbitConsumer {
    /// Subscribes to nothing yet; [`Consumer::receive`] does, to what `part` wants of these places. Waits
    /// until this process's consumers that went are gone, since the broker would serve it past them.
    pub(super) async fn open(
        publisher: Arc<Publisher>,
        (shared, clock): (Arc<Shared>, Clock),
        partitions: &[u32],
        part: Part,
        fetch_bytes: usize,
    ) -> Result<Self> {
        shared.going.none().await;
        let topology = publisher.link.topology.pinned();
        let places = topology.places();
        let places: Vec<_> = places
            .filter(|place| partitions.contains(&place.partition))
            .collect();
        let broker = &publisher.link.broker;
        let connection = broker.connect("consumer").await?;
        let channel = declare::channel(broker, &connection).await?;
        let subscriptions = Subscriptions::new(channel, places.len(), broker);
        // From here on it takes what it is given.
        part.hold(BTreeSet::new());
        Ok(Self {
            publisher,
            topology,
            shared,
            clock,
            part,
            connection: Arc::new(connection),
            subscriptions,
            shelf: Shelf::new(places, fetch_bytes),
            arrivals: SelectAll::new(),
            stepping: None,
            over: Over::default(),
            leaves: false,
        })
    }

    /// Goes on with the step under way, and begins the next one that is needed.
    fn advance(&mut self, limit: usize) -> Result<()> {
        loop {
            if let Some((step, stepping)) = &mut self.stepping {
                let Some(done) = stepping.now_or_never() else {
                    return Ok(());
                };
                let step = *step;
                self.stepped(step, done)?;
            }
            if let Some((last, barriers)) = self.shelf.to_send_back() {
                let barriers = barriers.into_iter().map(|one| one.acker.clone());
                let sending = self.subscriptions.send_back(barriers.collect());
                self.stepping = Some((Step::SendBack(last), sending));
            } else if let Some((line, done)) = self.shelf.next_leave(Instant::now()) {
                let leaving = self.subscriptions.leave(line, done);
                self.stepping = Some((Step::Leave, leaving));
            } else if let Some(next) = self.shelf.next_subscription(limit, Instant::now()) {
                let subscribing = self.subscribe(next);
                self.stepping = Some((Step::Subscribe(next), subscribing));
            } else if self.over.is_to_look(self.shelf.holds().is_empty()) {
                self.stepping = Some((Step::Look, self.look()));
            } else {
                return Ok(());
            }
        }
    }

    fn subscribe(&mut self, subscribe: Subscribe) -> Stepping {
        let place = self.shelf.places().nth(subscribe.line);
        let queue = place
            .map(|place| self.topology.queue(place))
            .unwrap_or_default();
        self.subscriptions.subscribe(subscribe, queue)
    }

    fn stepped(&mut self, step: Step, done: lapin::Result<Option<lapin::Consumer>>) -> Result<()> {
        self.stepping = None;
        let deliveries = match (step, done) {
            (Step::Look, done) => return self.over.looked(done).map_err(|error| self.gone(error)),
            (Step::Subscribe(_), Err(error)) if self.over.explains(&error) => {
                self.over.done = true;
                return Ok(());
            }
            (_, done) => done.map_err(|error| self.gone(error))?,
        };
        if let Step::SendBack(last) = step {
            // The broker counts that too, and nobody failed over it.
            let sent = self.shelf.sent_back(last, Instant::now());
            self.shared
                .forgiven
                .add(sent.iter().map(|one| (one, false)));
        }
        if let (Step::Subscribe(subscribe), Some(deliveries)) = (step, deliveries) {
            let Subscribe { line, epoch, .. } = subscribe;
            let arrivals = deliveries.map(move |delivery| (line, epoch, Some(delivery)));
            self.arrivals
                .push(arrivals.chain(once(ready((line, epoch, None)))).boxed());
            self.shelf.subscribed(subscribe, Instant::now());
        }
        Ok(())
    }

    fn arrived(&mut self, (line, epoch, said): Arrival) -> Result<()> {
        let message = match said {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(self.gone(error)),
            None if self.over.is_ended && self.shelf.is_current(line, epoch) => {
                self.over.done = true;
                return Ok(());
            }
            None if self.shelf.is_current(line, epoch) => {
                let why = "the broker cancelled a subscription: its queue is gone or has moved";
                return Err(Error::unavailable(
                    self.publisher.link.broker.service(),
                    "deliver",
                )(why));
            }
            None => {
                self.shelf.ended(line);
                return Ok(());
            }
        };
        let is_barrier = wire::is_barrier(&message.properties);
        let attempt = wire::attempt(&message);
        let id = || wire::message_id(&message.properties, &message.data);
        let fetched = Fetched {
            tag: message.delivery_tag,
            attempt: self.shared.forgiven.less(&message, attempt),
            barrier: is_barrier.then(|| (id(), attempt)),
            bytes: message.data.len(),
            item: message,
        };
        if let Some(place) = self.shelf.places().nth(line).filter(|_| !is_barrier) {
            self.shared.in_hand.add(place.lane);
        }
        self.shelf.fetched((line, epoch), fetched, Instant::now());
        Ok(())
    }

    fn hand_out(&self, tag: u64) -> Option<Delivery> {
        let (place, attempt, message) = self.shelf.in_hand(tag)?;
        Some(Delivery {
            tag: Tag(tag),
            place,
            attempt,
            message: wire::decode(&message.properties, &message.data),
        })
    }

    /// Takes these from the shelf and acknowledges them.
    async fn acknowledge(&mut self, tags: Vec<Tag>) -> Result<()> {
        self.record_ends(&tags).await?;
        let (now, full) = (Instant::now(), self.shelf.full());
        let mut messages = Vec::with_capacity(tags.len());
        for tag in tags {
            if let Some((place, is_barrier, message)) = self.shelf.remove(tag.0, now) {
                if !is_barrier {
                    self.shared.in_hand.take(place.lane);
                }
                messages.extend(message);
            }
        }
        let resized = if messages.is_empty() {
            Vec::new()
        } else {
            self.shelf.resize(&full)
        };
        let cancelled = self.subscriptions.cancel(resized).await;
        cancelled.map_err(|error| self.gone(error))?;
        let broker = &self.publisher.link.broker;
        let acks = step::acknowledge(&messages);
        broker.settle(&self.connection, acks).await
    }

    /// Records the ends among these, also those of lines that are being drained, whose acknowledgements
    /// come later. They stay in hand until then: what fails is settled again.
    async fn record_ends(&mut self, tags: &[Tag]) -> Result<()> {
        for tag in tags {
            let Some((place, _, message)) = self.shelf.in_hand(tag.0) else {
                continue;
            };
            if over::is_end(message) {
                let broker = &self.publisher.link.broker;
                generation::record(broker, &self.connection, &self.topology, place).await?;
                self.over.is_ended = true;
            }
        }
        Ok(())
    }

    fn look(&self) -> Stepping {
        let first = self.topology.places().next();
        let queue = first.map(|place| self.topology.queue(place));
        let connection = Arc::clone(&self.connection);
        // Whoever looks holds nothing: no answer stands behind deliveries.
        let within = self.publisher.link.broker.answer_within;
        over::look(connection, queue.unwrap_or_default(), within)
    }

    fn generation(&self) -> u32 {
        self.topology.generation().number
    }

    fn gone(&self, error: lapin::Error) -> Error {
        self.publisher.link.broker.fault("deliver", error)
    }
}

impl Consumer for RabbitConsumer {
    async fn receive(&mut self, limit: usize) -> Result<Vec<Delivery>> {
        let limit = limit.max(1);
        loop {
            while let Some(Some(arrival)) = self.arrivals.next().now_or_never() {
                self.arrived(arrival)?;
            }
            if self.over.done {
                return Ok(Vec::new());
            }
            let generation = self.generation();
            let wanted = if self.leaves {
                BTreeSet::new()
            } else {
                self.part.wanted(generation)
            };
            self.shelf.want(&wanted);
            self.advance(limit)?;
            self.part.hold(self.shelf.holds());
            if self.leaves && self.shelf.holds().is_empty() {
                return Ok(Vec::new());
            }
            let now = Instant::now();
            let kept_until = self.shelf.oldest().map(|oldest| oldest + KEPT_MAX);
            if kept_until.is_some_and(|until| until <= now) {
                let why = "something was in hand for 25 minutes: it is given back before the broker takes it";
                let service = self.publisher.link.broker.service();
                return Err(Error::unavailable(service, "wait for us")(why));
            }
            let chosen = self.shelf.choose(limit, now);
            if !chosen.is_empty() {
                return Ok(chosen
                    .into_iter()
                    .filter_map(|tag| self.hand_out(tag))
                    .collect());
            }
            let due = self.shelf.next_due(now).into_iter();
            let due = due.chain(kept_until).chain(self.over.due(now)).min();
            let stepping = self.stepping.as_mut().map(|(_, stepping)| stepping);
            // All of these are cancel safe: the shelf and the step under way are kept.
            tokio::select! {
                Some(arrival) = self.arrivals.next() => self.arrived(arrival)?,
                done = or_never(stepping) => {
                    if let Some((step, _)) = self.stepping.take() {
                        self.stepped(step, done)?;
                    }
                }
                () = self.part.changed(generation, &wanted), if !self.leaves => {}
                () = until(due) => {}
            }
        }
    }

    fn leave(&mut self) {
        self.leaves = true;
    }

    async fn settle(&mut self, tags: Vec<Tag>) -> Result<()> {
        self.acknowledge(tags).await
    }

    /// Keeps them: a `basic.nack` would count an attempt, and put them elsewhere in their order. They
    /// stay with this consumer. Once it is dropped the broker counts them as received, and this process
    /// takes that off again; another one does not know of it.
    async fn release(&mut self, tags: Vec<Tag>, pause: Duration) -> Result<()> {
        let due = Instant::now() + pause;
        for tag in tags {
            self.shelf.release(tag.0, due);
        }
        ready(Ok(())).await
    }

    async fn park(&mut self, tag: Tag, reason: String) -> Result<()> {
        let Some((place, attempt, message)) = self.shelf.in_hand(tag.0) else {
            return Ok(());
        };
        let received = (&message.properties, message.data.as_slice());
        let parked_ms = self.clock.now_ms();
        let record = parked::of_received(received, place, (reason, attempt), parked_ms)?;
        let envelope = parked::encode(&record, message.data.clone());
        self.publisher.park(envelope).await?;
        self.acknowledge(vec![tag]).await
    }
}

impl Drop for RabbitConsumer {
    fn drop(&mut self) {
        for lane in self.shelf.changes() {
            self.shared.in_hand.take(lane);
        }
        self.shared.forgiven.add(self.shelf.innocent());
        // Settled of lines that are being drained: without an acknowledgement it would come again.
        let (connection, done) = (Arc::clone(&self.connection), self.shelf.take_done());
        let going = self.shared.going.one(self.part.clone());
        let arrivals = std::mem::take(&mut self.arrivals);
        let open = (arrivals, self.stepping.take(), self.subscriptions.channel());
        going.close(connection, done, open);
    }
}

async fn or_never<F: Future + Unpin>(future: Option<&mut F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
