//! Which points count, which document they belong to, and whether to ask for more. Pure.

use std::collections::{HashMap, HashSet};

use super::title::Asked;
use super::{Hit, Passage};
use crate::change::{DocumentKey, PointId};
use crate::document::Fields;
use crate::vector::{Control, Manifest, Near};

/// Passages shown of one document.
const PASSAGES_MAX: usize = 3;
/// Points asked for first, for each document wanted: a document often answers with several.
const POINTS_A_DOCUMENT: usize = 4;
/// How much more each further question asks for.
const GROWTH: usize = 4;
/// The most points one question asks for; behind it nothing near is left to find.
const ASK_MAX: usize = 20_000;

/// A document that answers, and what its manifest says of it.
#[derive(Debug)]
pub(super) struct Grouped {
    pub(super) hit: Hit,
    pub(super) metadata: Fields,
}

/// What follows from one question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There are enough documents, or there is nothing more to find.
    Enough,
    /// Ask for this many points.
    Ask(usize),
    /// There may be more, but they are too far away to go on.
    GaveUp,
}

/// How many points to ask for first.
pub(super) fn first_ask(documents: usize) -> usize {
    documents
        .saturating_mul(POINTS_A_DOCUMENT)
        .clamp(32, ASK_MAX)
}

/// Whether to ask again: `asked` points were asked for, `got` came, and `documents` are left of
/// them where `wanted` are wanted.
pub(super) fn next_ask(asked: usize, got: usize, documents: usize, wanted: usize) -> Next {
    if documents >= wanted || got < asked {
        Next::Enough
    } else if asked >= ASK_MAX {
        Next::GaveUp
    } else {
        Next::Ask(asked.saturating_mul(GROWTH).min(ASK_MAX))
    }
}

/// The documents whose manifests name these points, best first; tombstones, manifests that a floor
/// voids and points that no manifest names are left out.
pub(super) fn group(
    asked: &Asked,
    near: Vec<Near>,
    manifests: Vec<Manifest>,
    control: &Control,
) -> Vec<Grouped> {
    let mut live: HashMap<DocumentKey, (Manifest, HashSet<PointId>)> = manifests
        .into_iter()
        .filter(|manifest| control.holds(manifest))
        .map(|manifest| {
            let named = manifest.points.iter().map(|entry| entry.id).collect();
            (manifest.key.clone(), (manifest, named))
        })
        .collect();
    let mut passages: HashMap<DocumentKey, Vec<Passage>> = HashMap::new();
    for Near { point, score } in near {
        if live
            .get(&point.key)
            .is_some_and(|(_, named)| named.contains(&point.id))
        {
            passages.entry(point.key).or_default().push(Passage {
                content: point.content,
                score,
                rank: point.rank,
            });
        }
    }
    let mut grouped: Vec<Grouped> = passages
        .into_iter()
        .filter_map(|(key, passages)| {
            let (manifest, _) = live.remove(&key)?;
            Some(hit(asked, manifest, passages))
        })
        .collect();
    // Equal scores go by key, so that an answer does not depend on a hash map's order.
    grouped.sort_by(|a, b| {
        (b.hit.score.total_cmp(&a.hit.score)).then_with(|| a.hit.key.cmp(&b.hit.key))
    });
    grouped
}

/// Whether the metadata names this author: by id exactly, by full name whatever its case and
/// spaces.
pub(super) fn written_by(metadata: &Fields, author: &str) -> bool {
    let text = |name| metadata.get(name).and_then(serde_json::Value::as_str);
    let id = author.trim();
    let name = folded(author);
    ["author_id", "owner_id"]
        .iter()
        .any(|field| text(*field) == Some(id))
        || ["author_full_name", "owner_full_name"]
            .iter()
            .any(|field| text(*field).is_some_and(|found| folded(found) == name))
}

