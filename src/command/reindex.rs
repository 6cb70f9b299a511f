//! A new edition of the index: ask for it, wait for it, give it up, or say what it would take.

mod driving;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::capture::Resync;
use crate::reindex::{self, Ask, Editions as _, Estimate, Event, Register, Settings, Stage};
use crate::retry::Backoff;
use crate::vector::VectorStore as _;
use crate::{Error, Recovery, Result};

use super::commands::{Commands, Rooms};
use super::{Reporter, Response};

use self::driving::{AGAIN_AFTER, Outage};

pub use self::driving::Driving;

/// How often a waiting command looks: well below what a person notices.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same where every look asks servers.
const LOOK_FAR_EVERY: Duration = Duration::from_secs(1);
/// How long nobody may capture, while one process takes the place of another, before that is said.
const CAPTURE_AWAY_MAX: Duration = Duration::from_mins(1);

/// What is wanted of a re-index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reindex {
    /// A new edition, or to go on with the one that is being filled.
    Run {
        /// Also where it would come out the same.
        #[serde(default)]
        anyway: bool,
        /// Whether to answer only when it is searched and the old one is removed.
        #[serde(default = "super::yes")]
        wait: bool,
    },
    /// To give up the edition that is being filled.
    Drop,
    /// To know what it would take.
    DryRun,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Reindexed {
    /// The new edition is searched, and the old one is gone.
    Done(Edition),
    /// It is being filled.
    UnderWay(Filling),
    /// The index is made with the configured model and this program's cleaner and chunker.
    NothingToDo(Edition),
    /// What was being filled is gone.
    Dropped {
        /// Its number; none where nothing was being filled.
        edition: Option<u32>,
    },
    /// What it would take.
    DryRun(Estimate),
}

/// An edition of the index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// Its number.
    pub edition: u32,
    /// The model of its vectors.
    pub model: String,
    /// What tells that model, at its precision, from every other.
    #[serde(default)]
    pub digest: String,
    /// Values a vector.
    pub dimension: usize,
    /// What a person should know of it.
    pub note: Option<String>,
}

/// An edition that is being filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filling {
    /// The edition.
    #[serde(flatten)]
    pub edition: Edition,
    /// How far it is.
    pub stage: Stage,
    /// Documents that it holds.
    pub documents: u64,
    /// Documents of the source.
    pub of: u64,
    /// Why it does not go on, where it does not.
    pub trouble: Option<String>,
}

fn edition(edition: &reindex::Edition, note: Option<String>) -> Edition {
    Edition {
        edition: edition.number,
        model: edition.model.name.clone(),
        digest: edition.model.digest.clone(),
        dimension: edition.model.dimension,
        note,
    }
}

impl<R: Rooms> Commands<R> {
    pub(super) async fn reindex(&self, what: Reindex, report: &Reporter) -> Result<Response> {
        let done = match what {
            Reindex::DryRun => {
                report.say("reading", 0, None);
                let tell = |done| report.say("reading", done, None);
                let with = (self.embedder.as_ref(), self.types.as_ref());
                let estimate = reindex::estimate(self.source.as_ref(), with, &tell);
                Reindexed::DryRun(estimate.await?)
            }
            Reindex::Drop => self.drop_edition().await?,
            Reindex::Run { anyway, wait } => self.run_reindex(anyway, wait, report).await?,
        };
        Ok(Response::Reindex(Box::new(done)))
    }

    async fn run_reindex(&self, anyway: bool, wait: bool, report: &Reporter) -> Result<Reindexed> {
        let before = self.searched().await?.register;
        if before.next.is_none() {
            let same = before.current.is_as(&self.editions.configured());
            if same && !before.hollow && !anyway {
                return Ok(Reindexed::NothingToDo(edition(&before.current, None)));
            }
            self.editions.begin().await?;
        }
        self.driving.went_on();
        self.driving.poke.notify_one();
        if wait {
            self.wait_for_switch(report).await
        } else {
            let filling = self.filling().await?;
            let register = self.searched().await?.register;
            Ok(filling.map_or_else(
                || Reindexed::Done(edition(&register.current, None)),
                Reindexed::UnderWay,
            ))
        }
    }

