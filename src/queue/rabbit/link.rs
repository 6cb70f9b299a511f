//! The connection that publishes: opened when it is needed, and anew after it broke.
//!
//! ```text
//! outlet ──> is it up? ──no──> connect, declare every queue, confirms on ──> outlet
//! ```

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection};
use tokio::sync::{Mutex, OwnedRwLockReadGuard, RwLock};

use super::broker::Broker;
use super::declare;
use super::outlet::Outlet;
use super::topology::Topology;
use crate::change::{Barrier, Message};
use crate::queue::Outgoing;
use crate::{Error, Result};

/// How long an answer may take before it is looked into why.
const PATIENCE: Duration = Duration::from_secs(1);

/// One for all who publish; no state of a broken connection is left to the next.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) broker: Broker,
    pub(super) topology: Topology,
    open: Mutex<Option<Open>>,
    /// True while the generation ends: then nothing but that is taken in. Held by every batch on its way.
    ending: Arc<RwLock<bool>>,
}

#[derive(Debug)]
struct Open {
    connection: Arc<Connection>,
    outlet: Arc<Outlet>,
}

impl Drop for Open {
    fn drop(&mut self) {
        // Whoever it was lent to, and what is on its way, would keep it open.
        self.connection.close(200, "OK".into()).now_or_never();
    }
}

impl Open {
    fn is_up(&self) -> bool {
        self.connection.status().connected() && self.outlet.is_up()
    }
}

impl Link {
    pub(super) fn new(broker: Broker, topology: Topology) -> Self {
        Self {
            broker,
            topology,
            open: Mutex::new(None),
            ending: Arc::new(RwLock::new(false)),
        }
    }

    /// Lets a batch pass, unless the generation ends and it is not about that; hold it until the batch is
    /// answered.
    pub(super) async fn enter(&self, batch: &[Outgoing]) -> Result<OwnedRwLockReadGuard<bool>> {
        let ending = Arc::clone(&self.ending).read_owned().await;
        let is_end = |one: &Outgoing| matches!(one.message, Message::Barrier(Barrier::End { .. }));
        if *ending && !batch.iter().all(is_end) {
            return Err(self.changing());
        }
        Ok(ending)
    }

    pub(super) fn changing(&self) -> Error {
        let why = "the partition count is being changed";
        Error::unavailable(self.broker.service(), "take a message")(why)
    }

    /// Nothing but the end of the generation passes from now on; what had passed is answered.
    pub(super) async fn close_gate(&self) {
        *self.ending.write().await = true;
    }

    /// Everything passes again.
    pub(super) async fn open_gate(&self) {
        *self.ending.write().await = false;
    }

    /// The channel that publishes, with confirms.
    pub(super) async fn outlet(&self) -> Result<Arc<Outlet>> {
        let (_, outlet) = self.opened().await?;
        Ok(outlet)
    }

    async fn opened(&self) -> Result<(Arc<Connection>, Arc<Outlet>)> {
        let mut open = self.open.lock().await;
        if let Some(open) = open.as_ref().filter(|open| open.is_up()) {
            return Ok((Arc::clone(&open.connection), Arc::clone(&open.outlet)));
        }
        // The old one first: what it still had is void, also for whoever it was lent to.
        *open = None;
        // The answer "no" closes a channel, and the one that is opened next on the same connection may be given
        // its error (seen with lapin 4.12): so the look has a connection of its own.
        let looking = self.broker.connect("setup").await?;
        let next = self.topology.generation().number + 1;
        let is_begun = self.topology.is_begun(&self.broker, &looking, next);
        if is_begun.await? {
            // Declared anew, queues that nobody reads any more would take what is sent.
            let why = "another process has begun the next generation of its queues";
            return Err(Error::unavailable(self.broker.service(), "publish")(why));
        }
        let connection = Arc::new(self.broker.connect("publisher").await?);
        self.topology.declare(&self.broker, &connection).await?;
        let channel = declare::channel(&self.broker, &connection).await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        let confirms = self.broker.answer(&connection, "confirm", confirms).await?;
        confirms.map_err(|error| self.broker.fault("confirm", error))?;
        let outlet = Arc::new(Outlet::new(channel));
        *open = Some(Open {
            connection: Arc::clone(&connection),
            outlet: Arc::clone(&outlet),
        });
        Ok((connection, outlet))
    }

