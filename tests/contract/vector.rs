//! What every vector store promises, as facts that run over each of them.
//!
//! A backend joins with a [`Subject`] and one line: `suite!(Subject);`.

mod control;
mod edge;
mod model;
mod points;
mod qdrant;
mod random;
mod reads;
mod versions;
mod words;

use lockstep::change::{DocumentKey, PointId, Time, Version};
use lockstep::document::Fields;
use lockstep::vector::{
    By, Entry, Manifest, Nearest, Only, Point, Select, Stamp, VectorStore, Write,
};
use serde_json::{Value, json};

/// Values a vector in this suite.
pub(crate) const DIMENSION: usize = 4;

/// A backend under test.
pub(crate) trait Subject: Sized {
    /// Its store.
    type Store: VectorStore;

    /// An empty store for vectors of [`DIMENSION`] values.
    async fn open() -> Self;

    /// The store.
    fn store(&self) -> &Self::Store;

    /// Ends the store, as roughly as the backend can, and opens it again on what it kept.
    async fn reopen(self) -> Self;
}

/// Runs every fact over a backend.
macro_rules! suite {
    ($subject:ty) => {
        $crate::contract::vector::facts! { $subject;
            control: floors_are_raised_and_never_lowered,
            control: watermarks_are_raised_and_never_lowered,
            control: queues_that_passed_a_floor_are_gathered_until_it_acts,
            control: queues_that_passed_a_mark_are_gathered,
            control: only_a_tombstone_of_exactly_the_version_is_collected,
            control: a_manifest_comes_back_as_it_was_written,
            points: a_point_comes_back_as_it_was_written,
            points: raising_gives_version_rank_and_metadata_and_nothing_else,
            points: raising_makes_no_points,
            points: raising_leaves_points_of_other_keys,
            points: sweeping_spares_the_kept_the_newer_and_the_others,
            points: writes_of_one_call_take_effect_in_their_order,
            points: a_plan_done_twice_is_a_plan_done_once,
            points: a_point_given_twice_in_one_write_is_stored_as_if_one_by_one,
            points: an_empty_call_does_nothing,
            points: everything_written_is_there_after_reopening,
            points: of_concurrent_writers_the_newest_wins,
            reads: what_is_not_there_is_left_out,
            reads: points_are_paged_in_the_order_of_their_ids,
            reads: manifests_are_paged_by_type_then_id,
            reads: keys_that_begin_alike_are_paged_in_their_order,
            reads: a_type_that_is_not_stored_is_empty_from_its_beginning,
            reads: ids_that_look_alike_stay_apart,
            reads: the_nearest_come_first_with_their_cosine,
            reads: the_nearest_are_narrowed_before_they_are_counted,
            reads: what_was_deleted_is_not_near,
            reads: what_was_raised_is_found_by_its_new_author,
            reads: documents_tombstones_and_points_are_counted,
            words: texts_are_found_by_their_words_the_rarer_the_nearer,
            words: every_store_gives_the_scores_of_bm25,
            words: words_are_narrowed_as_meanings_are,
            words: what_was_swept_or_replaced_has_no_words,
            words: a_raised_point_keeps_its_words_and_is_found_by_its_new_labels,
            words: words_and_labels_are_there_after_reopening,
            words: everything_that_narrows_does_so_in_the_store,
            versions: every_condition_compares_all_six_words,
            versions: floors_and_collecting_know_versions_only,
            random: a_thousand_random_writes_equal_a_plain_map,
        }
    };
}
pub(crate) use suite;

macro_rules! facts {
    ($subject:ty; $($room:ident: $fact:ident,)*) => {
        $(#[tokio::test]
        async fn $fact() {
            let subject = <$subject as $crate::contract::vector::Subject>::open().await;
            $crate::contract::vector::$room::$fact(subject).await;
        })*
    };
}
pub(crate) use facts;

fn version(words: [u32; 4]) -> Version {
    let [epoch, seconds, increment, order] = words;
    let time = Time { seconds, increment };
    Version { epoch, time, order }
}

/// A version of the first epoch.
pub(crate) fn at(increment: u32) -> Version {
    version([1, 0, increment, 0])
}

pub(crate) fn key(id: &str) -> DocumentKey {
    DocumentKey::text("posts", id)
}

fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} should be an object"),
    }
}

/// A unit vector at this angle in the plane of the first two values.
fn unit(degrees: f32) -> Vec<f32> {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    vec![cosine, sine, 0.0, 0.0]
}

pub(crate) fn point(key: &DocumentKey, content: &str, stamp: impl Into<Stamp>) -> Point {
    Point {
        id: PointId::new(key, content, 0),
        key: key.clone(),
        stamp: stamp.into(),
        rank: 1024,
        content: content.to_owned(),
        metadata: fields(json!({"platform": "blog", "author_id": "a"})),
        vector: unit(30.0),
    }
}

fn manifest(key: &DocumentKey, stamp: impl Into<Stamp>, points: &[&Point]) -> Manifest {
    Manifest {
        key: key.clone(),
        stamp: stamp.into(),
        deleted: false,
        committed_ms: 1_700_000_000_000,
        fingerprint: "clean 1, chunk 1, hash".to_owned(),
        metadata: fields(json!({"platform": "blog", "author_id": "a"})),
        text: "the text".to_owned(),
        points: points
            .iter()
            .map(|point| Entry {
                id: point.id,
                rank: point.rank,
            })
            .collect(),
    }
}

pub(crate) fn tombstone(key: &DocumentKey, stamp: impl Into<Stamp>) -> Manifest {
    Manifest {
        deleted: true,
        metadata: Fields::new(),
        text: String::new(),
        ..manifest(key, stamp, &[])
    }
}

async fn write<S: Subject>(subject: &S, writes: impl Into<Vec<Write>>) {
    subject.store().write(writes.into()).await.unwrap();
}

async fn put_manifest<S: Subject>(subject: &S, manifest: Manifest) {
    write(subject, [Write::Manifest(Box::new(manifest))]).await;
}

async fn all_points<S: Subject>(subject: &S) -> Vec<Point> {
    let select = Select::After {
        after: None,
        limit: 100_000,
    };
    subject.store().points(select).await.unwrap()
}

async fn all_manifests<S: Subject>(subject: &S) -> Vec<Manifest> {
    let select = Select::After {
        after: None,
        limit: 100_000,
    };
    subject.store().manifests(select).await.unwrap()
}

async fn contents<S: Subject>(subject: &S) -> Vec<String> {
    let mut contents: Vec<_> = all_points(subject)
        .await
        .into_iter()
        .map(|point| point.content)
        .collect();
    contents.sort();
    contents
}

fn nearest(degrees: f32, limit: usize) -> Nearest {
    Nearest {
        by: By::Meaning(unit(degrees)),
        only: Only::default(),
        limit,
    }
}

/// Equal but for the last digits of the vectors, which a store may normalise.
fn assert_same(found: &[Point], expected: &[Point], when: &str) {
    let bare = |points: &[Point]| -> Vec<Point> {
        points
            .iter()
            .cloned()
            .map(|point| Point {
                vector: Vec::new(),
                ..point
            })
            .collect()
    };
    assert_eq!(bare(found), bare(expected), "{when}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.vector.len(), expected.vector.len(), "{when}");
        for (a, b) in found.vector.iter().zip(&expected.vector) {
            assert!((a - b).abs() < 1e-5, "{when}: {found:?} != {expected:?}");
        }
    }
}
