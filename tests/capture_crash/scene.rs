//! Servers, capture, writers and readers, and what must hold of them.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use lockstep::change::{DocumentKey, Operation, Time, Version};
use lockstep::clock::Clock;
use lockstep::document::Fields;
use lockstep::queue::rabbit;
use lockstep::source::Source as _;
use lockstep::source::mongo::{MongoSource, Settings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::block_in_place;

use super::folded::Folded;
use super::folder::Folder;
use super::record::{History, Record, What};
use super::writer::{self, Writers};
use super::{WATCHED, patiently};
use crate::support::broker::Broker;
use crate::support::mongo::MongoServer;
use crate::support::process::Process;
use crate::support::proxy::Proxy;

const DATABASE: &str = "twin";
const QUEUE: &str = "crash";
const PARTITIONS: u32 = 4;
/// Between two looks at the checkpoint.
const LOOK: Duration = Duration::from_millis(50);
/// Differences that are shown.
const SHOWN: usize = 10;

/// Everything that takes part.
pub(super) struct Scene {
    /// The capture at work, or the one that is to take over.
    pub(super) active: Option<Process>,
    pub(super) broker: Broker,
    pub(super) to_source: Proxy,
    pub(super) to_queue: Proxy,
    pub(super) folder: Folder,
    record: Record,
    /// Past the proxy.
    source: MongoSource,
    writers: Option<Writers>,
    data: TempDir,
    _server: MongoServer,
}

impl Scene {
    /// Starts everything on so many documents.
    pub(super) async fn open(documents: u64, random: &mut Rng) -> Self {
        let server = MongoServer::start(&["--sync-on-commit"]);
        let broker = block_in_place(Broker::start);
        let to_source = Proxy::start(server.address().to_owned()).await;
        let at_broker = broker.url();
        let (_, address) = at_broker.rsplit_once('@').unwrap();
        let to_queue = Proxy::start(address.to_owned()).await;
        let mut settings = rabbit::Settings::new(broker.url(), PARTITIONS);
        QUEUE.clone_into(&mut settings.name);
        let folder = Folder::start(settings).await;
        block_in_place(|| broker.register_queues());
        let database = server.client().await.database(DATABASE);
        let each = u32::try_from(documents).unwrap() / 3;
        writer::fill(&database, each, random).await;
        let settings = Settings::new(server.url("test"), DATABASE);
        let opened = MongoSource::open(settings, Clock::manual(0)).await;
        let source = opened.unwrap();
        let data = tempfile::tempdir().unwrap();
        let record = Record::open(&database).await;
        let active = start(&data, &to_source, &to_queue);
        // From then on, every event is capture's to send.
        let begun = async {
            while source.checkpoint().await.unwrap().is_none() {
                tokio::time::sleep(LOOK).await;
            }
        };
        patiently("the first checkpoint", begun).await;
        Self {
            active: Some(active),
            broker,
            to_source,
            to_queue,
            folder,
            record,
            source,
            writers: Some(Writers::start(&database, each, random)),
            data,
            _server: server,
        }
    }

    /// Starts another capture.
    pub(super) fn start(&self) -> Process {
        start(&self.data, &self.to_source, &self.to_queue)
    }

    /// The capture at work.
    pub(super) fn active(&mut self) -> &mut Process {
        self.active.as_mut().unwrap()
    }

    /// Starts another capture beside the active one, and waits until it stands by.
    pub(super) async fn stand_by(&mut self) -> Process {
        self.active().until(&["capture is ours"]).await;
        let standby = self.start();
        standby.until(&["standing by", "capture is ours"]).await;
        standby
    }

    /// Nothing up to the saved position is missing from the queue, and nothing came out of order.
    pub(super) async fn check_position(&mut self) {
        let standing = patiently("the saved position", self.source.standing()).await;
        let saved = standing.unwrap().time.unwrap();
        self.record.catch_up().await;
        self.folder.drain().await;
        let (history, folded) = (self.record.history(), self.folder.folded());
        let missing = unpublished(&history, &folded, saved);
        assert!(
            missing.is_empty(),
            "saved at {saved:?}, but {} events before it were not published: {:#?}\n{}",
            missing.len(),
            &missing[..missing.len().min(SHOWN)],
            self.said(),
        );
        // An update whose document is gone is not sent, unless a later one is found in its place.
        let undone = |key: &DocumentKey, version: Version| history.is_undone(key, version.time);
        let late = folded.late().iter().filter(|late| {
            let owed = |(at, key): (&Version, &Option<DocumentKey>)| {
                at.time <= saved && key.as_ref().is_none_or(|key| !undone(key, *at))
            };
            let sent = late.operation != Operation::Update || !undone(&late.key, late.version);
            sent && late.owed.iter().any(owed)
        });
        let late: Vec<_> = late.take(SHOWN).map(ToString::to_string).collect();
        assert!(
            late.is_empty(),
            "new, and what came before and is newer did not come again behind it: {late:#?}\n{}",
            self.said()
        );
    }

    /// Stops the writers, waits until everything is through, and compares; how much there was.
    pub(super) async fn settle(mut self) -> String {
        let written = self.writers.take().unwrap().stop().await;
        let last = self.record.catch_up().await;
        let places = self.folder.places();
        let what = |_: &_| "a watermark after the last write in every queue".to_owned();
        self.folder
            .until(what, |folded| folded.watermarked(last) == places)
            .await;
        let source = &self.source;
        let at_rest = async {
            while source
                .checkpoint()
                .await
                .unwrap()
                .unwrap()
                .snapshot
                .is_active()
            {
                tokio::time::sleep(LOOK).await;
            }
        };
        patiently("the last snapshot", at_rest).await;
        self.check_position().await;
        self.active().assert_running();
        let there = self.there().await;
        assert_equal(&there, &self.folder.folded(), last);
        self.folder.assert_nothing_parked().await;
        let resets = self.source.checkpoint().await.unwrap().unwrap().resets;
        assert_eq!(resets, 0, "history was lost, and this test proved little");
        let (events, folded) = (self.record.history().heard.len(), self.folder.folded());
        format!(
            "{written:?}, {events} events, {} documents; {}",
            there.len(),
            folded.tally(),
        )
    }

    /// What is in the source.
    async fn there(&self) -> BTreeMap<DocumentKey, Fields> {
        let mut there = BTreeMap::new();
        for kind in WATCHED {
            let mut after = None;
            loop {
                let page = self.source.page(kind, after, 500).await.unwrap().found;
                let Some(last) = page.last() else { break };
                after = Some(last.key.id.clone());
                there.extend(page.into_iter().map(|row| (row.key, row.fields)));
            }
        }
        there
    }

    fn said(&self) -> String {
        self.active.as_ref().map(Process::said).unwrap_or_default()
    }
}

fn start(data: &TempDir, to_source: &Proxy, to_queue: &Proxy) -> Process {
    let source = format!(
        "mongodb://{}/?directConnection=true&appName=capture",
        to_source.address()
    );
    let queue = format!("amqp://guest:guest@{}", to_queue.address());
    let settings = [
        ("LOCKSTEP_SOURCE_URL", source),
        ("LOCKSTEP_SOURCE_DATABASE", DATABASE.to_owned()),
        ("LOCKSTEP_SOURCE_COLLECTIONS", WATCHED.join(",")),
        ("LOCKSTEP_SOURCE_LEASE_SECONDS", "2".to_owned()),
        ("LOCKSTEP_QUEUE_URL", queue),
        ("LOCKSTEP_QUEUE_NAME", QUEUE.to_owned()),
        ("LOCKSTEP_QUEUE_PARTITIONS", PARTITIONS.to_string()),
        ("LOCKSTEP_CAPTURE_TICK_MS", "200".to_owned()),
        ("LOCKSTEP_CAPTURE_SAVE_AFTER", "100".to_owned()),
        ("LOCKSTEP_CAPTURE_PAGE_SIZE", "50".to_owned()),
    ];
    Process::start(data.path(), &["capture"], &settings)
}

/// The events up to this time that are in no queue although they should be.
fn unpublished(history: &History, folded: &Folded, saved: Time) -> Vec<String> {
    let mut missing = Vec::new();
    for (index, heard) in history.heard.iter().enumerate() {
        let is_published = heard.time > saved
            || match &heard.what {
                What::Stored(key) | What::Deleted(key) => folded.has_edit(key, heard.time),
                What::Updated(key) => {
                    folded.has_edit(key, heard.time) || history.is_gone_after(index, key)
                }
                What::Voided(kind) => folded.has_void(kind, heard.time),
            };
        if !is_published {
            missing.push(format!("{heard:?}"));
        }
    }
    missing
}

/// Fields without their long text.
fn shown(fields: Option<&Fields>) -> String {
    let Some(mut fields) = fields.cloned() else {
        return "none".to_owned();
    };
    if let Some(Value::String(text)) = fields.get_mut("text") {
        text.truncate(9);
    }
    Value::Object(fields).to_string()
}

/// What was folded is what is there.
fn assert_equal(there: &BTreeMap<DocumentKey, Fields>, folded: &Folded, last: Time) {
    let found = folded.documents();
    let mut keys: Vec<_> = there.keys().chain(found.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let differ = keys.iter().filter(|key| there.get(key) != found.get(key));
    let differ: Vec<_> = differ
        .map(|key| {
            let version = folded.version(key).unwrap_or_default();
            let (there, found) = (shown(there.get(key)), shown(found.get(key)));
            format!("{key} at {version}: there {there}, folded {found}")
        })
        .collect();
    assert!(
        differ.is_empty(),
        "{} of {} documents differ after {last:?}: {:#?}",
        differ.len(),
        there.len(),
        &differ[..differ.len().min(SHOWN)],
    );
}
