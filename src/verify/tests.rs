use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::change::PointId;
use crate::feature::types::Types;
use crate::still::{self, Letters, Still, version};
use crate::vector::{Control, Counts, Manifest, Near, Nearest, Point, Select, Write};

fn key(id: &str) -> DocumentKey {
    DocumentKey::text("posts", id)
}

/// More than a page of documents and of points, in order.
fn in_order() -> Still {
    let mut still = Still::default();
    for number in 0..300 {
        let content = format!("first{number} second{number}");
        let fields = json!({"link": format!("https://example.org/{number}"), "content": content});
        still.store(&key(&number.to_string()), &fields);
    }
    let other = json!({"content": "alone"});
    still.store(&DocumentKey::text("articles", "a"), &other);
    still
}

async fn verified(still: &Still) -> Report {
    verified_in(still, still).await
}

/// With another index.
async fn verified_in<V: VectorStore>(still: &Still, store: &V) -> Report {
    let ports = Ports {
        source: still,
        queue: still,
        store,
        embedder: &Letters::new(),
        prepare: &still::prepare,
        types: Types::seed(),
    };
    let options = Options {
        vectors: true,
        repair: true,
    };
    verify(&ports, options, &|_| ()).await.unwrap()
}

fn kinds(report: &Report) -> Vec<Kind> {
    report.differences.iter().map(|found| found.kind).collect()
}

#[tokio::test]
async fn an_index_in_order_is_clean_and_counted_whole() {
    let mut still = in_order();
    let mut tombstone = still.manifests[&key("7")].clone();
    tombstone.key = key("gone");
    tombstone.deleted = true;
    tombstone.points.clear();
    still.manifests.insert(key("gone"), tombstone);
    still.depth.live = 2;
    still.depth.backfill = 3;
    let report = verified(&still).await;
    assert!(report.clean, "{report:?}");
    assert_eq!((report.documents, report.points), (301, 601));
    assert_eq!(
        (report.tombstones, report.pending, report.outdated),
        (1, 5, 0)
    );
    assert_eq!(report.resync, []);
}

#[tokio::test(start_paused = true)]
async fn whatever_is_broken_is_found_and_named_for_resync() {
    type Break = fn(&mut Still);
    let breaks: [(Break, Kind); 8] = [
        (
            |still| drop(still.manifests.remove(&key("299"))),
            Kind::Missing,
        ),
        (
            |still| drop(still.documents.remove(&key("299"))),
            Kind::Surplus,
        ),
        (
            |still| still.manifests.get_mut(&key("299")).unwrap().text.push('.'),
            Kind::Text,
        ),
        (
            |still| still.manifests.get_mut(&key("299")).unwrap().deleted = true,
            Kind::Deleted,
        ),
        (
            |still| {
                let fields = still.documents.get_mut(&key("299")).unwrap();
                fields.insert("content".to_owned(), json!("first299 other"));
            },
            Kind::Text,
        ),
        (
            |still| {
                let id = PointId::new(&key("299"), "second299", 0);
                still.points.remove(&id).unwrap();
            },
            Kind::PointMissing,
        ),
        (
            |still| {
                let id = PointId::new(&key("299"), "second299", 0);
                still.points.get_mut(&id).unwrap().vector = vec![1.0, 0.0];
            },
            Kind::Vector,
        ),
        (
            |still| {
                let id = PointId::new(&key("299"), "old", 0);
                let point = still.points.values().find(|point| point.key == key("299"));
                let point = crate::vector::Point {
                    id,
                    ..point.unwrap().clone()
                };
                still.points.insert(id, point);
            },
            Kind::Orphan,
        ),
    ];
    for (number, (break_it, kind)) in breaks.into_iter().enumerate() {
        let mut still = in_order();
        break_it(&mut still);
        let report = verified(&still).await;
        assert!(!report.clean, "{number}");
        assert!(
            kinds(&report).contains(&kind),
            "{number}: {:?}",
            report.differences
        );
        assert_eq!(report.resync, [key("299")], "{number}");
    }
}

