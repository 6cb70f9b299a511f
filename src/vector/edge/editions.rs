//! The editions of an embedded index: which are there, open, and to be removed.
//!
//! ```text
//! vectors/      vector_…        the first edition          index_register: which one is searched,
//! vectors-2/    vector_2_…      the second                 which is being filled, which is to go
//! ```
//!
//! | crash after | what is there | after opening |
//! |---|---|---|
//! | a new edition is made | a folder and tables that the register does not name | removed |
//! | it is registered | both | goes on being filled |
//! | the switch | both; the old one is registered as one to be removed | the new one is searched, the old one removed |
//! | the folder is gone | tables | removed |

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::{Mutex, watch};

use super::tables::Tables;
use super::unreadable::{Unreadable, away, is_away, other_dimension};
use super::{EdgeStore, Upkeep, stored_model};
use crate::database::{Database, Durability};
use crate::feature::embed::Embedder;
use crate::reindex::{Configured, Edition, Editions, Event, Index, Opener, Register, Standing};
use crate::{Error, Result};

/// The editions of the embedded index.
#[derive(Debug)]
pub struct EdgeEditions<E> {
    database: Database,
    /// The folder of the first edition; the others lie beside it.
    folder: PathBuf,
    configured: Configured<E>,
    state: Mutex<State<E>>,
    /// One edition is made at a time.
    making: Mutex<()>,
    /// Held by whoever removes one, until its engine is closed and its files are gone.
    removing: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct State<E> {
    register: Register,
    open: BTreeMap<u32, Slot<E>>,
    /// Why the model of the edition that is being filled is not open, if it is not.
    away: Option<String>,
}

/// An open edition, and who holds it.
#[derive(Debug)]
struct Slot<E> {
    index: Index<EdgeStore, E>,
    holders: watch::Sender<()>,
}

impl<E> Slot<E> {
    fn new(number: u32, store: EdgeStore, embedder: Arc<E>) -> Self {
        let index = Index {
            number,
            store: Arc::new(store),
            embedder,
            held: None,
        };
        let (holders, _) = watch::channel(());
        Self { index, holders }
    }

    fn lend(&self) -> Index<EdgeStore, E> {
        Index {
            held: Some(self.holders.subscribe()),
            ..self.index.clone()
        }
    }
}

impl<E: Embedder> EdgeEditions<E> {
    /// Opens the index beside this folder, which is the first edition's, or makes it; removes what
    /// a crash has left. The database must have run [`super::SCHEMA`].
    ///
    /// # Errors
    /// [`Error::Model`] where the index cannot be read with any model, [`Error::Data`] where it is
    /// damaged or gone.
    pub async fn open(
        database: Database,
        folder: &Path,
        configured: Configured<E>,
        opener: Opener<'_, E>,
        unreadable: Unreadable,
    ) -> Result<Self> {
        let new = Self {
            state: Mutex::new(State {
                register: Register::new(Edition {
                    number: 1,
                    ..configured.edition.clone()
                }),
                open: BTreeMap::new(),
                away: None,
            }),
            database,
            folder: folder.to_owned(),
            configured,
            making: Mutex::default(),
            removing: Arc::default(),
        };
        new.start(opener, unreadable).await?;
        Ok(new)
    }

    async fn start(&self, opener: Opener<'_, E>, unreadable: Unreadable) -> Result<()> {
        let stored = self.database.read(read).await?;
        let mut register = self.found(stored.clone()).await?;
        let current = &register.current;
        let embedder = match self.model_of(current, opener, unreadable).await? {
            Some(embedder) => embedder,
            None if unreadable == Unreadable::Replace => {
                register = register.replaced(self.configured.edition.clone());
                Arc::clone(&self.configured.embedder)
            }
            None => {
                let model = &self.configured.edition.model;
                return Err(other_dimension(
                    &self.folder,
                    &register.current.model,
                    model,
                ));
            }
        };
        let (mut next, mut is_closed) = (None, None);
        if let Some(filling) = register.next.clone() {
            // No other stands in for it: an edition is filled by one model.
            match self.configured.own_model_of(&filling.edition, opener).await {
                Ok(Some(own)) => next = Some(own),
                Err(error) if is_away(&error, unreadable) => is_closed = Some(error.chain()),
                gone => {
                    let why = gone.as_ref().err().map(Error::chain);
                    let model = &filling.edition.model.name;
                    tracing::warn!(model, error = why, "re-index given up: its model is gone");
                    register = register.after(Event::Abandoned).unwrap_or(register);
                }
            }
        }
        self.remove_leftovers(&register).await?;
        if stored.as_ref() != Some(&register) {
            self.save(&register).await?;
        }
        let mut state = self.state.lock().await;
        let next = register.next.as_ref().zip(next);
        let wanted = next.map(|(next, embedder)| (&next.edition, embedder));
        for (edition, embedder) in [(&register.current, embedder)].into_iter().chain(wanted) {
            let store = self.store(edition).await?;
            let slot = Slot::new(edition.number, store, embedder);
            state.open.insert(edition.number, slot);
        }
        (state.register, state.away) = (register, is_closed);
        Ok(())
    }

