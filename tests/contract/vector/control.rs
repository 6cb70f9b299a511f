//! Manifests, floors and watermarks.

use lockstep::change::{Lane, Mark, Place, Version};
use lockstep::vector::{Floor, Manifest, VectorStore, Watermark, Write};
use serde_json::json;
use uuid::Uuid;

use super::{
    Subject, all_manifests, at, fields, key, manifest, point, put_manifest, tombstone, version,
    write,
};

const PLACES: [Place; 3] = [
    Place {
        partition: 0,
        lane: Lane::Live,
    },
    Place {
        partition: 0,
        lane: Lane::Backfill,
    },
    Place {
        partition: u32::MAX,
        lane: Lane::Live,
    },
];

pub(crate) async fn floors_are_raised_and_never_lowered<S: Subject>(subject: S) {
    let floor = |kind: &str, version| Write::Floor {
        kind: kind.to_owned(),
        version,
    };
    let top = version([1, u32::MAX, u32::MAX, u32::MAX]);
    write(&subject, [floor("posts", at(2)), floor("articles", top)]).await;
    write(&subject, [floor("posts", at(1)), floor("articles", at(9))]).await;
    let control = subject.store().control().await.unwrap();
    assert_eq!(control.floors["posts"], at(2));
    assert_eq!(control.floors["articles"], top);
    assert!(control.voids("posts", at(2)));
    assert!(!control.voids("posts", at(3)));
    assert!(!control.voids("posts", Version::NONE));
    write(&subject, [floor("posts", at(3))]).await;
    let control = subject.store().control().await.unwrap();
    assert_eq!(control.floors["posts"], at(3));
    assert_eq!(control.floors.len(), 2);
}

pub(crate) async fn watermarks_are_raised_and_never_lowered<S: Subject>(subject: S) {
    let mark = |increment: u32| Watermark {
        version: at(increment),
        committed_ms: u64::from(increment),
    };
    let raise = |place, increment| Write::Watermark {
        place,
        mark: mark(increment),
    };
    for (number, place) in (2..).zip(PLACES) {
        write(&subject, [raise(place, number)]).await;
        write(&subject, [raise(place, number), raise(place, 1)]).await;
    }
    write(&subject, [raise(PLACES[2], 9)]).await;
    let subject = subject.reopen().await;
    let control = subject.store().control().await.unwrap();
    let found: Vec<_> = PLACES
        .iter()
        .map(|place| control.watermarks[place])
        .collect();
    assert_eq!(found, [mark(2), mark(3), mark(9)]);
    assert_eq!(control.watermarks.len(), 3);
}

pub(crate) async fn queues_that_passed_a_mark_are_gathered<S: Subject>(subject: S) {
    let passed = |mark, place| Write::Marked { mark, place };
    write(&subject, [passed(Mark::Begin, PLACES[0])]).await;
    write(&subject, [passed(Mark::Begin, PLACES[1])]).await;
    write(&subject, [passed(Mark::Begin, PLACES[1])]).await;
    write(&subject, [passed(Mark::End, PLACES[2])]).await;
    let subject = subject.reopen().await;
    let control = subject.store().control().await.unwrap();
    assert_eq!(control.marks[&Mark::Begin], [PLACES[0], PLACES[1]].into());
    assert_eq!(control.marks[&Mark::End], [PLACES[2]].into());
}

pub(crate) async fn queues_that_passed_a_floor_are_gathered_until_it_acts<S: Subject>(subject: S) {
    let floors = [1, 2].map(|id| Floor {
        id: Uuid::from_u128(id),
        kind: "posts".to_owned(),
        version: at(u32::MAX),
    });
    let passed = |floor: &Floor, place| Write::Passed {
        floor: floor.clone(),
        place,
    };
    write(&subject, [passed(&floors[0], PLACES[0])]).await;
    write(&subject, [passed(&floors[0], PLACES[1])]).await;
    write(&subject, [passed(&floors[0], PLACES[1])]).await;
    write(&subject, [passed(&floors[1], PLACES[2])]).await;
    let subject = subject.reopen().await;
    let control = subject.store().control().await.unwrap();
    assert_eq!(control.passing[&floors[0]], [PLACES[0], PLACES[1]].into());
    assert_eq!(control.passing[&floors[1]], [PLACES[2]].into());
    write(&subject, [Write::Acted(floors[0].id)]).await;
    let control = subject.store().control().await.unwrap();
    assert_eq!(control.passing.len(), 1);
    assert_eq!(control.passing[&floors[1]], [PLACES[2]].into());
    assert_eq!(
        control.floors.len(),
        0,
        "a floor is raised by its own write"
    );
}

pub(crate) async fn only_a_tombstone_of_exactly_the_version_is_collected<S: Subject>(subject: S) {
    let collect = |version| Write::Collect {
        key: key("a"),
        version,
    };
    put_manifest(&subject, manifest(&key("a"), at(2), &[])).await;
    write(&subject, [collect(at(2))]).await;
    assert_eq!(all_manifests(&subject).await.len(), 1, "it is a document");
    put_manifest(&subject, tombstone(&key("a"), at(3))).await;
    put_manifest(&subject, tombstone(&key("b"), at(3))).await;
    write(&subject, [collect(at(2)), collect(at(4))]).await;
    assert_eq!(all_manifests(&subject).await.len(), 2, "another version");
    write(&subject, [collect(at(3)), collect(at(3))]).await;
    let left = all_manifests(&subject).await;
    assert_eq!(left, [tombstone(&key("b"), at(3))]);
    // Gone is gone: an older one is stored again.
    put_manifest(&subject, manifest(&key("a"), at(1), &[])).await;
    assert_eq!(all_manifests(&subject).await.len(), 2);
}

pub(crate) async fn a_manifest_comes_back_as_it_was_written<S: Subject>(subject: S) {
    let points = [
        point(&key("a"), "one", at(1)),
        point(&key("a"), "two", at(1)),
    ];
    let whole = Manifest {
        committed_ms: u64::from(u32::MAX) * 1000,
        metadata: fields(json!({"z": null, "a": {"b": [1, 2.5, "é\u{0}"]}, "": ""})),
        text: "line\nline \u{1F980} \"quoted\" \\ \u{0}".to_owned(),
        ..manifest(&key("a"), at(1), &[&points[1], &points[0]])
    };
    put_manifest(&subject, whole.clone()).await;
    put_manifest(&subject, tombstone(&key("b"), Version::NONE)).await;
    let subject = subject.reopen().await;
    let found = all_manifests(&subject).await;
    assert_eq!(found, [whole.clone(), tombstone(&key("b"), Version::NONE)]);
    let names: Vec<_> = found[0].metadata.keys().collect();
    assert_eq!(names, ["z", "a", ""], "the order of the fields is kept");
    let other = Manifest {
        text: "another of the same version".to_owned(),
        ..whole
    };
    put_manifest(&subject, other.clone()).await;
    assert_eq!(all_manifests(&subject).await[0], other);
}