/// An index that is one of two, and the second from some moment on.
struct Catching {
    before: Still,
    after: Still,
    up: Instant,
}

impl Catching {
    fn now(&self) -> &Still {
        if Instant::now() < self.up {
            &self.before
        } else {
            &self.after
        }
    }
}

impl VectorStore for Catching {
    async fn manifests(&self, select: Select<DocumentKey>) -> Result<Vec<Manifest>> {
        self.now().manifests(select).await
    }

    async fn points(&self, select: Select<PointId>) -> Result<Vec<Point>> {
        self.now().points(select).await
    }

    async fn control(&self) -> Result<Control> {
        self.now().control().await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        self.now().write(writes).await
    }

    async fn nearest(&self, question: Nearest) -> Result<Vec<Near>> {
        self.now().nearest(question).await
    }

    async fn counts(&self) -> Result<Counts> {
        self.now().counts().await
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_the_index_a_moment_later_is_no_difference() {
    let (mut before, mut after, source) = (in_order(), in_order(), in_order());
    before.manifests.remove(&key("1"));
    for index in [&mut before, &mut after] {
        index.manifests.remove(&key("299"));
    }
    let index = |milliseconds| Catching {
        before: before.clone(),
        after: after.clone(),
        up: Instant::now() + Duration::from_millis(milliseconds),
    };
    let report = verified_in(&source, &index(600)).await;
    assert_eq!(report.resync, [key("299")]);
    let report = verified_in(&source, &index(60_000)).await;
    assert_eq!(report.resync, [key("1"), key("299")]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_type_is_void_in_the_index_and_surplus_to_nobody() {
    let mut still = in_order();
    still.control.floors.insert("posts".to_owned(), version(5));
    still.documents.retain(|key, _| key.kind != "posts");
    let report = verified(&still).await;
    assert_eq!((report.difference_count, report.orphans), (0, 600));
    let one = json!({"content": "first1 second1"});
    still
        .documents
        .insert(key("1"), one.as_object().unwrap().clone());
    assert!(kinds(&verified(&still).await).contains(&Kind::Void));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_prepared_is_excused_while_it_is_parked() {
    let mut still = in_order();
    let unusable = json!({"content": 5}).as_object().unwrap().clone();
    still.documents.insert(key("1"), unusable);
    let report = verified(&still).await;
    assert_eq!(
        (kinds(&report), report.clean),
        (vec![Kind::Unusable], false)
    );
    assert_eq!(report.resync, []);
    still.park(&key("1"), 6);
    let report = verified(&still).await;
    assert!(report.clean);
    assert_eq!(
        (report.parked, report.excused[0].reason.as_str()),
        (1, "poison")
    );
}

#[tokio::test]
async fn what_another_pipeline_made_is_counted() {
    let mut still = in_order();
    still.manifests.get_mut(&key("1")).unwrap().fingerprint = "older".to_owned();
    let report = verified(&still).await;
    assert_eq!((report.outdated, report.clean), (1, true));
}

#[tokio::test]
async fn the_stages_are_told_as_they_go() {
    let (still, told) = (in_order(), Mutex::new(Vec::new()));
    let ports = Ports {
        source: &still,
        queue: &still,
        store: &still,
        embedder: &Letters::new(),
        prepare: &still::prepare,
        types: Types::seed(),
    };
    let tell = |progress: Progress| told.lock().unwrap().push((progress.stage, progress.done));
    let verifying = verify(&ports, Options::default(), &tell);
    is_send(&verifying);
    verifying.await.unwrap();
    let told = told.into_inner().unwrap();
    assert!(told.contains(&(Stage::Documents, 301)));
    assert!(told.contains(&(Stage::Manifests, 256)) && told.contains(&(Stage::Manifests, 301)));
    assert!(told.contains(&(Stage::Points, 601)));
}

/// A server's handler has to be able to await it.
fn is_send<T: Send>(_: &T) {}