    /// A channel for anything but publishing, so that an error on it disturbs no confirm; and its connection.
    pub(super) async fn side_channel(&self) -> Result<(Arc<Connection>, Channel)> {
        let (connection, outlet) = self.opened().await?;
        let action = "open a channel";
        let open = || {
            self.broker
                .answer(&connection, action, connection.create_channel())
        };
        let mut opened = open().await;
        if matches!(opened, Ok(Err(_))) && connection.status().connected() {
            // It may have been given the error of another channel; what is on its way is not given up for that.
            opened = open().await;
        }
        if opened.is_err() || !connection.status().connected() {
            self.forget(&outlet).await;
        }
        let channel = opened?.map_err(|error| self.broker.fault(action, error))?;
        Ok((connection, channel))
    }

    /// Messages ready in a queue.
    pub(super) async fn count(&self, queue: String) -> Result<u64> {
        let (connection, channel) = self.side_channel().await?;
        declare::count(&self.broker, &connection, &channel, queue).await
    }

    /// The next call connects and declares anew, unless another has done so since this channel broke.
    pub(super) async fn forget(&self, broken: &Arc<Outlet>) {
        let mut open = self.open.lock().await;
        if open
            .as_ref()
            .is_some_and(|open| Arc::ptr_eq(&open.outlet, broken))
        {
            *open = None;
        }
    }

    /// Waits for what is to come over a channel, and says it once when that is long because the broker has blocked us.
    ///
    /// # Errors
    /// Where the channel is down at two looks in a row: what has not come by then does not come.
    pub(super) async fn patiently<T>(
        &self,
        is_up: impl Fn() -> bool,
        wait: impl Future<Output = T>,
    ) -> Result<T> {
        let mut wait = std::pin::pin!(wait);
        let (mut said, mut was_up) = (false, true);
        loop {
            tokio::select! {
                biased;
                done = wait.as_mut() => return Ok(done),
                () = tokio::time::sleep(PATIENCE) => {}
            }
            said = said || self.say_if_blocked();
            let is_up = is_up();
            if !is_up && !was_up {
                return Err(self.no_answer());
            }
            was_up = is_up;
        }
    }

    pub(super) fn no_answer(&self) -> Error {
        let why = "the connection was lost before the answer";
        Error::unavailable(self.broker.service(), "confirm a message")(why)
    }

    /// Waits for nobody: the one whom it would wait for may be the one who waits.
    fn say_if_blocked(&self) -> bool {
        let Ok(open) = self.open.try_lock() else {
            return false;
        };
        let blocked = open
            .as_ref()
            .is_some_and(|open| open.connection.status().blocked());
        if blocked {
            let service = self.broker.service();
            tracing::warn!(
                service,
                "it is short of memory or disk and blocks publishers: waiting"
            );
        }
        blocked
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{sleep, timeout};

    use super::*;

    fn link() -> Link {
        let broker = Broker::parse("amqp://127.0.0.1:5672", (PATIENCE, PATIENCE)).unwrap();
        Link::new(broker, Topology::unread(("test", 1), None))
    }

    /// The lock is handed to whoever asked for it first: that one has to be polled, also while somebody
    /// looks why it takes so long.
    #[tokio::test(start_paused = true)]
    async fn a_wait_for_the_connection_itself_comes_to_its_end() {
        let link = link();
        let reconnecting = async {
            let _open = link.open.lock().await;
            sleep(2 * PATIENCE).await;
        };
        let answering = link.patiently(|| true, async { drop(link.open.lock().await) });
        let both = async { tokio::join!(reconnecting, answering) };
        let ended = timeout(10 * PATIENCE, both).await;
        assert!(ended.is_ok(), "it waits for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_the_client_has_forgotten_is_not_waited_for_once_its_channel_is_down() {
        let link = link();
        let forgotten = link.patiently(|| false, pending::<()>());
        let ended = timeout(10 * PATIENCE, forgotten).await;
        assert!(ended.expect("it waits for ever").is_err());
    }
}
