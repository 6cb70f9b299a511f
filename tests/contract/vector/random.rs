//! Random writes against a plain map that follows the port's words.

use std::collections::BTreeMap;

use lockstep::change::{DocumentKey, Lane, Mark, Place, PointId, Version};
use lockstep::document::Fields;
use lockstep::vector::lexical::{of_question, of_text};
use lockstep::vector::{
    By, Control, Entry, Floor, Manifest, Nearest, Only, Point, Stamp, VectorStore, Watermark,
    Write, only,
};
use serde_json::json;
use uuid::Uuid;

use super::{Subject, all_manifests, all_points, assert_same, fields, manifest, unit, write};

const SEEDS: [u64; 4] = [1, 2, 3, 4];
const WRITES_PER_SEED: usize = 250;

pub(crate) async fn a_thousand_random_writes_equal_a_plain_map<S: Subject>(subject: S) {
    drop(subject);
    for seed in SEEDS {
        let mut random = Random(seed);
        let mut subject = S::open().await;
        let mut plain = Plain::default();
        let mut written = 0;
        while written < WRITES_PER_SEED {
            let writes: Vec<_> = (0..=random.below(8)).map(|_| random.write()).collect();
            written += writes.len();
            for write in &writes {
                plain.apply(write);
            }
            let when = format!("seed {seed}, after {written} writes, the last {writes:?}");
            write(&subject, writes).await;
            if random.below(12) == 0 {
                subject = subject.reopen().await;
            }
            compare(&subject, &plain, &mut random, &when).await;
        }
    }
}

async fn compare<S: Subject>(subject: &S, plain: &Plain, random: &mut Random, when: &str) {
    let points: Vec<_> = plain.points.values().cloned().collect();
    assert_same(&all_points(subject).await, &points, when);
    let manifests: Vec<_> = plain.manifests.values().cloned().collect();
    assert_eq!(all_manifests(subject).await, manifests, "{when}");
    let store = subject.store();
    assert_eq!(store.control().await.unwrap(), plain.control, "{when}");
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.points, points.len() as u64, "{when}");
    let authors = ["a", "b"].map(only::author).to_vec();
    let mut question = Nearest {
        by: By::Meaning(random.vector()),
        only: Only::of_kinds(["posts"]).and(authors),
        limit: 1000,
    };
    let asked = |point: &&Point| {
        let author = point.metadata.get("author_id");
        point.key.kind == "posts" && [Some(&json!("a")), Some(&json!("b"))].contains(&author)
    };
    let mut expected: Vec<_> = points.iter().filter(asked).map(|point| point.id).collect();
    let near = store.nearest(question.clone()).await.unwrap();
    assert!(near.is_sorted_by(|a, b| a.score >= b.score), "{when}");
    let mut found: Vec<_> = near.iter().map(|near| near.point.id).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{when}");
    // By words: exactly those that have one of them, whatever was deleted meanwhile.
    let Some(content) = points.first().map(|point| &point.content) else {
        return;
    };
    let words = of_question(content);
    let shares = |point: &&Point| {
        let own = of_text(&point.content).ids;
        words.ids.iter().any(|id| own.contains(id))
    };
    let with_words = points.iter().filter(asked).filter(shares);
    let mut expected: Vec<_> = with_words.map(|point| point.id).collect();
    question.by = By::Words(words.clone());
    let near = store.nearest(question).await.unwrap();
    assert!(near.iter().all(|near| near.score > 0.0), "{when}: {near:?}");
    let mut found: Vec<_> = near.iter().map(|near| near.point.id).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "by words, {when}");
}

/// What the port's words mean, written down once more.
#[derive(Default)]
struct Plain {
    points: BTreeMap<PointId, Point>,
    manifests: BTreeMap<DocumentKey, Manifest>,
    control: Control,
}

impl Plain {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Raise {
                key,
                stamp,
                metadata,
                points,
            } => {
                for entry in points {
                    if let Some(point) = self.points.get_mut(&entry.id)
                        && point.key == *key
                        && point.stamp <= *stamp
                    {
                        point.stamp = *stamp;
                        point.rank = entry.rank;
                        point.metadata.clone_from(metadata);
                    }
                }
            }
            Write::Upsert(points) => {
                for point in points {
                    let stored = self.points.get(&point.id);
                    if stored.is_none_or(|stored| stored.stamp <= point.stamp) {
                        self.points.insert(point.id, point.clone());
                    }
                }
            }
            Write::Manifest(manifest) => {
                let stored = self.manifests.get(&manifest.key);
                if stored.is_none_or(|stored| stored.stamp <= manifest.stamp) {
                    self.manifests
                        .insert(manifest.key.clone(), (**manifest).clone());
                }
            }
            Write::Sweep { key, stamp, keep } => self
                .points
                .retain(|id, point| point.key != *key || point.stamp > *stamp || keep.contains(id)),
            Write::Collect { key, version } => self.manifests.retain(|stored, manifest| {
                stored != key || !manifest.deleted || manifest.stamp.version != *version
            }),
            _ => self.apply_control(write),
        }
    }

    fn apply_control(&mut self, write: &Write) {
        match write {
            Write::Floor { kind, version } => {
                let floor = self.control.floors.entry(kind.clone()).or_default();
                *floor = (*floor).max(*version);
            }
            Write::Passed { floor, place } => {
                let passing = self.control.passing.entry(floor.clone()).or_default();
                passing.insert(*place);
            }
            Write::Acted(id) => self.control.passing.retain(|floor, _| floor.id != *id),
            Write::Watermark { place, mark } => {
                let watermark = self.control.watermarks.entry(*place).or_default();
                *watermark = (*watermark).max(*mark);
            }
            Write::Marked { mark, place } => {
                self.control.marks.entry(*mark).or_default().insert(*place);
            }
            other => panic!("{other:?} should have been applied before"),
        }
    }
}

