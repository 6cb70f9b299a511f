//! Answers requests with the rooms of this process.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::capture::{self, Resync};
use crate::change::Version;
use crate::clock::Clock;
use crate::feature::embed::Embedder;
use crate::feature::types::Types;
use crate::feature::worker::Counters;
use crate::logbook::Logbook;
use crate::metrics::Metrics;
use crate::queue::Generations;
use crate::reindex::{Editions, Searched};
use crate::source::{Checkpoints, Source};
use crate::vector::VectorStore;
use crate::{Error, Result, author, crawl, explain, verify};

use super::answer::{Deleted, Dropped, ParkedList, Response, Resynced, Retried};
use super::reindex::Driving;
use super::settle::Until;
use super::{Handler, Reporter, Request, parked, settle, status};

/// Which backends a process runs on.
pub trait Rooms: Send + Sync + 'static {
    /// Where documents live.
    type Source: Source + Logbook;
    /// Where capture keeps its position.
    type Checkpoints: Checkpoints;
    /// What carries changes.
    type Queue: Generations;
    /// The index.
    type Store: VectorStore;
    /// Text to vectors.
    type Embedder: Embedder;
    /// The editions of the index.
    type Editions: Editions<Store = Self::Store, Embedder = Self::Embedder>;

    /// Whether other processes capture and work too, so that what this one counts is a part only.
    const SHARED: bool = false;

    /// Counts the source's documents by type, in whatever way is quick for it.
    fn count(source: &Self::Source) -> impl Future<Output = Result<BTreeMap<String, u64>>> + Send;

    /// Whether somebody would read documents again now; otherwise the asker would wait for ever.
    fn is_carried(_: &Self::Checkpoints) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }
}

/// Everything that answering needs.
#[derive(Debug)]
pub struct Commands<R: Rooms> {
    /// Where documents live.
    pub source: Arc<R::Source>,
    /// Where capture keeps its position.
    pub checkpoints: Arc<R::Checkpoints>,
    /// What carries changes.
    pub queue: Arc<R::Queue>,
    /// The index.
    pub editions: Arc<R::Editions>,
    /// The configured model; each edition of the index is asked with its own.
    pub embedder: Arc<R::Embedder>,
    /// What those who wait for a re-index are told.
    pub driving: Driving,
    /// To capture, which reads documents again when asked.
    pub requests: mpsc::Sender<capture::Request>,
    /// Wall clock, for people.
    pub clock: Clock,
    /// What the fields of documents mean.
    pub types: Arc<Types>,
    /// The limits of a crawl.
    pub crawling: crawl::Settings,
    /// What has happened so far.
    pub counters: Arc<Counters>,
    /// What is told of it.
    pub metrics: Arc<Metrics>,
    /// What a status says of the process.
    pub about: About,
}

/// What a status says of the process.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The data folder.
    pub data: PathBuf,
    /// Where it answers; none for a command that works by itself.
    pub address: Option<String>,
    /// The model, or the configured backend where none is loaded.
    pub model: String,
}

impl<R: Rooms> Handler for Commands<R> {
    #[expect(
        clippy::cognitive_complexity,
        reason = "one arm a command, and each is a call"
    )]
    async fn handle(&self, request: Request, report: Reporter) -> Result<Response> {
        match request {
            Request::Crawl { what, wait } => self.crawl_and_wait(&what, wait, &report).await,
            Request::LinksStart { list, anew } => self.start_links(&list, anew).await,
            Request::CrawlLink { what, since_ms } => {
                self.crawl_link(&what, since_ms, &report).await
            }
            Request::LinksEnd { list, wait } => self.end_links(&list, wait, &report).await,
            Request::CrawlList { link } => self.history(link.as_deref()).await,
            Request::Search(query) => self.search(&query).await.map(Response::Search),
            Request::Delete { target, wait } => self.delete_and_wait(&target, wait, &report).await,
            Request::Status {} => self.status().await,
            Request::ParkedList {} => self.parked().await.map(Response::ParkedList),
            Request::ParkedShow { id } => self.show(&id).await,
            Request::ParkedRetry { id, wait } => self.retry(id.as_deref(), wait, &report).await,
            Request::ParkedDrop { id } => self.forget(id.as_deref()).await,
            Request::Explain { target } => self.explain(&target).await,
            Request::AuthorList {} => self.authors().await,
            Request::AuthorRename { author, name, wait } => {
                self.rename((&author, &name), wait, &report).await
            }
            Request::AuthorDelete {
                author,
                documents,
                wait,
            } => self.dismiss((&author, documents), wait, &report).await,
            Request::Verify { vectors, repair } => {
                let options = verify::Options { vectors, repair };
                self.verify(options, &report).await
            }
            Request::Resync { target, wait } => self.resync_and_wait(&target, wait, &report).await,
            Request::Reindex(what) => self.reindex(what, &report).await,
        }
    }
}

impl<R: Rooms> Commands<R> {
    async fn crawl_and_wait(
        &self,
        what: &crawl::Request,
        wait: bool,
        report: &Reporter,
    ) -> Result<Response> {
        let mut crawled = self.crawl(what, report).await?;
        crawled.version = self.written(wait).await?;
        self.wait(wait, Until::Edits, report).await?;
        Ok(Response::Crawl(crawled))
    }

