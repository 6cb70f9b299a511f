//! A new edition of the index beside the one that is searched, and the switch between them.
//!
//! ```text
//! begin ──> workers write both ──> capture: mark, every document, mark ──> compare ──> switch ──> remove
//!                                   │ through the queues                                the old one
//!                                   └─ between: tombstones, floors and watermarks are copied
//! ```
//!
//! What is asked for is in the register before anything is done, each action may be repeated, and
//! whoever does them may be cut off anywhere: the next one reads the register and goes on. Searches
//! read the old edition until the switch, and the new one from then on; never both.
//!
//! A worker reads the register after it has received: what it writes to the old edition alone was
//! received before the new one was asked for, so the pages that fill it, read later, have it, and
//! tombstones are copied when every queue has passed the first mark. It writes the new edition
//! first: at the switch none is older there than in the old one.

mod alone;
mod copy;
mod drive;
mod estimate;
mod model;
mod register;
mod remembering;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

pub use alone::Alone;
pub use drive::{Ask, Ports, Settings, drive};
pub use estimate::{Estimate, estimate};
pub use model::{Configured, Opener, Opening};
pub use register::{Action, Edition, Event, Next, Register, Seen, Stage};
pub use remembering::Remembering;

use crate::feature::embed::Embedder;
use crate::vector::VectorStore;
use crate::{Error, Recovery, Result};

/// An edition, open. While a clone is held its files stay.
#[derive(Debug)]
pub struct Index<V, E> {
    /// Its number.
    pub number: u32,
    /// Its points and manifests.
    pub store: Arc<V>,
    /// Its model.
    pub embedder: Arc<E>,
    /// Closed when nobody holds it; none where nobody removes it.
    pub held: Option<watch::Receiver<()>>,
}

impl<V, E> Clone for Index<V, E> {
    fn clone(&self) -> Self {
        Self {
            number: self.number,
            store: Arc::clone(&self.store),
            embedder: Arc::clone(&self.embedder),
            held: self.held.clone(),
        }
    }
}

impl<V, E> Index<V, E> {
    /// The same with other things before its store and its embedder.
    pub fn map<W, F>(
        self,
        store: impl FnOnce(Arc<V>) -> Arc<W>,
        embedder: impl FnOnce(Arc<E>) -> Arc<F>,
    ) -> Index<W, F> {
        Index {
            number: self.number,
            store: store(self.store),
            embedder: embedder(self.embedder),
            held: self.held,
        }
    }
}

/// The editions at one moment.
#[derive(Debug)]
pub struct Standing<V, E> {
    /// How they stand.
    pub register: Register,
    /// The one that is searched.
    pub current: Index<V, E>,
    /// The one that is being filled.
    pub next: Option<Index<V, E>>,
    /// Why the one that is being filled cannot be opened here.
    pub closed: Option<Error>,
}

impl<V, E> Standing<V, E> {
    /// Where changes go, in this order: at the switch nothing is older in the new one.
    pub fn indexes(&self) -> impl Iterator<Item = &Index<V, E>> {
        self.next.iter().chain([&self.current])
    }

