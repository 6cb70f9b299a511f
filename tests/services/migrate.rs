//! From a data folder to services and back: every id and date as it was, whatever cuts it off.

mod killed;

use std::path::Path;

use lockstep::clock::Clock;
use lockstep::database::Database as Rows;
use lockstep::logbook::{Logbook, Page, Pages, Run, Runs};
use lockstep::source::sqlite::SqliteSource;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::Value;

use super::{Place, article};
use crate::support::app::{ENGINE, GARDEN, pages};
use crate::support::binary::{self, Up};
use crate::support::export::Export;
use crate::support::qdrant::Server;

const TO_SERVICES: [&str; 3] = ["migrate", "--to", "services"];
const TO_EMBEDDED: [&str; 3] = ["migrate", "--to", "embedded"];

impl Place {
    /// A place whose leases end soon.
    fn hasty() -> Self {
        let mut place = Self::new();
        let lease = ("LOCKSTEP_SOURCE_LEASE_SECONDS", "2".to_owned());
        place.settings.push(lease);
        place
    }

    /// Migrates to the end; what the answer says.
    fn migrated(&self, arguments: &[&str]) -> Value {
        let answer = self.ask(arguments);
        assert_eq!(answer["complete"], true, "{answer}");
        assert_eq!(answer["verified"]["clean"], true, "{answer}");
        for (kind, compared) in answer["types"].as_object().unwrap() {
            assert_eq!(compared["origin"], compared["target"], "{kind}: {answer}");
        }
        assert!(!self.marker().exists(), "it is not under way any more");
        answer
    }

    /// A command in the data folder, with the partitions that the settings of the services name.
    fn embedded(&self, arguments: &[&str]) -> binary::Ended {
        let partitions = self.settings.iter();
        let partitions = partitions.filter(|(name, _)| *name == "LOCKSTEP_QUEUE_PARTITIONS");
        binary::run_with(
            self.data(),
            arguments,
            &partitions.cloned().collect::<Vec<_>>(),
        )
    }

