//! How a consumer goes: what was settled is acknowledged, its connection is closed, and only then others may
//! have what it had.
//!
//! ```text
//! dropped ──> a line that is being left ──> acknowledge ──> close ──> its part is held by nobody
//! ```

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt as _;
use lapin::message::Delivery as Message;
use lapin::options::BasicAckOptions;
use lapin::{Channel, Connection};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::sharing::Part;
use super::step::{Step, Stepping};

/// A connection that did not close in this time counts as closed: now and then its end is not told.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// Consumers that were dropped and are still connected.
#[derive(Debug, Clone, Default)]
pub(super) struct Going(watch::Sender<usize>);

/// One of them, until it is dropped: then its part is held by nobody.
#[derive(Debug)]
pub(super) struct GoingOne(Going, Part);

impl Going {
    pub(super) fn one(&self, part: Part) -> GoingOne {
        self.0.send_modify(|count| *count += 1);
        GoingOne(self.clone(), part)
    }

    /// Ends when there is none.
    pub(super) async fn none(&self) {
        // It fails only without a sender, and that is ours.
        self.0.subscribe().wait_for(|count| *count == 0).await.ok();
    }
}

impl GoingOne {
    /// Acknowledges what is `done` and closes the connection, on a task of its own.
    ///
    /// `open` is kept until then: a stream that goes, or a step that would have ended in one, cancels its
    /// subscription, and the next consumer would be served past what is still unacknowledged here.
    pub(super) fn close<A: Send + 'static>(
        self,
        connection: Arc<Connection>,
        done: Vec<Message>,
        mut open: (A, Option<(Step, Stepping)>, Channel),
    ) {
        let mut close = Box::pin(async move {
            if let Some((Step::Leave, leaving)) = &mut open.1 {
                // It has what was settled of the line that it leaves.
                leaving.await.ok();
            }
            for message in done {
                message.acker.ack(BasicAckOptions::default()).await.ok();
            }
            connection.close(200, "OK".into()).await.ok();
            drop((open, self));
        });
        // Asked for at once, since a runtime that ends may not come to it any more.
        let is_closed = (&mut close).now_or_never().is_some();
        if !is_closed && let Ok(runtime) = Handle::try_current() {
            runtime.spawn(tokio::time::timeout(CLOSED_WITHIN, close));
        }
    }
}

impl Drop for GoingOne {
    fn drop(&mut self) {
        // Before anybody else may hold it.
        self.1.let_go();
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sharing::Held;
    use super::*;

    #[test]
    fn what_a_consumer_held_is_held_until_it_is_gone_and_the_next_one_waits() {
        let (going, held) = (Going::default(), Arc::<Held>::default());
        let part = Part::Shared(Arc::clone(&held));
        assert!(going.none().now_or_never().is_some());
        part.hold([3].into());
        let one = going.one(part);
        assert_eq!(held.holds(), [3].into());
        assert!(going.none().now_or_never().is_none());
        drop(one);
        assert_eq!(held.holds(), [].into());
        assert!(going.none().now_or_never().is_some());
    }
}
