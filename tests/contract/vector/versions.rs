//! The condition that every guarded write has: stored at or below.

use lockstep::change::DocumentKey;
use lockstep::vector::{Entry, Point, Select, Stamp, VectorStore, Write};

use super::{
    Subject, all_manifests, at, fields, key, manifest, point, put_manifest, tombstone, write,
};

const MAX: u32 = u32::MAX;

/// In ascending order; each differs from its neighbours in another word, or in the last digit of
/// a number that a 64-bit float or a signed integer would get wrong.
const ASCENDING: [[u32; 6]; 18] = [
    [0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 1, 0],
    [0, 0, 0, MAX, 0, 0],
    [0, 0, 1, 0, 0, 0],
    [0, 0, MAX, MAX, MAX, MAX],
    [0, 1, 0, 0, 0, 0],
    [1, 0, 0, 0, 0, 0],
    [1, 0, 0, 1, 0, 0],
    [1, 1_700_000_000, MAX, MAX - 1, MAX, MAX],
    [1, 1_700_000_000, MAX, MAX, 0, MAX],
    [1, 1_700_000_000, MAX, MAX, 1, MAX - 1],
    [1, 1_700_000_000, MAX, MAX, 1, MAX],
    [1, 1_700_000_001, 0, 0, 0, 0],
    [1, 1 << 31, 0, 0, 0, 0],
    [2, 0, 0, 0, 0, 0],
    [MAX, MAX, MAX, MAX, MAX - 1, MAX],
    [MAX, MAX, MAX, MAX, MAX, MAX],
];

/// One key for every pair of stamps, so that all pairs are tried in a few calls.
struct Pair {
    key: DocumentKey,
    stored: Stamp,
    given: Stamp,
    first: Point,
}

fn pairs() -> Vec<Pair> {
    let stamps = ASCENDING.map(Stamp::from_words);
    assert!(stamps.is_sorted(), "the table should ascend");
    let both = stamps
        .iter()
        .flat_map(|stored| stamps.iter().map(move |given| (*stored, *given)));
    both.map(|(stored, given)| {
        let key = key(&format!("{:?} {:?}", stored.words(), given.words()));
        let first = point(&key, "text", stored);
        Pair {
            key,
            stored,
            given,
            first,
        }
    })
    .collect()
}

/// Stores the first stamp of every pair, does the write with the second, and says for each
/// whether it took effect.
async fn outcomes<S: Subject>(
    subject: &S,
    pairs: &[Pair],
    given: impl Fn(&Pair) -> Write,
    effect: impl Fn(Option<&Point>) -> bool,
) {
    let points = pairs.iter().map(|pair| pair.first.clone()).collect();
    write(subject, [Write::Upsert(points)]).await;
    write(subject, pairs.iter().map(&given).collect::<Vec<_>>()).await;
    for pair in pairs {
        let select = Select::Of(vec![pair.first.id]);
        let found = subject.store().points(select).await.unwrap();
        let Pair { stored, given, .. } = pair;
        assert_eq!(
            effect(found.first()),
            stored <= given,
            "stored {stored:?}, given {given:?}"
        );
    }
    let all = pairs.iter().map(|pair| Write::Sweep {
        key: pair.key.clone(),
        stamp: Stamp::from_words([MAX; 6]),
        keep: Vec::new(),
    });
    write(subject, all.collect::<Vec<_>>()).await;
}

pub(crate) async fn every_condition_compares_all_six_words<S: Subject>(subject: S) {
    let pairs = pairs();
    let upsert = |pair: &Pair| {
        Write::Upsert(vec![Point {
            stamp: pair.given,
            rank: 7,
            ..pair.first.clone()
        }])
    };
    let ranked = |point: Option<&Point>| point.unwrap().rank == 7;
    outcomes(&subject, &pairs, upsert, ranked).await;
    let raise = |pair: &Pair| Write::Raise {
        key: pair.key.clone(),
        stamp: pair.given,
        metadata: fields(serde_json::json!({})),
        points: vec![Entry {
            id: pair.first.id,
            rank: 7,
        }],
    };
    outcomes(&subject, &pairs, raise, ranked).await;
    let sweep = |pair: &Pair| Write::Sweep {
        key: pair.key.clone(),
        stamp: pair.given,
        keep: Vec::new(),
    };
    outcomes(&subject, &pairs, sweep, |point| point.is_none()).await;
    manifests(&subject, &pairs).await;
}

async fn manifests<S: Subject>(subject: &S, pairs: &[Pair]) {
    let put = |stamp: fn(&Pair) -> Stamp| -> Vec<Write> {
        let manifest = |pair: &Pair| manifest(&pair.key, stamp(pair), &[]);
        pairs
            .iter()
            .map(|pair| Write::Manifest(Box::new(manifest(pair))))
            .collect()
    };
    write(subject, put(|pair| pair.stored)).await;
    write(subject, put(|pair| pair.given)).await;
    for pair in pairs {
        let select = Select::Of(vec![pair.key.clone()]);
        let found = subject.store().manifests(select).await.unwrap();
        assert_eq!(found[0].stamp, pair.stored.max(pair.given));
    }
}

pub(crate) async fn floors_and_collecting_know_versions_only<S: Subject>(subject: S) {
    let later = |revision| Stamp {
        revision,
        digest: 5,
        ..at(2).into()
    };
    put_manifest(&subject, tombstone(&key("a"), later(7))).await;
    put_manifest(&subject, manifest(&key("b"), later(u32::MAX), &[])).await;
    let floor = Write::Floor {
        kind: "posts".to_owned(),
        version: at(2),
    };
    write(&subject, [floor]).await;
    let control = subject.store().control().await.unwrap();
    for manifest in all_manifests(&subject).await {
        assert!(!control.holds(&manifest), "{manifest:?}");
    }
    let collect = |id: &str| Write::Collect {
        key: key(id),
        version: at(2),
    };
    write(&subject, [collect("a"), collect("b")]).await;
    let left = all_manifests(&subject).await;
    assert_eq!(left, [manifest(&key("b"), later(u32::MAX), &[])]);
}