    /// The register as it was stored; without one there is at most a first edition.
    async fn found(&self, stored: Option<Register>) -> Result<Register> {
        if let Some(mut register) = stored {
            if register.current.is_as(&self.configured.edition) {
                // The model may have moved.
                register.current.recipe = self.configured.edition.recipe.clone();
            }
            return Ok(register);
        }
        let configured = &self.configured.edition;
        let mut first = Edition {
            number: 1,
            ..configured.clone()
        };
        if let Some(stored) = stored_model(&self.database, 1).await?
            && stored.digest != configured.model.digest
        {
            (first.model, first.recipe) = (stored, serde_json::Value::Null);
        }
        Ok(Register::new(first))
    }

    /// What embeds for an edition: its own model, or else another of its dimension. None where
    /// there is neither.
    async fn model_of(
        &self,
        edition: &Edition,
        opener: Opener<'_, E>,
        unreadable: Unreadable,
    ) -> Result<Option<Arc<E>>> {
        match self.configured.own_model_of(edition, opener).await {
            Ok(Some(own)) => return Ok(Some(own)),
            Ok(None) => {}
            Err(error) if is_away(&error, unreadable) => return Err(away(edition, error)),
            Err(error) => {
                let model = &edition.model.name;
                tracing::warn!(model, error = %error.chain(), "the index's model cannot be opened");
            }
        }
        Ok(self.configured.stand_in_for(edition))
    }

    async fn store(&self, edition: &Edition) -> Result<EdgeStore> {
        let place = (self.database.clone(), edition.number);
        let folder = self.folder_of(edition.number);
        EdgeStore::open_edition(&folder, place, &edition.model, Upkeep::default()).await
    }

    fn folder_of(&self, number: u32) -> PathBuf {
        if number == 1 {
            return self.folder.clone();
        }
        let mut name = self.folder.clone().into_os_string();
        name.push(format!("-{number}"));
        name.into()
    }

    /// Removes the editions that are not registered: a crash came before they were.
    async fn remove_leftovers(&self, register: &Register) -> Result<()> {
        let registered = |number: &u32| {
            *number == 1 || register.needed().contains(number) || register.removing.contains(number)
        };
        let tables = |connection: &Connection| Ok(Tables::editions(connection)?);
        let mut found = self.database.read(tables).await?;
        found.extend(self.numbers_of_folders()?);
        found.retain(|number| !registered(number));
        for number in found {
            let folder = self.folder_of(number);
            blocking(move || remove_files(&folder)).await?;
            let remove = move |rows: &Transaction<'_>| Ok(Tables::new(rows, number).remove()?);
            self.database.write(Durability::Ordered, remove).await?;
        }
        Ok(())
    }

    fn numbers_of_folders(&self) -> Result<Vec<u32>> {
        let (Some(parent), Some(name)) = (self.folder.parent(), self.folder.file_name()) else {
            return Ok(Vec::new());
        };
        let prefix = format!("{}-", name.to_string_lossy());
        let mut found = Vec::new();
        for entry in fs::read_dir(parent).map_err(|error| unremovable(parent, &error))? {
            let name = entry
                .map_err(|error| unremovable(parent, &error))?
                .file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&prefix));
            found.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        Ok(found)
    }

