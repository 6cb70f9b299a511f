//! Hands requests to the rooms that answer them.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::capture::Resync;
use crate::change::DocumentKey;
use crate::document::Fields;
use crate::feature::embed::Embedder;
use crate::feature::prepare::{Limits, Prepared};
use crate::feature::types::Types;
use crate::queue::Queue as _;
use crate::reindex::{Editions as _, Index};
use crate::verify::{self, Ports, Stage};
use crate::{Error, Result, author, crawl, explain, search};

use super::commands::{Commands, Rooms};
use super::{Reporter, Response, settle};

type RoomPorts<'a, R> = Ports<
    'a,
    <R as Rooms>::Source,
    <R as Rooms>::Queue,
    <R as Rooms>::Store,
    <R as Rooms>::Embedder,
>;

impl<R: Rooms> Commands<R> {
    pub(super) async fn crawl(
        &self,
        what: &crawl::Request,
        report: &Reporter,
    ) -> Result<crawl::Report> {
        let progress = Crawling {
            report,
            state: Mutex::default(),
        };
        report.say("reading", 0, None);
        crawl::crawl(self.source.as_ref(), what, &self.crawling, &progress).await
    }

    pub(super) async fn search(&self, query: &search::Query) -> Result<search::Answer> {
        query.check()?;
        let at_least = match query.at_least {
            Some(version) => {
                let wait = Duration::from_millis(query.wait_ms.unwrap_or(search::WAIT_MS));
                Some(settle::reached(self, version, wait).await?)
            }
            None => None,
        };
        // The wait is no part of what a search takes.
        let begun = Instant::now();
        let answer = self.answer(query).await;
        let outcome = match &answer {
            Ok(answer) if answer.hits.is_empty() => "nothing",
            Ok(_) => "found",
            Err(_) => "failed",
        };
        self.metrics.searched(outcome, begun.elapsed());
        Ok(search::Answer {
            at_least,
            ..answer?
        })
    }

    async fn answer(&self, query: &search::Query) -> Result<search::Answer> {
        // The index answers without its queue; only how much is parked is not known then.
        let (parked, unknown) = match self.queue.depth().await {
            Ok(depth) => (Some(depth.parked), None),
            Err(error) => {
                tracing::warn!(error = %error.chain(), "a search could not look into the queue");
                let note = "the queue did not answer: how many changes are parked is not known";
                (None, Some(note.to_owned()))
            }
        };
        let standing = search::Standing {
            partitions: self.queue.partitions(),
            parked,
        };
        let query = &self.with_stored_author(query).await?;
        loop {
            // One edition from the first look to the last, whatever is switched meanwhile.
            let open = self.searched().await?;
            let (store, embedder) = (&*open.current.store, &*open.current.embedder);
            let answer = search::search(store, embedder, query, standing).await;
            if answer.is_err() && self.searched().await?.register != open.register {
                // Others have removed it.
                continue;
            }
            let answer = answer?.noted(open.note(&self.editions.configured()));
            return Ok(answer.noted(unknown));
        }
    }

    /// The same question, with the id of the author who is stored: it stays whatever the name, and others' documents
    /// have the name with other ids.
    async fn with_stored_author(&self, query: &search::Query) -> Result<search::Query> {
        let author_id = match &query.author {
            Some(name) => author::known_id(self.source.as_ref(), name).await?,
            None => None,
        };
        Ok(search::Query {
            author_id,
            ..query.clone()
        })
    }

    pub(super) async fn verify(
        &self,
        options: verify::Options,
        report: &Reporter,
    ) -> Result<Response> {
        let open = self.searched().await?;
        let index = &open.current;
        let with = (&*index.embedder, &*self.types);
        let prepare = |kind: &str, fields: &Fields| prepared(with, kind, fields);
        let progress = |now: verify::Progress| report.say(stage(now.stage), now.done, None);
        let mut found = verify::verify(&self.ports(index, &prepare), options, &progress).await?;
        found.edition = index.number;
        if !found.resync.is_empty() {
            self.read_again(Resync::Keys(found.resync.clone())).await?;
        }
        Ok(Response::Verify(Box::new(found)))
    }

    pub(super) async fn explain(&self, target: &str) -> Result<Response> {
        let open = self.searched().await?;
        let index = &open.current;
        let with = (&*index.embedder, &*self.types);
        let prepare = |kind: &str, fields: &Fields| prepared(with, kind, fields);
        let ports = self.ports(index, &prepare);
        let key = explain::find_key(&ports, target).await?;
        let explanation = explain::explain(&ports, &key).await?;
        Ok(Response::Explain(Box::new(explanation)))
    }

    /// Every document that the text names; a repository may be stored in parts.
    pub(super) async fn find(&self, target: &str) -> Result<BTreeSet<DocumentKey>> {
        let open = self.searched().await?;
        let index = &open.current;
        let with = (&*index.embedder, &*self.types);
        let prepare = |kind: &str, fields: &Fields| prepared(with, kind, fields);
        let ports = self.ports(index, &prepare);
        let keys: BTreeSet<_> = explain::find_keys(&ports, target).await?;
        if keys.is_empty() {
            return Err(Error::NotFound {
                what: target.to_owned(),
            });
        }
        Ok(keys)
    }

    fn ports<'a>(
        &'a self,
        index: &'a Index<R::Store, R::Embedder>,
        prepare: verify::Prepare<'a>,
    ) -> RoomPorts<'a, R> {
        Ports {
            source: &self.source,
            queue: &self.queue,
            store: &index.store,
            embedder: &index.embedder,
            prepare,
            types: &self.types,
        }
    }
}

/// Exactly what a worker prepares for an edition with this model.
fn prepared<E: Embedder>(
    (embedder, types): (&E, &Types),
    kind: &str,
    fields: &Fields,
) -> Result<Prepared> {
    let limits = Limits::of_model(embedder.model());
    let count = |text: &str| embedder.token_count(text);
    types.prepare(kind, fields, &limits, &count)
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Documents => "comparing documents",
        Stage::Manifests => "comparing manifests",
        Stage::Points => "comparing points",
        Stage::Again => "looking again",
    }
}

/// A crawl's progress, told as a whole.
struct Crawling<'a> {
    report: &'a Reporter,
    state: Mutex<(u64, Option<u64>)>,
}

impl Crawling<'_> {
    fn tell(&self, change: impl FnOnce(&mut (u64, Option<u64>))) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state);
        self.report.say("reading", state.0, state.1);
    }
}

impl crawl::Progress for Crawling<'_> {
    fn total(&self, things: usize) {
        self.tell(|state| state.1 = Some(things as u64));
    }

    fn done(&self, things: usize) {
        self.tell(|state| state.0 += things as u64);
    }

    fn skipped(&self, _: &crawl::Skipped) {}
}
