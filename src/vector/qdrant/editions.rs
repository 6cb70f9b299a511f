//! The editions of an index on a server: many processes read one register and do what it says.
//!
//! | what | where |
//! |---|---|
//! | the register | one point of `lockstep_control` |
//! | an edition | its collections, made when a type is first stored, and its points of `lockstep_control` |
//! | the switch, for us | a change of the register |
//! | the switch, for other programs | the aliases of all types, moved in one request just before |
//!
//! Readers and workers of ours open editions by their numbers, so that the register alone decides, and
//! read it for every piece of work. Nobody knows who still works with an edition elsewhere: it is removed
//! all the same, and they get an error and find that the register has changed.
//!
//! | crash after | what is there | then |
//! |---|---|---|
//! | the aliases are moved | both editions are whole; other programs read the new one already | whoever drives registers it; who drops it moves them back first |
//! | the switch, or a drop | the other edition is registered as one to be removed | it is removed by whoever drives next |
//! | some collections are deleted | the rest | the rest goes |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::{OnceCell, watch};

use super::register::{self, Stored};
use super::server::Server;
use super::settings::Settings;
use super::{QdrantStore, control};
use crate::feature::embed::Embedder;
use crate::reindex::{
    Configured, Edition, Editions, Event, Index, Opening, Register, Searched, Standing,
};
use crate::{Error, Recovery, Result};

/// The edition that a new index begins with.
const FIRST: u32 = 1;

type OwnedOpener<E> = Box<dyn Fn(Value) -> Opening<'static, E> + Send + Sync>;

/// The editions of an index on a server.
pub struct QdrantEditions<E> {
    settings: Settings,
    configured: Configured<E>,
    opener: OwnedOpener<E>,
    /// What is asked about the index as a whole.
    server: OnceCell<Server>,
    /// Each is opened by itself: one that takes long keeps nobody from another.
    open: Mutex<Slots<E>>,
}

impl<E> fmt::Debug for QdrantEditions<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QdrantEditions")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

type Slots<E> = BTreeMap<u32, Arc<OnceCell<Slot<E>>>>;

/// An edition that this process has opened, and who holds it here.
struct Slot<E> {
    index: Index<QdrantStore, E>,
    holders: watch::Sender<()>,
}

impl<E> Slot<E> {
    fn lend(&self) -> Index<QdrantStore, E> {
        Index {
            held: Some(self.holders.subscribe()),
            ..self.index.clone()
        }
    }
}

impl<E: Embedder> QdrantEditions<E> {
    /// The editions of the index that the settings name; asks nothing yet.
    pub fn new(
        settings: Settings,
        configured: Configured<E>,
        opener: impl Fn(Value) -> Opening<'static, E> + Send + Sync + 'static,
    ) -> Self {
        Self {
            settings,
            configured,
            opener: Box::new(opener),
            server: OnceCell::new(),
            open: Mutex::default(),
        }
    }

    /// Connects, makes the register where there is none, and opens what is searched.
    ///
    /// # Errors
    /// As [`QdrantStore::open`]; why the model of the index cannot be opened.
    pub async fn start(&self) -> Result<()> {
        self.register().await?;
        self.searched().await.map(drop)
    }

    /// Whether documents of these types can be stored. Otherwise the first one of a type would be the one to find it, and
    /// end a worker in the middle of its work.
    ///
    /// # Errors
    /// [`Error::Refused`] where collections of somebody else have their names.
    pub async fn may_store(&self, kinds: &[String]) -> Result<()> {
        self.server().await?.refuse_others_names(kinds).await
    }

    async fn server(&self) -> Result<&Server> {
        let open = || Server::open(self.settings.clone());
        self.server.get_or_try_init(open).await
    }

    async fn register(&self) -> Result<Stored> {
        let server = self.server().await?;
        loop {
            if let Some(stored) = register::stored(server).await? {
                return Ok(stored);
            }
            let first = Register::new(self.first().await?);
            // Another process may be quicker; then that one is read.
            register::replace(server, None, &first).await?;
        }
    }

    /// What the index is that has no register: that of the model which made it, or a new one.
    async fn first(&self) -> Result<Edition> {
        let server = self.server().await?;
        let mut first = Edition {
            number: server.aliased_edition().await?.unwrap_or(FIRST),
            ..self.configured.edition.clone()
        };
        let stored = control::stored_model(server, first.number).await?;
        if let Some(stored) = stored.filter(|stored| stored.digest != first.model.digest) {
            (first.model, first.recipe) = (stored, Value::Null);
        }
        Ok(first)
    }

    async fn standing(&self, register: Register) -> Result<Standing<QdrantStore, E>> {
        let current = self.index(&register.current).await?;
        let (mut next, mut closed) = (None, None);
        if let Some(filling) = &register.next {
            match self.index(&filling.edition).await {
                Ok(index) => next = Some(index),
                Err(error) => closed = Some(error),
            }
        }
        self.forget_others(&register);
        Ok(Standing {
            register,
            current,
            next,
            closed,
        })
    }

    /// Opens an edition, once.
    async fn index(&self, edition: &Edition) -> Result<Index<QdrantStore, E>> {
        let slot = self.slots(|open| Arc::clone(open.entry(edition.number).or_default()));
        let opened = slot.get_or_try_init(|| self.opened(edition)).await;
        opened.map(Slot::lend)
    }

