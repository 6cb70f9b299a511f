//! The hand that does what the register asks for, one action after the other.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::{Action, Editions, Event, Index, Seen, copy};
use crate::capture::Resync;
use crate::change::{Lane, Mark, Place};
use crate::document::Fields;
use crate::feature::embed::Embedder;
use crate::feature::prepare::Limits;
use crate::feature::types::Types;
use crate::queue::{Generations, Queue};
use crate::source::Source;
use crate::vector::{Control, VectorStore};
use crate::verify::{self, Options, Report, verify};
use crate::{Error, Result};

/// Asks capture for something and waits until it is under way.
pub type Ask<'a> =
    &'a (dyn Fn(Resync) -> Pin<Box<dyn Future<Output = Result<u64>> + Send + 'a>> + Send + Sync);

/// What a re-index needs.
pub struct Ports<'a, S, Q, T> {
    /// Where the documents are.
    pub source: &'a S,
    /// What carries their changes.
    pub queue: &'a Q,
    /// The editions of the index.
    pub editions: &'a T,
    /// To capture, which fills the new edition.
    pub ask: Ask<'a>,
    /// What the fields of documents mean.
    pub types: &'a Types,
}

/// How a re-index behaves.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Between two looks whether every queue has passed; zero to look whenever there is time.
    pub look_every: Duration,
    /// Comparisons with the source after which differences that stay are an error.
    pub rounds_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            look_every: Duration::from_millis(500),
            rounds_max: 10,
        }
    }
}

/// Goes on with whatever the register asks for, until it asks for nothing.
///
/// Cancel safe and repeatable: the next call goes on from the register. Waits for as long as no
/// capture and no worker run.
///
/// # Errors
/// What a port says; [`Error::Refused`] where the new edition does not come to agree with the
/// source, or its model does not take what only the old one has. It stays as it is then, and is not searched.
pub async fn drive<S: Source, Q: Generations, T: Editions>(
    ports: &Ports<'_, S, Q, T>,
    settings: Settings,
) -> Result<()> {
    let mut round = 0;
    loop {
        let standing = ports.editions.open().await?.writable()?;
        let seen = match &standing.next {
            Some(next) => {
                // The marks first: one that is read before the count went through a queue of this count's
                // generation, or of an earlier one, all of which is settled. The other way round, marks in
                // the first queues of a next generation would pass for all of the last one's.
                let control = next.store.control().await?;
                seen(&control, ports.queue.current().await?)
            }
            None => Seen::default(),
        };
        let action = standing.register.action(seen);
        if let Action::Remove(number) = action {
            drop(standing);
            ports.editions.remove(number).await?;
            continue;
        }
        let Some(next) = &standing.next else {
            return Ok(());
        };
        let event = match action {
            Action::Copy => {
                copy::copy((&standing.current, next), ports.types).await?;
                Event::Copied
            }
            Action::End => Event::Ended,
            Action::Verify => {
                let report = compare(ports, next).await?;
                if report.difference_count > 0 {
                    round += 1;
                    if round == settings.rounds_max {
                        return Err(differs(next.number, &report));
                    }
                    // A document that is edited all the time differs by what is on its way.
                    (ports.ask)(Resync::Keys(report.resync)).await?;
                    pause(settings).await;
                    continue;
                }
                Event::Clean
            }
            Action::Switch => Event::Switched,
            Action::Fill(number) => {
                // Again each time: whoever was asked before may have forgotten it.
                (ports.ask)(Resync::Fill(Some(number))).await?;
                pause(settings).await;
                continue;
            }
            Action::Rest | Action::Remove(_) => return Ok(()),
        };
        tracing::info!(?event, "re-index");
        // Where another was quicker, the register tells what is next.
        ports.editions.change(&standing.register, event).await?;
    }
}

async fn pause(settings: Settings) {
    if settings.look_every.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(settings.look_every).await;
    }
}

/// Which marks every queue has passed, or the one that it grew out of.
fn seen(control: &Control, partitions: u32) -> Seen {
    let passed = |mark, lane| {
        let places = control.marks.get(&mark);
        (0..partitions).all(|partition| {
            places.is_some_and(|places| places.contains(&Place { partition, lane }))
        })
    };
    Seen {
        begun: passed(Mark::Begin, Lane::Live) && passed(Mark::Begin, Lane::Backfill),
        ended: passed(Mark::End, Lane::Backfill),
    }
}

/// Compares an edition with the source, points and all; what differs is named to be sent again.
async fn compare<S: Source, Q: Queue, T: Editions>(
    ports: &Ports<'_, S, Q, T>,
    index: &Index<T::Store, T::Embedder>,
) -> Result<Report> {
    let embedder = index.embedder.as_ref();
    let limits = Limits::of_model(embedder.model());
    let count = |text: &str| embedder.token_count(text);
    let types = ports.types;
    let prepare = |kind: &str, fields: &Fields| types.prepare(kind, fields, &limits, &count);
    let ports = verify::Ports {
        source: ports.source,
        queue: ports.queue,
        store: index.store.as_ref(),
        embedder,
        prepare: &prepare,
        types,
    };
    let options = Options {
        vectors: false,
        repair: true,
    };
    verify(&ports, options, &|_| {}).await
}

fn differs(number: u32, report: &Report) -> Error {
    let first = report.differences.first();
    let first = first.map_or_else(String::new, |one| format!(", {} among them", one.key));
    Error::Refused {
        service: format!("edition {number} of the index"),
        why: format!(
            "{} documents differ from the source however often they are sent again{first}",
            report.difference_count
        ),
        fix: "the old edition is searched as before; `lockstep reindex` goes on, and `lockstep \
              reindex --drop` gives it up"
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_queue_that_has_not_passed_holds_all_back() {
        let mut control = Control::default();
        let mut pass = |mark, partition, lane| {
            let places = control.marks.entry(mark).or_default();
            places.insert(Place { partition, lane });
            seen(&control, 2)
        };
        let before = Seen::default();
        assert_eq!(pass(Mark::Begin, 0, Lane::Live), before);
        assert_eq!(pass(Mark::Begin, 1, Lane::Live), before);
        assert_eq!(pass(Mark::Begin, 0, Lane::Backfill), before);
        assert!(pass(Mark::Begin, 1, Lane::Backfill).begun);
        assert!(!pass(Mark::End, 0, Lane::Backfill).ended);
        assert!(pass(Mark::End, 1, Lane::Backfill).ended);
    }
}
