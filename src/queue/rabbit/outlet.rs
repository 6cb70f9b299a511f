//! The channel that publishes, and what becomes of each message.
//!
//! ```text
//! send ──> given to the connection ──written──> on its way ──confirmed, returned, refused──> heard
//!  └───────────── awaited with all others of the channel, in one set ────────────┘
//! ```
//!
//! What the broker returns the client hands out with whichever confirm it completes next, be it another batch's, and
//! the message that was returned counts as confirmed (lapin 4.12). It does so no later than that. So all confirms of a
//! channel are taken in together, in the order in which they complete: where one came with a return, nobody knows
//! whose it was.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{Channel, Confirmation};

use super::confirms::Confirms;
use super::wire::Envelope;

/// A channel with confirms.
#[derive(Debug)]
pub(super) struct Outlet {
    /// Lent to every message: a clone of the channel itself is one of each of its many parts.
    channel: Arc<Channel>,
    confirms: Confirms,
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

/// A message on its way: how far it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Sending(Arc<Slot>);

#[derive(Debug, Default)]
struct Slot {
    /// Or it never will be, which is heard.
    is_written: AtomicBool,
    heard: OnceLock<Heard>,
}

impl Outlet {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel: Arc::new(channel),
            confirms: Confirms::default(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.channel.status().connected()
    }

    /// Gives a message to the connection, behind those that were given before, and does not wait until it is written.
    pub(super) fn send(&self, queue: ShortString, envelope: Envelope) -> Sending {
        let (channel, sending) = (Arc::clone(&self.channel), Sending::default());
        let Sending(slot) = sending.clone();
        let confirm = async move {
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
            slot.is_written.store(true, Ordering::Release);
            let heard = match confirm {
                Ok(confirm) => Heard::of(confirm.await),
                Err(error) => Heard::Broken(error),
            };
            let is_returned = matches!(heard, Heard::Returned(_));
            slot.heard.set(heard).ok();
            is_returned
        };
        self.confirms.add(confirm.boxed());
        sending
    }

    /// Waits until it is written; while the broker blocks us, that is long. Cancel safe.
    pub(super) async fn written(&self, Sending(slot): &Sending) {
        let is_written = || slot.is_written.load(Ordering::Acquire).then_some(());
        self.confirms.until(is_written).await;
    }

    /// What the broker says of it. Cancel safe.
    pub(super) async fn heard(&self, Sending(slot): &Sending) -> Heard {
        self.confirms.until(|| slot.heard.get().cloned()).await
    }

    /// Whether anything was returned on it so far.
    pub(super) fn is_spoiled(&self) -> bool {
        self.confirms.is_spoiled()
    }
}