    async fn opened(&self, edition: &Edition) -> Result<Slot<E>> {
        let digest = &edition.model.digest;
        let known = self.slots(|open| {
            let mut known = open.values().filter_map(|slot| slot.get());
            let known = known.find(|slot| slot.index.embedder.model().digest == *digest);
            known.map(|slot| Arc::clone(&slot.index.embedder))
        });
        let embedder = match known {
            Some(known) => known,
            None => self.model_of(edition).await?,
        };
        let settings = self.settings.clone();
        let store = QdrantStore::open(settings, &edition.model, edition.number).await?;
        let index = Index {
            number: edition.number,
            store: Arc::new(store),
            embedder,
            held: None,
        };
        Ok(Slot {
            index,
            holders: watch::channel(()).0,
        })
    }

    /// Whoever only searches holds no model of an edition that is no more.
    fn forget_others(&self, register: &Register) {
        let needed = register.needed();
        self.slots(|open| {
            open.retain(|number, _| needed.contains(number) || register.removing.contains(number));
        });
    }

    fn slots<T>(&self, work: impl FnOnce(&mut Slots<E>) -> T) -> T {
        // Nothing that is done with them can be left half done.
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The model of an edition. Another one takes its place only where nobody knows how its own is
    /// opened: otherwise other processes write with that, and two would be mixed.
    async fn model_of(&self, edition: &Edition) -> Result<Arc<E>> {
        let opener = |recipe| -> Opening<'_, E> { (self.opener)(recipe) };
        let own = self.configured.own_model_of(edition, &opener).await;
        let refused = |why: String| {
            Error::Refused {
            service: format!("edition {} of the index", edition.number),
            why: format!("it is made with {}, {why}", edition.model.name),
            fix: "make that model available here; or run `lockstep reindex` where it is, give up what is \
                  being filled with `lockstep reindex --drop`, or name another index (vector.name)"
                .into(),
        }
        };
        match own {
            Ok(Some(own)) => Ok(own),
            Ok(None) => {
                let stand_in = self.configured.stand_in_for(edition);
                let given = &self.configured.edition.model;
                stand_in.ok_or_else(|| {
                    refused(format!(
                        "and {} gives vectors of another length",
                        given.name
                    ))
                })
            }
            Err(error) if matches!(error.recovery(), Recovery::Retry(_)) => Err(error),
            Err(error) => Err(refused(format!(
                "which cannot be opened here: {}",
                error.chain()
            ))),
        }
    }

    /// Deletes what is left of editions that no register names: somebody wrote to one that he did not
    /// know to be removed.
    async fn remove_leftovers(&self, register: &Register) -> Result<()> {
        let mut known: BTreeSet<u32> = register.needed();
        known.extend(&register.removing);
        // What another process has begun meanwhile is none.
        let is_left = |number: u32| number <= register.last && !known.contains(&number);
        let server = self.server().await?;
        for number in server.editions_there().await? {
            if is_left(number) {
                server.delete_edition(number).await?;
            }
        }
        Ok(())
    }

    /// Takes an edition off the register, whatever else happens to that meanwhile.
    async fn removed(&self, number: u32) -> Result<()> {
        let server = self.server().await?;
        loop {
            let stored = self.register().await?;
            let Some(after) = stored.register.after(Event::Removed(number)) else {
                return Ok(());
            };
            if register::replace(server, Some(&stored), &after).await? {
                return Ok(());
            }
        }
    }
}

impl<E: Embedder> Editions for QdrantEditions<E> {
    type Store = QdrantStore;
    type Embedder = E;

    async fn open(&self) -> Result<Standing<QdrantStore, E>> {
        loop {
            let register = self.register().await?.register;
            match self.standing(register.clone()).await {
                Ok(standing) if standing.closed.is_none() => return Ok(standing),
                // What could not be opened may be removed by now.
                failed if self.register().await?.register == register => return failed,
                _ => {}
            }
        }
    }

    async fn searched(&self) -> Result<Searched<QdrantStore, E>> {
        loop {
            let register = self.register().await?.register;
            match self.index(&register.current).await {
                Ok(current) => {
                    self.forget_others(&register);
                    return Ok(Searched { register, current });
                }
                // What could not be opened may be removed by now.
                Err(error) if self.register().await?.register == register => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn configured(&self) -> Edition {
        self.configured.edition.clone()
    }

    async fn begin(&self) -> Result<bool> {
        let stored = self.register().await?;
        self.remove_leftovers(&stored.register).await?;
        let edition = Edition {
            number: stored.register.number(),
            ..self.configured.edition.clone()
        };
        let Some(after) = stored.register.after(Event::Begun(edition)) else {
            return Ok(false);
        };
        let server = self.server().await?;
        register::replace(server, Some(&stored), &after).await
    }

    async fn change(&self, from: &Register, event: Event) -> Result<bool> {
        let stored = self.register().await?;
        let is_switch = event == Event::Switched;
        let Some(after) = from.after(event).filter(|_| stored.register == *from) else {
            return Ok(false);
        };
        let server = self.server().await?;
        if is_switch {
            server.point_aliases(after.current.number).await?;
        }
        let changed = register::replace(server, Some(&stored), &after).await?;
        if is_switch {
            // Another one may have been quicker; and a type that was new meanwhile has no alias yet.
            let now = self.register().await?.register;
            server.point_aliases(now.current.number).await?;
        }
        Ok(changed)
    }

    async fn remove(&self, number: u32) -> Result<()> {
        let register = self.register().await?.register;
        if !register.removing.contains(&number) {
            return Ok(());
        }
        let slot = self.slots(|open| open.get(&number).cloned());
        if let Some(slot) = slot.as_ref().and_then(|slot| slot.get()) {
            slot.holders.closed().await;
        }
        self.slots(|open| open.remove(&number));
        let server = self.server().await?;
        // Also where a worker has pointed one of them back, which takes it for the current one still.
        server.point_aliases(register.current.number).await?;
        server.delete_edition(number).await?;
        self.removed(number).await?;
        self.remove_leftovers(&self.register().await?.register)
            .await
    }
}