/// `SplitMix64`: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        let index = self.below(among.len() as u64);
        among[usize::try_from(index).unwrap()].clone()
    }

    fn version(&mut self) -> Version {
        let word = [0, 1, 2, u32::MAX];
        super::version([
            self.pick(&word[..3]),
            self.pick(&word[..2]),
            self.pick(&word),
            self.pick(&word),
        ])
    }

    fn stamp(&mut self) -> Stamp {
        Stamp {
            revision: self.pick(&[0, 0, 1, u32::MAX]),
            digest: self.pick(&[0, 1, u32::MAX]),
            ..self.version().into()
        }
    }

    fn key(&mut self) -> DocumentKey {
        let kind = self.pick(&["posts", "articles"]);
        let id = self.pick(&[json!(5), json!("5"), json!({"$numberLong": "5"})]);
        DocumentKey::from_json(kind, &id).unwrap()
    }

    fn metadata(&mut self) -> Fields {
        self.pick(&[
            fields(json!({})),
            fields(json!({"author_id": "a", "platform": null})),
            fields(json!({"author_id": "b", "type": "posts", "id": 1})),
            fields(json!({"author_id": 7, "link": {"deep": [1, 2]}})),
        ])
    }

    fn vector(&mut self) -> Vec<f32> {
        let degrees = u16::try_from(self.below(360)).unwrap();
        unit(f32::from(degrees))
    }

    fn rank(&mut self) -> i64 {
        i64::from_ne_bytes(self.next().to_ne_bytes())
    }

    /// An id of the key; now and then one of another key, which happens to nobody who follows
    /// the rules.
    fn id(&mut self, key: &DocumentKey) -> PointId {
        let key = if self.below(10) == 0 {
            self.key()
        } else {
            key.clone()
        };
        PointId::new(&key, self.pick(&["one", "two", "three", "four"]), 0)
    }

    fn some<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| one(self)).collect()
    }

    fn write(&mut self) -> Write {
        let (key, version) = (self.key(), self.version());
        match self.below(20) {
            0..6 => Write::Upsert(self.some(|random| random.point(&key))),
            6..9 => Write::Raise {
                stamp: self.stamp(),
                metadata: self.metadata(),
                points: self.some(|random| Entry {
                    id: random.id(&key),
                    rank: random.rank(),
                }),
                key,
            },
            9..12 => Write::Sweep {
                keep: self.some(|random| random.id(&key)),
                key,
                stamp: self.stamp(),
            },
            12..16 => Write::Manifest(Box::new(self.manifest(&key))),
            16 => Write::Collect { key, version },
            _ => self.control(key.kind, version),
        }
    }

    fn control(&mut self, kind: String, version: Version) -> Write {
        let place = Place {
            partition: self.pick(&[0, u32::MAX]),
            lane: self.pick(&[Lane::Live, Lane::Backfill]),
        };
        let id = Uuid::from_u128(u128::from(self.below(3)));
        match self.below(5) {
            4 => Write::Marked {
                mark: self.pick(&[Mark::Begin, Mark::End]),
                place,
            },
            0 => Write::Floor { kind, version },
            1 => Write::Acted(id),
            2 => Write::Passed {
                floor: Floor { id, kind, version },
                place,
            },
            _ => Write::Watermark {
                place,
                mark: Watermark {
                    version,
                    committed_ms: u64::from(version.time.increment),
                },
            },
        }
    }

    fn point(&mut self, key: &DocumentKey) -> Point {
        let id = PointId::new(key, self.pick(&["one", "two", "three", "four"]), 0);
        Point {
            id,
            key: key.clone(),
            stamp: self.stamp(),
            rank: self.rank(),
            content: id.to_string(),
            metadata: self.metadata(),
            vector: self.vector(),
        }
    }

    fn manifest(&mut self, key: &DocumentKey) -> Manifest {
        let points = self.some(|random| random.point(key));
        let points: Vec<_> = points.iter().collect();
        let deleted = self.below(3) == 0;
        Manifest {
            deleted,
            metadata: self.metadata(),
            ..manifest(key, self.stamp(), if deleted { &[] } else { &points })
        }
    }
}