    async fn save(&self, register: &Register) -> Result<()> {
        let text = serde_json::to_string(register)
            .map_err(|error| Error::malformed("the register", error.to_string()))?;
        let save = move |transaction: &Transaction<'_>| {
            let save = "INSERT INTO index_register VALUES (1, ?1)
                        ON CONFLICT DO UPDATE SET register = excluded.register";
            transaction.execute(save, params![text])?;
            Ok(())
        };
        // Files are removed by what it says, and those no log brings back.
        self.database.write(Durability::Synced, save).await
    }
}

impl<E: Embedder> Editions for EdgeEditions<E> {
    type Store = EdgeStore;
    type Embedder = E;

    async fn open(&self) -> Result<Standing<EdgeStore, E>> {
        let state = self.state.lock().await;
        let lend = |number: u32| state.open.get(&number).map(Slot::lend);
        let current =
            lend(state.register.current.number).ok_or(Error::Stopped { part: "the index" })?;
        let filling = state.register.next.as_ref().map(|next| &next.edition);
        let next = filling.and_then(|edition| lend(edition.number));
        let closed = filling.filter(|_| next.is_none()).zip(state.away.clone());
        Ok(Standing {
            next,
            register: state.register.clone(),
            current,
            closed: closed.map(|(edition, why)| away(edition, why)),
        })
    }

    fn configured(&self) -> Edition {
        self.configured.edition.clone()
    }

    async fn begin(&self) -> Result<bool> {
        let _one = self.making.lock().await;
        let register = self.state.lock().await.register.clone();
        if register.next.is_some() {
            return Ok(false);
        }
        let edition = Edition {
            number: register.number(),
            ..self.configured.edition.clone()
        };
        let store = self.store(&edition).await?;
        let slot = Slot::new(edition.number, store, Arc::clone(&self.configured.embedder));
        let mut state = self.state.lock().await;
        let number = edition.number;
        let Some(after) = state.register.after(Event::Begun(edition)) else {
            return Ok(false);
        };
        self.save(&after).await?;
        state.open.insert(number, slot);
        state.register = after;
        Ok(true)
    }

    async fn change(&self, from: &Register, event: Event) -> Result<bool> {
        let mut state = self.state.lock().await;
        if state.register != *from {
            return Ok(false);
        }
        let Some(after) = from.after(event) else {
            return Ok(false);
        };
        self.save(&after).await?;
        state.register = after;
        Ok(true)
    }

    async fn remove(&self, number: u32) -> Result<()> {
        let one = Arc::clone(&self.removing).lock_owned().await;
        let holders = {
            let state = self.state.lock().await;
            if !state.register.removing.contains(&number) {
                return Ok(());
            }
            state.open.get(&number).map(|slot| slot.holders.clone())
        };
        // Only afterwards is it forgotten: whoever is cancelled while he waits waits again.
        if let Some(holders) = holders {
            holders.closed().await;
        }
        let slot = self.state.lock().await.open.remove(&number);
        let folder = self.folder_of(number);
        // To its end, whoever is cancelled: nobody else is to remove the files of an engine that is still closing.
        blocking(move || {
            let _one = one;
            // Closing an engine waits for its threads.
            drop(slot);
            remove_files(&folder)
        })
        .await?;
        let remove = move |rows: &Transaction<'_>| Ok(Tables::new(rows, number).remove()?);
        self.database.write(Durability::Ordered, remove).await?;
        let mut state = self.state.lock().await;
        if let Some(after) = state.register.after(Event::Removed(number)) {
            self.save(&after).await?;
            state.register = after;
        }
        Ok(())
    }
}

async fn blocking(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::Stopped {
        part: "the removal of an edition",
    })?
}

fn remove_files(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unremovable(folder, &error)),
        _ => Ok(()),
    }
}

fn read(connection: &Connection) -> Result<Option<Register>> {
    let select = "SELECT register FROM index_register";
    let text: Option<String> = connection
        .query_row(select, [], |row| row.get(0))
        .optional()?;
    let parse = |text: String| {
        serde_json::from_str(&text)
            .map_err(|error| Error::malformed("the register of the index", error.to_string()))
    };
    text.map(parse).transpose()
}

fn unremovable(path: &Path, error: &std::io::Error) -> Error {
    Error::Data {
        path: path.to_owned(),
        why: format!("what is left of an edition cannot be removed: {error}"),
    }
}