    async fn delete_and_wait(
        &self,
        target: &str,
        wait: bool,
        report: &Reporter,
    ) -> Result<Response> {
        let mut deleted = self.delete(target).await?;
        deleted.version = self.written(wait).await?;
        self.wait(wait, Until::Edits, report).await?;
        Ok(Response::Delete(deleted))
    }

    async fn resync_and_wait(
        &self,
        target: &str,
        wait: bool,
        report: &Reporter,
    ) -> Result<Response> {
        let documents = self.resync(target).await?;
        self.wait(wait, Until::Everything, report).await?;
        Ok(Response::Resync(Resynced { documents }))
    }

    async fn status(&self) -> Result<Response> {
        let status = status::status(self).await?;
        Ok(Response::Status(Box::new(status)))
    }

    async fn show(&self, id: &str) -> Result<Response> {
        let message = parked::find(self.queue.as_ref(), id).await?;
        Ok(Response::ParkedShow(Box::new(message.into())))
    }

    async fn forget(&self, id: Option<&str>) -> Result<Response> {
        let messages = parked::forget(self.queue.as_ref(), id).await?;
        Ok(Response::ParkedDrop(Dropped { messages }))
    }

    async fn parked(&self) -> Result<ParkedList> {
        self.forget_overtaken().await?;
        parked::list(self.queue.as_ref()).await
    }

    /// Waits until every edit and everything that was read again is in the index; returns at once
    /// where that is so already.
    ///
    /// Cancel safe. Waits for ever where no capture and no worker run.
    pub async fn catch_up(&self, report: &Reporter) -> Result<()> {
        self.wait(true, Until::Everything, report).await
    }

    /// Whether there is nothing to catch up with.
    pub async fn is_caught_up(&self) -> Result<bool> {
        settle::is_caught_up(self).await
    }

    /// The edition that is searched now; it stays while this is held.
    pub(super) async fn searched(&self) -> Result<Searched<R::Store, R::Embedder>> {
        self.editions.searched().await
    }

    /// What a newer version has overtaken is parked no more.
    async fn forget_overtaken(&self) -> Result<()> {
        let open = self.editions.open().await?;
        crate::feature::parked::current(self.queue.as_ref(), &open.stores()).await?;
        Ok(())
    }

    pub(super) async fn wait(&self, wait: bool, until: Until, report: &Reporter) -> Result<()> {
        if wait {
            settle::caught_up(self, until, report).await
        } else {
            Ok(())
        }
    }

    /// The version of the newest change, for whoever does not wait and asks for it later.
    async fn written(&self, is_waited_for: bool) -> Result<Option<Version>> {
        if is_waited_for {
            return Ok(None);
        }
        let time = settle::end(self.source.as_ref()).await?;
        let saved = self.checkpoints.load().await?;
        Ok(Some(Version {
            epoch: saved.map_or(1, |checkpoint| checkpoint.epoch),
            time,
            order: 0,
        }))
    }

    async fn retry(&self, id: Option<&str>, wait: bool, report: &Reporter) -> Result<Response> {
        let (keys, unreadable) = parked::documents(self.queue.as_ref(), id).await?;
        let documents = self.read_again(Resync::Keys(keys)).await?;
        self.wait(wait, Until::Everything, report).await?;
        self.forget_overtaken().await?;
        Ok(Response::ParkedRetry(Retried {
            documents,
            unreadable,
        }))
    }

    async fn authors(&self) -> Result<Response> {
        let list = author::list(self.source.as_ref()).await?;
        Ok(Response::AuthorList(list))
    }

    async fn rename(
        &self,
        (author, name): (&str, &str),
        wait: bool,
        report: &Reporter,
    ) -> Result<Response> {
        let renamed = author::rename(self.source.as_ref(), author, name).await?;
        self.wait(wait, Until::Edits, report).await?;
        Ok(Response::AuthorRename(renamed))
    }

    async fn dismiss(
        &self,
        (author, documents): (&str, bool),
        wait: bool,
        report: &Reporter,
    ) -> Result<Response> {
        let deleted = author::delete(self.source.as_ref(), author, documents).await?;
        self.wait(wait, Until::Edits, report).await?;
        Ok(Response::AuthorDelete(deleted))
    }

    async fn delete(&self, target: &str) -> Result<Deleted> {
        let keys = explain::meant(target, self.find(target).await?)?;
        let documents = keys.iter().map(ToString::to_string).collect();
        self.source.delete(keys).await?;
        Ok(Deleted {
            documents,
            version: None,
        })
    }

    /// A type is read as a whole; anything else names a document, also one that only the index has.
    async fn resync(&self, target: &str) -> Result<Option<u64>> {
        if self.source.kinds().await?.iter().any(|kind| kind == target) {
            self.read_again(Resync::Kind(target.to_owned())).await?;
            return Ok(None);
        }
        let keys = self.find(target).await?.into_iter().collect();
        self.read_again(Resync::Keys(keys)).await.map(Some)
    }

    pub(super) async fn read_again(&self, what: Resync) -> Result<u64> {
        if matches!(&what, Resync::Keys(keys) if keys.is_empty()) {
            return Ok(0);
        }
        R::is_carried(&self.checkpoints).await?;
        let gone = || Error::Stopped { part: "capture" };
        let (done, sent) = oneshot::channel();
        let request = capture::Request { what, done };
        self.requests.send(request).await.map_err(|_| gone())?;
        sent.await.map_err(|_| gone())?
    }
}