    /// Itself, where every edition that is to be written to is open.
    ///
    /// # Errors
    /// Why one is not: what is settled without having gone there would be missing at the switch.
    pub fn writable(self) -> Result<Self> {
        match self.closed {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// The same with other indexes.
    pub fn map<W, F>(self, map: impl Fn(Index<V, E>) -> Index<W, F>) -> Standing<W, F> {
        Standing {
            register: self.register,
            current: map(self.current),
            next: self.next.map(map),
            closed: self.closed,
        }
    }

    /// The stores of [`Self::indexes`].
    pub fn stores(&self) -> Vec<&V> {
        self.indexes().map(|index| index.store.as_ref()).collect()
    }

    /// What of them is searched.
    pub fn searched(self) -> Searched<V, E> {
        Searched {
            register: self.register,
            current: self.current,
        }
    }
}

/// The edition that is searched, at one moment.
#[derive(Debug)]
pub struct Searched<V, E> {
    /// How they all stand.
    pub register: Register,
    /// It, open.
    pub current: Index<V, E>,
}

impl<V, E> Searched<V, E> {
    /// The same with another index.
    pub fn map<W, F>(self, map: impl Fn(Index<V, E>) -> Index<W, F>) -> Searched<W, F> {
        Searched {
            register: self.register,
            current: map(self.current),
        }
    }

    /// What a person should know of it.
    pub fn note(&self, configured: &Edition) -> Option<String>
    where
        E: Embedder,
    {
        let current = &self.register.current;
        if self.register.hollow {
            let why = "its model is gone: it was begun anew and holds only what was changed since";
            return Some(format!(
                "the index is not full, {why}; `lockstep reindex` fills it"
            ));
        }
        if current.is_made_by_the_same(configured) {
            return None;
        }
        let what = if current.model.digest == configured.model.digest {
            "another cleaner or chunker".to_owned()
        } else if self.current.embedder.model().digest == current.model.digest {
            format!("{} and is asked with it", current.model.name)
        } else {
            format!(
                "{}, which cannot be opened, and is asked with {}, so that what it finds may be poor",
                current.model.name, configured.model.name
            )
        };
        let then = match &self.register.next {
            Some(_) => "a re-index is under way",
            None => "`lockstep reindex` makes a new one",
        };
        Some(format!("the index was made with {what}; {then}"))
    }
}

/// What was done with the editions as they were; where it failed for good, and they are others by now,
/// it may have failed because of that, and is worth another try.
///
/// # Errors
/// What it failed with; [`Error::Unavailable`] with that as its cause where it is to be tried again.
pub async fn or_moved<T, E: Editions>(editions: &E, were: &Register, done: Result<T>) -> Result<T> {
    match done {
        Err(error)
            if error.recovery() == Recovery::Stop
                && editions.searched().await?.register != *were =>
        {
            Err(Error::unavailable("the index", "stay what it was")(error))
        }
        done => done,
    }
}

/// Keeps the editions of an index.
///
/// - What is registered is durable when it returns, and is changed as one step: of two who change
///   it at once, one is told that it came too late.
/// - An edition is there, empty or not, before it is registered, and its files go only after it is
///   registered as one to be removed and nobody of this process holds it. Whoever else still works
///   with it gets an error then; see [`or_moved`].
/// - The switch is one step for every reader: one who asks afterwards gets the new edition.
/// - Concurrent callers are served.
pub trait Editions: Send + Sync + 'static {
    /// What an edition is kept in.
    type Store: VectorStore;
    /// What its texts are embedded with.
    type Embedder: Embedder;

    /// The editions as they are now.
    fn open(&self) -> impl Future<Output = Result<Standing<Self::Store, Self::Embedder>>> + Send;

    /// What is searched now. Whether the edition that is being filled can be opened, and how long that takes,
    /// makes no difference to it.
    fn searched(
        &self,
    ) -> impl Future<Output = Result<Searched<Self::Store, Self::Embedder>>> + Send {
        async { Ok(self.open().await?.searched()) }
    }

    /// What a new edition would be: the configured model and the pipeline of this program.
    fn configured(&self) -> Edition;

    /// Makes an empty edition and registers it as begun. False where one is being filled already.
    fn begin(&self) -> impl Future<Output = Result<bool>> + Send;

    /// Registers what has happened, where the register still is `from`; false where it is not.
    fn change(&self, from: &Register, event: Event) -> impl Future<Output = Result<bool>> + Send;

    /// Removes the files of an edition that is registered as one to be removed, when nobody holds
    /// it any more, and takes it off the register. Repeatable.
    fn remove(&self, number: u32) -> impl Future<Output = Result<()>> + Send;
}
