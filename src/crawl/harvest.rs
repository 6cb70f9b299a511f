//! What the readers hand to the crawl, through one bounded channel.
//!
//! ```text
//! reading threads ──Found──> channel of HARVEST_MAX ──> crawl ──> source
//! ```

use tokio::sync::mpsc;

use super::{Settings, Skipped};
use crate::change::DocumentKey;
use crate::document::{Document, User};
use crate::logbook::Page;

/// Found things waiting; a full channel makes the readers wait.
pub(crate) const HARVEST_MAX: usize = 16;

/// What a reader needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) author: User,
    pub(crate) root: String,
}

impl Context {
    /// The link of what is crawled.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }
}

/// Something a reader came by.
#[derive(Debug)]
pub(crate) enum Found {
    /// How many things there are to read.
    Total(usize),
    /// A document.
    Document(Document),
    /// A document that is known to lack something, and what.
    Partial(Document, Skipped),
    /// Something that is there and gave no document.
    Missed(Missed),
    /// A page that is gone, whose document stays for what a feed has of it.
    Fed(Missed),
    /// A document that is as it is stored, as far as its page tells.
    Same(DocumentKey),
    /// A document whose page is gone for good.
    Gone(DocumentKey),
    /// A document, and those in whose place it is: they go when it is stored.
    InPlaceOf(Box<Found>, Vec<DocumentKey>),
    /// One of the others, and what is to be remembered of its page when that is stored.
    Visited(Box<Found>, Box<Page>),
    /// Something that could not be looked into: nothing may be taken for vanished.
    Unseen(Skipped),
}

/// Something that is there and gave no document.
#[derive(Debug)]
pub(crate) struct Missed {
    /// What and why.
    pub(crate) skipped: Skipped,
    /// The document it would have been, if it would have been one.
    pub(crate) key: Option<DocumentKey>,
}

/// The readers' end of the channel.
#[derive(Debug, Clone)]
pub(crate) struct Harvest(mpsc::Sender<Found>);

impl Harvest {
    /// Both ends of a channel.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Found>) {
        let (sender, receiver) = mpsc::channel(HARVEST_MAX);
        (Self(sender), receiver)
    }

    /// Hands something on; blocks while the channel is full, and does nothing once nobody listens.
    pub(crate) fn send(&self, found: Found) {
        if self.0.blocking_send(found).is_err() {
            tracing::debug!("nobody listens to the readers any more");
        }
    }

    /// Whether nobody listens any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
