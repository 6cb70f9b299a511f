//! Editions in memory, whose register loses answers and is read at awkward moments.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Chaos, EmbedModel, Plant, VectorModel};
use crate::feature::embed::Embedder as _;
use crate::reindex::{Edition, Editions, Event, Index, Register, Stage, Standing};
use crate::{Error, Result};

/// Editions in memory; each has a model of its own.
#[derive(Debug, Clone)]
pub struct EditionsModel {
    state: Arc<Mutex<State>>,
    chaos: Chaos,
}

#[derive(Debug)]
struct State {
    register: Register,
    open: BTreeMap<u32, Slot>,
}

#[derive(Debug)]
struct Slot {
    store: VectorModel,
    embedder: Arc<EmbedModel>,
    holders: watch::Sender<()>,
}

impl Slot {
    fn new(chaos: &Chaos, number: u32) -> Self {
        Self {
            store: VectorModel::of_edition(chaos.clone(), number),
            embedder: Arc::new(EmbedModel::of_edition(chaos.clone(), number)),
            holders: watch::channel(()).0,
        }
    }

    fn lend(&self, number: u32) -> Index<VectorModel, EmbedModel> {
        Index {
            number,
            store: Arc::new(self.store.clone()),
            embedder: Arc::clone(&self.embedder),
            held: Some(self.holders.subscribe()),
        }
    }
}

impl EditionsModel {
    /// One empty edition.
    pub fn new(chaos: Chaos) -> Self {
        let first = Slot::new(&chaos, 1);
        let register = Register::new(edition(&first, 1));
        let open = BTreeMap::from([(1, first)]);
        Self {
            state: Arc::new(Mutex::new(State { register, open })),
            chaos,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the edition is there.
    pub fn is_there(&self, number: u32) -> bool {
        self.state().open.contains_key(&number)
    }

    /// The register as it is.
    pub(super) fn register(&self) -> Register {
        self.state().register.clone()
    }

    /// The store of an edition that is there.
    pub(super) fn store(&self, number: u32) -> Option<VectorModel> {
        Some(self.state().open.get(&number)?.store.clone())
    }

    /// The edition that is searched.
    pub(super) fn current(&self) -> (u32, VectorModel) {
        let state = self.state();
        let number = state.register.current.number;
        let slot = state.open.get(&number);
        let slot = slot.expect("the current edition should be open: it is removed by no event");
        (number, slot.store.clone())
    }

    /// Every store answers again, and at once.
    pub(super) fn come_back(&self) {
        let state = self.state();
        state.open.values().for_each(|slot| slot.store.come_back());
    }

    /// The model of an edition that is there.
    pub(super) fn embedder(&self, number: u32) -> Option<Arc<EmbedModel>> {
        Some(Arc::clone(&self.state().open.get(&number)?.embedder))
    }

    /// Somebody asks for a new edition, or gives one up.
    pub(super) fn commit(&self, event: &Event) -> bool {
        let mut state = self.state();
        let Some(mut after) = state.register.after(event.clone()) else {
            return false;
        };
        if *event == Event::Copied && self.chaos.has(Plant::SwitchBeforeFilled) {
            if let Some(next) = &mut after.next {
                next.stage = Stage::Verified;
            }
            after = after.after(Event::Switched).unwrap_or(after);
        }
        tracing::trace!(?event, "register");
        state.register = after;
        true
    }

    /// Makes an empty edition and registers it.
    pub(super) fn begin_now(&self) -> bool {
        let number = self.register().number();
        let slot = Slot::new(&self.chaos, number);
        let begun = self.commit(&Event::Begun(edition(&slot, number)));
        if begun {
            self.state().open.insert(number, slot);
        }
        begun
    }
}

fn edition(slot: &Slot, number: u32) -> Edition {
    Edition {
        number,
        model: slot.embedder.model().clone(),
        pipeline: "simulated".to_owned(),
        recipe: serde_json::Value::Null,
    }
}

impl Editions for EditionsModel {
    type Store = VectorModel;
    type Embedder = EmbedModel;

    async fn open(&self) -> Result<Standing<VectorModel, EmbedModel>> {
        self.chaos.step("register", "say what there is").await?;
        // The bug of settling after the first write: the other edition is not written to.
        let one = self.chaos.has(Plant::SettledAfterOneEdition) && self.chaos.luck(30);
        let state = self.state();
        let lend = |number: u32| state.open.get(&number).map(|slot| slot.lend(number));
        let register = state.register.clone();
        let current = lend(register.current.number).ok_or(Error::Stopped { part: "the index" })?;
        let next = register.next.as_ref().filter(|_| !one);
        Ok(Standing {
            next: next.and_then(|next| lend(next.edition.number)),
            current,
            register,
            closed: None,
        })
    }

    fn configured(&self) -> Edition {
        self.register().current
    }

    async fn begin(&self) -> Result<bool> {
        self.chaos.step("register", "begin an edition").await?;
        let begun = self.begin_now();
        self.chaos.step("register", "begin an edition").await?;
        Ok(begun)
    }

    async fn change(&self, from: &Register, event: Event) -> Result<bool> {
        self.chaos.step("register", "take an event").await?;
        let changed = self.register() == *from && self.commit(&event);
        self.chaos.step("register", "take an event").await?;
        Ok(changed)
    }

    async fn remove(&self, number: u32) -> Result<()> {
        self.chaos.step("register", "remove an edition").await?;
        if !self.register().removing.contains(&number) {
            return Ok(());
        }
        let holders = self
            .state()
            .open
            .get(&number)
            .map(|slot| slot.holders.clone());
        if let Some(holders) = holders {
            holders.closed().await;
        }
        self.state().open.remove(&number);
        self.chaos.step("register", "remove an edition").await?;
        self.commit(&Event::Removed(number));
        Ok(())
    }
}