fn folded(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

fn hit(asked: &Asked, manifest: Manifest, mut passages: Vec<Passage>) -> Grouped {
    passages.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.rank.cmp(&b.rank)));
    passages.truncate(PASSAGES_MAX);
    let text = |names: &[&str]| {
        let found = names
            .iter()
            .find_map(|name| manifest.metadata.get(*name)?.as_str());
        found.map(str::to_owned)
    };
    let title = text(&["title", "Title", "name"]);
    let hit = Hit {
        score: passages.first().map_or(-1.0, |best| best.score)
            + title.as_deref().map_or(0.0, |title| asked.worth(title)),
        title,
        link: text(&["link"]),
        kind: manifest.key.kind.clone(),
        author: text(&["author_full_name", "owner_full_name"]),
        passages,
        version: manifest.stamp.version,
        key: manifest.key,
    };
    Grouped {
        hit,
        metadata: manifest.metadata,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::change::{Time, Version};
    use crate::vector::{Entry, Point};

    fn asked() -> Asked {
        Asked::new("")
    }

    fn version(sequence: u64) -> Version {
        Version::read(1, Time::from_sequence(sequence))
    }

    fn point(document: &str, content: &str) -> Point {
        let key = DocumentKey::text("posts", document);
        Point {
            id: PointId::new(&key, content, 0),
            key,
            stamp: version(5).into(),
            rank: 1,
            content: content.to_owned(),
            metadata: Fields::new(),
            vector: Vec::new(),
        }
    }

    fn manifest(document: &str, contents: &[&str]) -> Manifest {
        let key = DocumentKey::text("posts", document);
        let points = (0..).zip(contents).map(|(rank, content)| Entry {
            id: PointId::new(&key, content, 0),
            rank,
        });
        Manifest {
            points: points.collect(),
            key,
            stamp: version(5).into(),
            deleted: false,
            committed_ms: 0,
            fingerprint: String::new(),
            metadata: Fields::from_iter([
                ("title".to_owned(), document.into()),
                ("link".to_owned(), "l".into()),
            ]),
            text: String::new(),
        }
    }

    fn near(points: &[(&str, &str, f32)]) -> Vec<Near> {
        let near = points.iter().map(|(document, content, score)| Near {
            point: point(document, content),
            score: *score,
        });
        near.collect()
    }

    fn shown(found: &[Grouped]) -> Vec<(String, Vec<String>)> {
        let shown = found.iter().map(|Grouped { hit, .. }| {
            let contents = hit.passages.iter().map(|passage| passage.content.clone());
            (hit.key.entry_id(), contents.collect())
        });
        shown.collect()
    }

    #[test]
    fn documents_come_by_their_best_passage_and_show_at_most_three() {
        let found = group(
            &asked(),
            near(&[
                ("b", "x", 0.9),
                ("a", "1", 0.8),
                ("a", "2", 0.7),
                ("a", "3", 0.6),
                ("a", "4", 0.5),
            ]),
            vec![manifest("a", &["1", "2", "3", "4"]), manifest("b", &["x"])],
            &Control::default(),
        );
        let expected = [("b", vec!["x"]), ("a", vec!["1", "2", "3"])];
        let expected = expected.map(|(document, contents)| {
            (
                document.to_owned(),
                contents.into_iter().map(str::to_owned).collect(),
            )
        });
        assert_eq!(shown(&found), Vec::from(expected));
        let best = &found[0].hit;
        assert_eq!(
            (best.title.as_deref(), best.link.as_deref()),
            (Some("b"), Some("l"))
        );
    }

    #[test]
    fn a_point_that_its_manifest_does_not_name_is_not_found() {
        let points = near(&[("a", "old", 0.9), ("a", "new", 0.1), ("gone", "x", 0.9)]);
        let found = group(
            &asked(),
            points,
            vec![manifest("a", &["new"])],
            &Control::default(),
        );
        assert_eq!(shown(&found), [("a".to_owned(), vec!["new".to_owned()])]);
    }

    #[test]
    fn a_deleted_and_a_void_document_are_not_found() {
        let deleted = Manifest {
            deleted: true,
            ..manifest("a", &["x"])
        };
        let points = near(&[("a", "x", 0.9)]);
        assert!(group(&asked(), points.clone(), vec![deleted], &Control::default()).is_empty());
        let floor = |sequence| {
            let mut control = Control::default();
            control.floors.insert("posts".to_owned(), version(sequence));
            control
        };
        let live = vec![manifest("a", &["x"])];
        assert!(group(&asked(), points.clone(), live.clone(), &floor(5)).is_empty());
        assert_eq!(group(&asked(), points, live, &floor(4)).len(), 1);
    }

    #[test]
    fn more_is_asked_for_until_there_is_enough_or_no_more() {
        assert_eq!(next_ask(32, 32, 5, 5), Next::Enough);
        assert_eq!(next_ask(32, 31, 0, 5), Next::Enough);
        assert_eq!(next_ask(32, 32, 4, 5), Next::Ask(128));
        assert_eq!(next_ask(ASK_MAX, ASK_MAX, 4, 5), Next::GaveUp);
        let mut asked = first_ask(usize::MAX);
        for _ in 0..20 {
            if let Next::Ask(more) = next_ask(asked, asked, 0, 5) {
                assert!(more > asked);
                asked = more;
            }
        }
        assert_eq!(asked, ASK_MAX);
    }

    #[test]
    fn an_author_is_known_by_id_or_by_name_in_any_case() {
        let written = json!({"author_id": "Id-1", "author_full_name": "Ada Lovelace"});
        let metadata = written.as_object().unwrap();
        assert!(written_by(metadata, "Id-1") && written_by(metadata, " ada  LOVELACE"));
        assert!(!written_by(metadata, "id-1") && !written_by(metadata, "Ada"));
    }
}