    fn assert_clean(&self) {
        let ended = self.embedded(&["verify", "--vectors"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    fn marker(&self) -> std::path::PathBuf {
        self.data().join("migration.json")
    }

    /// Everything of a collection as the server stores it, in the order of its ids.
    async fn stored(&self, kind: &str) -> Vec<Document> {
        let collection = self.database().await.collection::<Document>(kind);
        let mut rows = collection
            .find(doc! {})
            .sort(doc! { "_id": 1 })
            .await
            .unwrap();
        let mut found = Vec::new();
        while rows.advance().await.unwrap() {
            found.push(rows.deserialize_current().unwrap());
        }
        found
    }
}

/// Ids that look alike, and dates.
fn strange() -> Vec<Document> {
    let ids: [Bson; 7] = [
        5.into(),
        Bson::Int64(1 << 40),
        5.5.into(),
        "5".into(),
        ObjectId::parse_str("65f0a1b2c3d4e5f6a7b8c9d0")
            .unwrap()
            .into(),
        "65f0a1b2c3d4e5f6a7b8c9d0".into(),
        doc! { "shelf": 3, "row": "b" }.into(),
    ];
    let post = |(number, id): (usize, Bson)| {
        doc! {
            "_id": id,
            "platform": "linkedin",
            "link": format!("https://example.org/post/{number}"),
            "content": { "Content": format!("What was posted as number {number}, about looms.") },
            "author_id": ObjectId::parse_str("65f0a1b2c3d4e5f6a7b8c9d1").unwrap(),
            "published_at": DateTime::from_millis(1_700_000_000_123),
            "modified_at": DateTime::from_millis(-86_400_000),
            "views": Bson::Int64(1 << 41),
            "share": 0.5,
        }
    };
    ids.into_iter().enumerate().map(post).collect()
}

fn source(data: &Path) -> SqliteSource {
    let rows = Rows::open(&data.join("lockstep.db"), &[SqliteSource::SCHEMA]).unwrap();
    SqliteSource::new(rows, Clock::system())
}

/// What the crawler remembers of more links than are read at a time.
async fn remember(data: &Path) {
    let source = source(data);
    let page = |number: u64| Page {
        link: format!("https://example.org/{number}"),
        etag: Some(format!("\"${number}\"")),
        seen_ms: 1_700_000_000_000 + number,
        ..Page::default()
    };
    source
        .save_pages((0..300).map(page).collect())
        .await
        .unwrap();
    let run = Run {
        link: "https://example.org/".to_owned(),
        every_seconds: Some(86_400),
        next_ms: Some(1_800_000_000_000),
        ..Run::default()
    };
    source.save_run(run).await.unwrap();
}

async fn remembered(data: &Path) -> (Vec<Page>, Vec<Run>) {
    let source = source(data);
    let pages = source.pages(Pages::After(None), 1_000).await.unwrap();
    (pages, source.runs(Runs::After(None), 1_000).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_services_and_comes_back_is_what_it_was() {
    let place = Place::hasty();
    let folder = pages(&[ENGINE, GARDEN]);
    assert_eq!(binary::crawl(place.data(), folder.path()).code, Some(0));
    let before = Export::of(place.data()).await;
    remember(place.data()).await;
    let memory = remembered(place.data()).await;
    assert!(memory.0.len() >= 300 && !memory.1.is_empty(), "{memory:?}");

    let dry = place.ask(&[&TO_SERVICES[..], &["--dry-run"]].concat());
    assert_eq!(dry["types"]["articles"]["missing"], 2, "{dry}");
    assert_eq!(place.stored("articles").await, []);
    let answer = place.migrated(&TO_SERVICES);
    assert_eq!(answer["epoch"], 2, "{answer}");
    assert_eq!(answer["written"], 3, "two pages and their author: {answer}");
    assert_eq!(place.stored("articles").await.len(), 2);
    assert_eq!(place.stored("users").await.len(), 1);
    // The services go on from there.
    let up = place.start(&["up"]);
    up.until(&["lockstep is up at"]).await;
    assert_eq!(place.titles("algebraic patterns")[0], "Engine");
    up.stop();
    // As a folder that was never used, so that what it holds comes from the services.
    for name in ["lockstep.db", "cache.db"] {
        std::fs::remove_file(place.data().join(name)).ok();
    }
    std::fs::remove_dir_all(place.data().join("vectors")).unwrap();

    let answer = place.migrated(&TO_EMBEDDED);
    assert_eq!(answer["epoch"], 3, "{answer}");
    assert_eq!(answer["written"], 3, "{answer}");
    place.assert_clean();
    Export::of(place.data()).await.assert_equal(&before);
    assert_eq!(remembered(place.data()).await, memory);
    let target = folder.path().to_str().unwrap();
    let again = place.embedded(&["crawl", target, "--author", "Ada Lovelace"]);
    assert!(again.out.contains("0 saved"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_dates_keep_their_types_over_a_data_folder() {
    let mut place = Place::hasty();
    let posts = place.database().await.collection::<Document>("posts");
    posts.insert_many(strange()).await.unwrap();
    let before = place.stored("posts").await;
    assert_eq!(before.len(), strange().len());
    let answer = place.migrated(&TO_EMBEDDED);
    assert_eq!(
        answer["types"]["posts"]["origin"]["documents"],
        before.len(),
        "{answer}"
    );
    place.assert_clean();
    // Into another database and index, which hold nothing.
    for (name, value) in &mut place.settings {
        if *name == "LOCKSTEP_SOURCE_DATABASE" {
            value.push_str("_2");
        }
    }
    place.home.settings.database.push_str("_2");
    let server = Server::start().await;
    place.settings.push(("LOCKSTEP_VECTOR_URL", server.url()));
    place.migrated(&TO_SERVICES);
    assert_eq!(place.stored("posts").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_something_of_its_own_is_refused_unless_it_is_to_be_replaced() {
    let place = Place::hasty();
    let folder = pages(&[ENGINE, GARDEN]);
    assert_eq!(binary::crawl(place.data(), folder.path()).code, Some(0));
    let articles = place.database().await.collection::<Document>("articles");
    articles
        .insert_one(article("theirs", "Somebody wrote this."))
        .await
        .unwrap();
    let refused = place.run(&TO_SERVICES);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.error.contains("holds 1 documents") && refused.error.contains("--replace"));
    assert_eq!(
        place.stored("articles").await.len(),
        1,
        "nothing was written"
    );
    assert!(!place.marker().exists());
    let answer = place.migrated(&[&TO_SERVICES[..], &["--replace"]].concat());
    assert_eq!(answer["written"], 4, "{answer}");
    // What is edited over there is not overwritten by a slip of the direction.
    let edit = doc! { "$set": { "content.Content": "Edited since, where it is kept now." } };
    articles
        .update_one(doc! { "content.Title": "Engine" }, edit)
        .await
        .unwrap();
    let refused = place.run(&TO_SERVICES);
    assert!(
        refused.error.contains("1 that are other ones there"),
        "{refused:?}"
    );
    let refused = place.run(&TO_EMBEDDED);
    assert!(
        refused.error.contains("1 that are other ones there"),
        "{refused:?}"
    );
    place.migrated(&[&TO_EMBEDDED[..], &["--replace"]].concat());
    place.assert_clean();
    let found = place.embedded(&["search", "edited since", "--json"]);
    assert!(
        found.out.contains("Edited since, where it is kept now."),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_is_worked_on_is_refused() {
    let place = Place::hasty();
    let folder = pages(&[ENGINE]);
    assert_eq!(binary::crawl(place.data(), folder.path()).code, Some(0));
    let mut up = Up::start(place.data());
    up.client(place.data()).await;
    let refused = place.run(&TO_SERVICES);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.error.contains("a process works on it"),
        "{refused:?}"
    );
    up.kill();
    let capture = place.start(&["capture"]);
    capture.until(&["capture is ours"]).await;
    let refused = place.run(&TO_SERVICES);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.error.contains("would fill what is migrated"),
        "{refused:?}"
    );
    capture.stop();
    let empty = tempfile::tempdir().unwrap();
    let refused = binary::run_with(empty.path(), &TO_SERVICES, &place.settings);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.error.contains("holds no documents"), "{refused:?}");
    let refused = binary::run(place.data(), &TO_SERVICES);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.error.contains("source.url"), "{refused:?}");
}