    /// Waits until nothing is left to do, saying how far it is.
    async fn wait_for_switch(&self, report: &Reporter) -> Result<Reindexed> {
        let wanted = self.searched().await?.register.next;
        let wanted = wanted.map(|next| next.edition.number);
        let mut outage = Outage::default();
        loop {
            let pause = match self.look(wanted, report).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {
                    outage.is_over();
                    if R::SHARED {
                        LOOK_FAR_EVERY
                    } else {
                        LOOK_EVERY
                    }
                }
                Err(error) => {
                    let Recovery::Retry(first) = error.recovery() else {
                        return Err(error);
                    };
                    outage.goes_on(&error, first, report)
                }
            };
            sleep(pause).await;
        }
    }

    /// What came of it, where nothing is left to do; otherwise says how far it is.
    async fn look(&self, wanted: Option<u32>, report: &Reporter) -> Result<Option<Reindexed>> {
        let register = self.searched().await?.register;
        if is_at_rest(&register) {
            let current = edition(&register.current, None);
            if wanted.is_some_and(|wanted| wanted != current.edition) {
                return Ok(Some(Reindexed::Dropped { edition: wanted }));
            }
            return Ok(Some(Reindexed::Done(current)));
        }
        if let Some(filling) = self.filling().await? {
            let (stage, total) = match filling.stage {
                Stage::Asked | Stage::Dual => ("embedding documents", Some(filling.of)),
                Stage::Filled => ("comparing with the source", None),
                Stage::Verified => ("switching", None),
            };
            report.say(stage, filling.documents.min(filling.of), total);
            if let Some(why) = filling.trouble {
                return Err(Error::Remote { message: why });
            }
        } else {
            report.say("removing the old edition", 0, None);
        }
        Ok(None)
    }

    async fn drop_edition(&self) -> Result<Reindexed> {
        loop {
            let register = self.searched().await?.register;
            let next = register.next.as_ref().map(|next| next.edition.number);
            if next.is_some() && !self.editions.change(&register, Event::Abandoned).await? {
                continue;
            }
            let removing = self.searched().await?.register.removing;
            for number in removing {
                self.editions.remove(number).await?;
            }
            if let Err(error) = self.read_again(Resync::Fill(None)).await {
                // What it still sends is settled without being written.
                tracing::warn!(error = %error.chain(), "capture was not told that the re-index is given up");
            }
            return Ok(Reindexed::Dropped { edition: next });
        }
    }

    /// How the edition that is searched stands, and the one that is being filled.
    pub(super) async fn index_status(&self) -> Result<(Edition, Option<Filling>)> {
        let open = self.searched().await?;
        let note = open.note(&self.editions.configured());
        let current = edition(&open.register.current, note);
        Ok((current, self.filling().await?))
    }

    async fn filling(&self) -> Result<Option<Filling>> {
        let standing = self.editions.open().await?;
        let (Some(next), Some(index)) = (&standing.register.next, &standing.next) else {
            return Ok(None);
        };
        let of = R::count(&self.source).await?;
        Ok(Some(Filling {
            edition: edition(&next.edition, None),
            stage: next.stage,
            documents: index.store.counts().await?.documents,
            of: of.values().sum(),
            trouble: self.driving.told(),
        }))
    }

    /// Goes on with whatever the register asks for, and waits for the next time that it does.
    /// Never ends.
    pub async fn drive(&self) -> Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            let ask = |what| -> Pin<Box<dyn Future<Output = Result<u64>> + Send + '_>> {
                Box::pin(self.ask_capture(what))
            };
            let ask: Ask<'_> = &ask;
            let ports = reindex::Ports {
                source: self.source.as_ref(),
                queue: self.queue.as_ref(),
                editions: self.editions.as_ref(),
                ask,
                types: self.types.as_ref(),
            };
            let driven = reindex::drive(&ports, Settings::default()).await;
            if driven.is_ok() || begun.elapsed() > AGAIN_AFTER {
                backoff.reset();
            }
            let pause = match driven {
                Ok(()) => {
                    self.driving.went_on();
                    AGAIN_AFTER
                }
                Err(Error::Stopped { .. }) => return std::future::pending().await,
                Err(error) => self.driving.failed(&error, &mut backoff),
            };
            tokio::select! {
                () = self.driving.poke.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Has capture read again, also where another process is just taking it over.
    async fn ask_capture(&self, what: Resync) -> Result<u64> {
        let until = Instant::now() + CAPTURE_AWAY_MAX;
        let mut is_told = false;
        while let Err(error) = R::is_carried(&self.checkpoints).await {
            if error.recovery() != Recovery::Stop {
                return Err(error);
            }
            if Instant::now() >= until {
                self.driving.capture_is_away(&error);
                return Err(error);
            }
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(error = %error.chain(), "the re-index waits for capture");
            }
            sleep(LOOK_FAR_EVERY).await;
        }
        let is_filling = matches!(what, Resync::Fill(_));
        let asked = self.read_again(what).await?;
        if is_filling {
            self.driving.went_on();
        } else {
            self.driving.capture_is_there();
        }
        Ok(asked)
    }
}

fn is_at_rest(register: &Register) -> bool {
    register.next.is_none() && register.removing.is_empty()
}
