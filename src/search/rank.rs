//! Which points count, which document they belong to, and whether to ask for more. Pure.

use std::collections::HashMap;

use super::fuse::Scored;
use super::gather::Question;
use super::grouped::Grouped;
use super::query::Mode;
use super::{Hit, Passage};
use crate::change::{DocumentKey, PointId};
use crate::document::Fields;
use crate::vector::{Control, Manifest};

/// Passages shown of one document.
const PASSAGES_MAX: usize = 3;
/// Points asked for first, for each document wanted: a document often answers with several.
const POINTS_A_DOCUMENT: usize = 4;
/// The fewest points asked for first.
const ASK_MIN: usize = 32;
/// The same of each of two lists that are fused: what one has far down, the other may have at its top.
const ASK_MIN_FUSED: usize = 100;
/// How much more each further question asks for.
const GROWTH: usize = 4;
/// The most points one question asks for; behind it nothing near is left to find.
const ASK_MAX: usize = 20_000;

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
pub(super) fn first_ask(documents: usize, mode: Mode) -> usize {
    let least = match mode {
        Mode::Hybrid => ASK_MIN_FUSED,
        Mode::Dense | Mode::Words => ASK_MIN,
    };
    documents
        .saturating_mul(POINTS_A_DOCUMENT)
        .clamp(least, ASK_MAX)
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

/// The documents of these points, best first, by what the points say of them. Their manifests are the judges of the
/// question's conditions, but reading those of thousands that the points rule out would take too long.
pub(super) fn documents(question: &Question<'_>, scored: &[Scored]) -> Vec<DocumentKey> {
    let mut best: HashMap<&DocumentKey, f32> = HashMap::new();
    let admitted = scored
        .iter()
        .filter(|one| question.query.admits(&one.point.metadata));
    for Scored { point, score, .. } in admitted {
        let score = with_title(question, *score, &point.metadata);
        let held = best.entry(&point.key).or_insert(score);
        *held = held.max(score);
    }
    let mut documents: Vec<_> = best.into_iter().collect();
    documents.sort_by(|(a, a_score), (b, b_score)| b_score.total_cmp(a_score).then(a.cmp(b)));
    documents.into_iter().map(|(key, _)| key.clone()).collect()
}

/// The documents whose manifests name these points, best first; tombstones, manifests that a floor
/// voids, those that do not meet the question's conditions and points that no manifest names are left out.
pub(super) fn group(
    question: &Question<'_>,
    scored: &[Scored],
    manifests: &[Manifest],
    control: &Control,
) -> Vec<Grouped> {
    let admits = |manifest: &Manifest| {
        let (kind, metadata) = (&manifest.key.kind, &manifest.metadata);
        question.only.admits(kind, metadata) && question.query.admits(metadata)
    };
    let mut live: HashMap<&DocumentKey, Live<'_>> = manifests
        .iter()
        .filter(|manifest| control.holds(manifest) && admits(manifest))
        .map(|manifest| (&manifest.key, Live::new(manifest)))
        .collect();
    for one in scored {
        if let Some(live) = live.get_mut(&one.point.key) {
            live.take(one);
        }
    }
    let mut grouped: Vec<Grouped> = live
        .into_values()
        .filter(|live| !live.found.is_empty())
        .map(|live| live.grouped(question))
        .collect();
    // Equal scores go by key, so that an answer does not depend on a hash map's order.
    grouped.sort_by(|a, b| {
        (b.hit.score.total_cmp(&a.hit.score)).then_with(|| a.hit.key.cmp(&b.hit.key))
    });
    grouped
}

/// A document that the index holds, and the points of it that were found.
struct Live<'a> {
    manifest: &'a Manifest,
    places: HashMap<PointId, usize>,
    found: Vec<(usize, &'a Scored)>,
}

impl<'a> Live<'a> {
    fn new(manifest: &'a Manifest) -> Self {
        let ids = manifest.points.iter().map(|entry| entry.id);
        Self {
            manifest,
            places: ids.zip(0..).collect(),
            found: Vec::new(),
        }
    }

    /// Takes a point that the manifest names.
    fn take(&mut self, scored: &'a Scored) {
        if let Some(place) = self.places.get(&scored.point.id) {
            self.found.push((*place, scored));
        }
    }

    fn grouped(mut self, question: &Question<'_>) -> Grouped {
        let manifest = self.manifest;
        self.found.sort_by(|(a_place, a), (b_place, b)| {
            b.score.total_cmp(&a.score).then(a_place.cmp(b_place))
        });
        self.found.truncate(PASSAGES_MAX);
        let best = self.found.first().map_or(-1.0, |(_, best)| best.score);
        let passages = self.found.iter().map(|(_, found)| Passage {
            content: found.point.content.clone(),
            text: found.point.content.clone(),
            score: found.score,
            cosine: found.cosine,
            rank: found.point.rank,
        });
        let hit = Hit {
            score: with_title(question, best, &manifest.metadata),
            title: title(&manifest.metadata).map(str::to_owned),
            link: text(&manifest.metadata, &["link"]).map(str::to_owned),
            kind: manifest.key.kind.clone(),
            author: text(&manifest.metadata, &["author_full_name", "owner_full_name"])
                .map(str::to_owned),
            passages: passages.collect(),
            version: manifest.stamp.version,
            key: manifest.key.clone(),
        };
        Grouped {
            hit,
            manifest: manifest.clone(),
            places: self.found.iter().map(|(place, _)| *place).collect(),
        }
    }
}

/// A document's score: its best point's, and what its title is worth. To a cosine that is added; scores of
/// other measures grow by as large a share.
fn with_title(question: &Question<'_>, score: f32, metadata: &Fields) -> f32 {
    let worth = title(metadata).map_or(0.0, |title| question.asked.worth(title));
    match question.mode {
        Mode::Dense => score + worth,
        Mode::Hybrid | Mode::Words => score * (1.0 + worth),
    }
}

fn title(metadata: &Fields) -> Option<&str> {
    text(metadata, &["title", "Title", "name"])
}

fn text<'a>(metadata: &'a Fields, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| metadata.get(*name)?.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::join;
    use super::super::query::Query;
    use super::super::title::Asked;
    use super::*;
    use crate::change::{Time, Version};
    use crate::vector::{Entry, Only, Point};

    fn question(query: &Query) -> Question<'_> {
        Question {
            query,
            mode: Mode::Dense,
            asked: Asked::new(""),
            only: Only::default(),
            meaning: None,
            words: None,
            wanted: 5,
        }
    }

    fn grouped(near: &[Scored], manifests: &[Manifest], control: &Control) -> Vec<Grouped> {
        group(&question(&Query::default()), near, manifests, control)
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

    fn near(points: &[(&str, &str, f32)]) -> Vec<Scored> {
        let near = points.iter().map(|(document, content, score)| Scored {
            point: point(document, content),
            score: *score,
            cosine: None,
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
        let found = grouped(
            &near(&[
                ("b", "x", 0.9),
                ("a", "1", 0.8),
                ("a", "2", 0.7),
                ("a", "3", 0.6),
                ("a", "4", 0.5),
            ]),
            &[manifest("a", &["1", "2", "3", "4"]), manifest("b", &["x"])],
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
        let found = grouped(&points, &[manifest("a", &["new"])], &Control::default());
        assert_eq!(shown(&found), [("a".to_owned(), vec!["new".to_owned()])]);
    }

    #[test]
    fn a_deleted_and_a_void_document_are_not_found() {
        let deleted = Manifest {
            deleted: true,
            ..manifest("a", &["x"])
        };
        let points = near(&[("a", "x", 0.9)]);
        assert!(grouped(&points, &[deleted], &Control::default()).is_empty());
        let floor = |sequence| {
            let mut control = Control::default();
            control.floors.insert("posts".to_owned(), version(sequence));
            control
        };
        let live = [manifest("a", &["x"])];
        assert!(grouped(&points, &live, &floor(5)).is_empty());
        assert_eq!(grouped(&points, &live, &floor(4)).len(), 1);
    }

    #[test]
    fn more_is_asked_for_until_there_is_enough_or_no_more() {
        assert_eq!(next_ask(32, 32, 5, 5), Next::Enough);
        assert_eq!(next_ask(32, 31, 0, 5), Next::Enough);
        assert_eq!(next_ask(32, 32, 4, 5), Next::Ask(128));
        assert_eq!(next_ask(ASK_MAX, ASK_MAX, 4, 5), Next::GaveUp);
        let mut asked = first_ask(usize::MAX, Mode::Hybrid);
        for _ in 0..20 {
            if let Next::Ask(more) = next_ask(asked, asked, 0, 5) {
                assert!(more > asked);
                asked = more;
            }
        }
        assert_eq!(asked, ASK_MAX);
    }

    #[test]
    fn what_a_condition_leaves_out_is_left_out_by_what_the_manifest_says() {
        let query = Query {
            link: Some("https://example.org/".to_owned()),
            ..Query::default()
        };
        let points = near(&[("a", "x", 0.9)]);
        let live = [manifest("a", &["x"])];
        assert!(group(&question(&query), &points, &live, &Control::default()).is_empty());
        let only = Question {
            only: Only::of_kinds(["articles"]),
            ..question(&query)
        };
        assert!(group(&only, &points, &live, &Control::default()).is_empty());
    }

    #[test]
    fn passages_that_touch_become_one_with_their_neighbours() {
        let contents = ["0", "1", "2", "3", "4", "5", "6"];
        let whole = Manifest {
            text: contents.join(" "),
            ..manifest("a", &contents)
        };
        let points = near(&[("a", "5", 0.9), ("a", "1", 0.8), ("a", "2", 0.7)]);
        let mut found =
            grouped(&points, std::slice::from_ref(&whole), &Control::default()).remove(0);
        let ids = whole.points.iter().map(|entry| entry.id);
        let stored: HashMap<PointId, &str> = ids.zip(contents).collect();
        let spans = join::spans(&found.places, whole.points.len());
        found.join(&spans, &stored);
        let shown = found.hit.passages.iter();
        let shown: Vec<_> = shown
            .map(|one| (one.content.as_str(), one.text.as_str()))
            .collect();
        // The reach of 5 and that of 2 meet between 3 and 4.
        assert_eq!(shown, [("5", "0 1 2 3 4 5 6")]);
    }
}
