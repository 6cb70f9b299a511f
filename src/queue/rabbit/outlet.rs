//! The channel that publishes, and all that it has not been told of yet.
//!
//! ```text
//! send ──> given to the connection ──written──> on its way ──confirmed, returned, refused──> heard
//!  └────────────────────── awaited, by the channel as well ──────────────────────────┘
//! ```
//!
//! What the broker returns the client hands out with whichever confirm it completes next, be it another batch's, and
//! the message that was returned counts as confirmed (lapin 4.12). It does so no later than that. So whoever reports
//! looks first at every confirm that there is by then: where one came with a return, nobody knows whose it was.

use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{Channel, Confirmation};
use tokio::sync::oneshot;

use super::wire::Envelope;

/// A channel with confirms.
#[derive(Debug)]
pub(super) struct Outlet {
    channel: Channel,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    awaited: Vec<Shared<BoxFuture<'static, Heard>>>,
    /// Something came back on it.
    is_spoiled: bool,
}

/// What became of a message.
#[derive(Debug, Clone)]
pub(super) enum Heard {
    Confirmed,
    /// No queue had it, or another message's queue had not: the one that is named.
    Returned(String),
    Refused,
    /// It was not asked for.
    Nothing,
    Broken(lapin::Error),
}

impl Heard {
    fn of(confirmation: lapin::Result<Confirmation>) -> Self {
        match confirmation {
            Ok(Confirmation::Ack(None)) => Self::Confirmed,
            Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => {
                Self::Returned(returned.routing_key.to_string())
            }
            Ok(Confirmation::Nack(None)) => Self::Refused,
            Ok(Confirmation::NotRequested) => Self::Nothing,
            Err(error) => Self::Broken(error),
        }
    }
}

impl Outlet {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel,
            state: Mutex::default(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.channel.status().connected()
    }

    /// A message to be sent, once that is polled.
    pub(super) fn send(&self, queue: ShortString, envelope: Envelope) -> Sending {
        let (channel, (told, written)) = (self.channel.clone(), oneshot::channel());
        let sending = async move {
            let confirm = {
                let Envelope { properties, body } = envelope;
                let options = BasicPublishOptions {
                    mandatory: true,
                    ..BasicPublishOptions::default()
                };
                let none = ShortString::default();
                channel
                    .basic_publish(none, queue, options, &body, properties)
                    .await
            };
            // Nobody may wait for it.
            told.send(()).ok();
            match confirm {
                Ok(confirm) => Heard::of(confirm.await),
                Err(error) => Heard::Broken(error),
            }
        };
        let sending = sending.boxed().shared();
        self.state().awaited.push(sending.clone());
        Sending {
            heard_of: sending,
            written,
            heard: None,
        }
    }

    /// Whether anything was returned on it so far.
    pub(super) fn is_spoiled(&self) -> bool {
        let mut state = self.state();
        let State {
            awaited,
            is_spoiled,
        } = &mut *state;
        awaited.retain(|one| {
            let heard = one.clone().now_or_never();
            *is_spoiled |= matches!(heard, Some(Heard::Returned(_)));
            heard.is_none()
        });
        state.is_spoiled
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message on its way.
pub(super) struct Sending {
    heard_of: Shared<BoxFuture<'static, Heard>>,
    written: oneshot::Receiver<()>,
    heard: Option<Heard>,
}

impl Sending {
    /// Gives it to the connection, and does not wait until it is written.
    pub(super) async fn give(&mut self) {
        poll_fn(|context| {
            self.poll(context);
            Poll::Ready(())
        })
        .await;
    }

    /// Waits until it is written; while the broker blocks us, that is long. Cancel safe.
    pub(super) async fn written(&mut self) {
        poll_fn(|context| {
            self.poll(context);
            if self.heard.is_none() && !self.written.is_terminated() {
                // It says so, or ends without: then it is heard.
                ready!(self.written.poll_unpin(context)).ok();
            }
            Poll::Ready(())
        })
        .await;
    }

    /// What the broker says of it.
    pub(super) async fn heard(mut self) -> Heard {
        poll_fn(|context| {
            self.poll(context);
            self.heard.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        if self.heard.is_none()
            && let Poll::Ready(heard) = self.heard_of.poll_unpin(context)
        {
            self.heard = Some(heard);
        }
    }
}
