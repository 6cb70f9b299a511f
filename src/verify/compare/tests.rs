use serde_json::json;

use super::*;
use crate::change::Time;

fn version(sequence: u64) -> Version {
    Version::read(1, Time::from_sequence(sequence))
}

fn key() -> DocumentKey {
    DocumentKey::text("posts", "a")
}

fn expected() -> Expected {
    let metadata = json!({"link": "https://example.org/a", "platform": "web"});
    let prepared = Prepared {
        metadata: metadata.as_object().unwrap().clone(),
        text: "one two one".to_owned(),
        chunks: ["one", "two", "one"].map(str::to_owned).into(),
    };
    Expected::new(key(), prepared)
}

/// The manifest of an index in order.
fn manifest() -> Manifest {
    let ids = [("one", 0), ("two", 0), ("one", 1)];
    let points = ids
        .iter()
        .zip(1..)
        .map(|((content, occurrence), place)| Entry {
            id: PointId::new(&key(), content, *occurrence),
            rank: place * 1000,
        });
    Manifest {
        key: key(),
        stamp: version(5).into(),
        deleted: false,
        committed_ms: 0,
        fingerprint: String::new(),
        metadata: (*expected().metadata).clone(),
        text: "one two one".to_owned(),
        points: points.collect(),
    }
}

/// Its second point.
fn point() -> Point {
    Point {
        id: PointId::new(&key(), "two", 0),
        key: key(),
        stamp: version(5).into(),
        rank: 2000,
        content: "two".to_owned(),
        metadata: (*expected().metadata).clone(),
        vector: vec![0.6, 0.8],
    }
}

fn kinds(differences: &[Difference]) -> Vec<Kind> {
    differences
        .iter()
        .map(|difference| difference.kind)
        .collect()
}

fn of_manifest(change: impl FnOnce(&mut Manifest)) -> Vec<Kind> {
    let mut manifest = manifest();
    change(&mut manifest);
    kinds(&expected().compare(Some(&manifest), &Control::default()))
}

fn of_point(change: impl FnOnce(&mut Point)) -> Vec<Kind> {
    let mut point = point();
    change(&mut point);
    let wanted = expected().wanted(&manifest());
    kinds(&wanted[1].compare(Some(&point), 2))
}

#[test]
fn an_index_in_order_has_no_difference() {
    assert_eq!(of_manifest(|_| ()), []);
    assert_eq!(of_point(|_| ()), []);
}

#[test]
fn a_document_that_is_not_there_deleted_or_void_is_a_difference() {
    let none = expected().compare(None, &Control::default());
    assert_eq!(kinds(&none), [Kind::Missing]);
    assert_eq!(
        of_manifest(|manifest| manifest.deleted = true),
        [Kind::Deleted]
    );
    let mut control = Control::default();
    control.floors.insert("posts".to_owned(), version(5));
    let void = expected().compare(Some(&manifest()), &control);
    assert_eq!(kinds(&void), [Kind::Void]);
    control.floors.insert("posts".to_owned(), version(4));
    assert_eq!(expected().compare(Some(&manifest()), &control), []);
}

#[test]
fn each_part_of_a_manifest_is_compared() {
    let changed = of_manifest(|manifest| {
        manifest
            .metadata
            .insert("platform".to_owned(), json!("other"));
    });
    assert_eq!(changed, [Kind::Metadata]);
    let added = of_manifest(|manifest| {
        manifest.metadata.insert("more".to_owned(), json!(null));
    });
    assert_eq!(added, [Kind::Metadata]);
    assert_eq!(
        of_manifest(|manifest| manifest.text.push(' ')),
        [Kind::Text]
    );
    assert_eq!(
        of_manifest(|manifest| manifest.points.truncate(2)),
        [Kind::Chunks]
    );
    let foreign = Entry {
        id: PointId::new(&key(), "three", 0),
        rank: 9000,
    };
    assert_eq!(
        of_manifest(|manifest| manifest.points.push(foreign)),
        [Kind::Chunks]
    );
    assert_eq!(
        of_manifest(|manifest| manifest.points[2].id = foreign.id),
        [Kind::Chunks]
    );
    assert_eq!(
        of_manifest(|manifest| manifest.points[2].rank = 2000),
        [Kind::Ranks]
    );
    let swapped = of_manifest(|manifest| manifest.points.swap(0, 1));
    assert_eq!(swapped, [Kind::Chunks, Kind::Ranks]);
}

#[test]
fn each_part_of_a_point_is_compared() {
    let wanted = expected().wanted(&manifest());
    assert_eq!(kinds(&wanted[1].compare(None, 2)), [Kind::PointMissing]);
    let other = DocumentKey::text("posts", "b");
    assert_eq!(of_point(|point| point.key = other), [Kind::PointKey]);
    assert_eq!(
        of_point(|point| point.content.push('!')),
        [Kind::PointContent]
    );
    assert_eq!(
        of_point(|point| point.stamp = version(4).into()),
        [Kind::PointVersion]
    );
    assert_eq!(
        of_point(|point| point.stamp = version(6).into()),
        [Kind::PointVersion]
    );
    assert_eq!(
        of_point(|point| point.metadata.clear()),
        [Kind::PointMetadata]
    );
    assert_eq!(of_point(|point| point.rank += 1), [Kind::PointRank]);
    assert_eq!(of_point(|point| point.vector = vec![1.0]), [Kind::Vector]);
    assert_eq!(
        of_point(|point| point.vector = vec![1.0, 1.0]),
        [Kind::Vector]
    );
    assert_eq!(
        of_point(|point| point.vector = vec![f32::NAN, 1.0]),
        [Kind::Vector]
    );
}

#[test]
fn a_vector_of_another_text_is_a_difference() {
    let wanted = &expected().wanted(&manifest())[1];
    assert_eq!(wanted.compare_vector(&[0.6, 0.8], &[0.600_005, 0.8]), None);
    for again in [&[0.8, 0.6][..], &[0.6], &[f32::NAN, 0.8], &[0.600_02, 0.8]] {
        let found = wanted.compare_vector(&[0.6, 0.8], again).unwrap();
        assert_eq!(found.kind, Kind::Vector);
    }
}

#[test]
fn only_a_document_that_the_index_holds_is_surplus() {
    let control = Control::default();
    assert!(surplus(None, &control).is_none());
    let mut manifest = manifest();
    assert_eq!(
        surplus(Some(&manifest), &control).unwrap().kind,
        Kind::Surplus
    );
    manifest.deleted = true;
    assert!(surplus(Some(&manifest), &control).is_none());
}

#[test]
fn a_point_is_named_only_by_a_manifest_that_holds_its_document() {
    let control = Control::default();
    let mut manifest = manifest();
    assert!(names(Some(&manifest), &control, point().id));
    let other = PointId::new(&key(), "other", 0);
    assert!(!names(Some(&manifest), &control, other));
    assert!(!names(None, &control, point().id));
    manifest.deleted = true;
    assert!(!names(Some(&manifest), &control, point().id));
}

#[test]
fn a_difference_tells_field_names_and_never_their_values() {
    let mut manifest = manifest();
    manifest
        .metadata
        .insert("platform".to_owned(), json!("secret"));
    let found = expected().compare(Some(&manifest), &Control::default());
    assert!(found[0].detail.contains("platform") && !found[0].detail.contains("secret"));
}
