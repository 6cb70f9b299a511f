//! Rebuilding what has grown, beside writes and searches: nothing that was answered is lost by it, whenever the
//! process is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lockstep::change::DocumentKey;
use lockstep::database::Database;
use lockstep::vector::edge::{EdgeStore, SCHEMA, Upkeep};
use lockstep::vector::{Point, Select, VectorStore as _, Write};
use tempfile::TempDir;

use super::super::{at, key, nearest, point};
use super::model;
use crate::crash::number as number_of;

/// Says where the writing process has its folder; set by whoever starts it.
const FOLDER: &str = "LOCKSTEP_TEST_REBUILD_FOLDER";
/// And the number that it begins with.
const FIRST: &str = "LOCKSTEP_TEST_REBUILD_FIRST";
/// The test that is that process.
const WRITING: &str = "contract::vector::edge::rebuild::somebody_writes_until_killed";
const DOCUMENTS: u32 = 400;
const KILLS: u64 = 6;

/// Rebuilds almost always: one begins whenever the last one is over.
async fn restless(folder: &Path) -> EdgeStore {
    let upkeep = Upkeep {
        log_age: Duration::from_millis(5),
        after: 1,
        // The engine counts in whole kilobytes, and a vector of these has 16 bytes.
        graph_from: 64,
        pieces: 2,
    };
    let database = Database::open(&folder.join("lockstep.db"), &[SCHEMA]).unwrap();
    let (vectors, model) = (folder.join("vectors"), model());
    let opened = EdgeStore::open_with(&vectors, database, &model, upkeep);
    opened.await.unwrap()
}

fn document(number: u32) -> DocumentKey {
    key(&(number % DOCUMENTS).to_string())
}

/// What the document of this number holds after its write; every seventh time nothing.
fn points(number: u32) -> Vec<Point> {
    let count = if number.is_multiple_of(7) {
        0
    } else {
        1 + number % 3
    };
    let key = document(number);
    let one = |part| point(&key, &format!("write {number}, part {part}"), at(number));
    (0..count).map(one).collect()
}

async fn replace(store: &EdgeStore, number: u32) {
    let points = points(number);
    let sweep = Write::Sweep {
        key: document(number),
        stamp: at(number).into(),
        keep: points.iter().map(|point| point.id).collect(),
    };
    store
        .write(vec![Write::Upsert(points), sweep])
        .await
        .unwrap();
}

/// The contents of each document's points, in order.
async fn stored(store: &EdgeStore) -> BTreeMap<DocumentKey, Vec<String>> {
    let all = Select::After {
        after: None,
        limit: 100_000,
    };
    by_document(store.points(all).await.unwrap())
}

fn by_document(points: Vec<Point>) -> BTreeMap<DocumentKey, Vec<String>> {
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for point in points {
        found.entry(point.key).or_default().push(point.content);
    }
    for contents in found.values_mut() {
        contents.sort();
    }
    found
}

/// What all writes up to this one come to.
fn expected(last: u32) -> BTreeMap<DocumentKey, Vec<String>> {
    let first = last.saturating_sub(DOCUMENTS - 1).max(1);
    by_document((first..=last).flat_map(points).collect())
}

#[tokio::test]
#[ignore = "a process of the test below"]
async fn somebody_writes_until_killed() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let store = restless(Path::new(&folder)).await;
    let first = number_of(FIRST).unwrap();
    for number in u32::try_from(first).unwrap().. {
        replace(&store, number).await;
        println!("answered {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_while_it_rebuilds_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let seed = number_of("LOCKSTEP_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("LOCKSTEP_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut last = 0;
    let mut segments = BTreeSet::new();
    for kill in 0..KILLS {
        let writes = random.u32(DOCUMENTS..DOCUMENTS * 4);
        let answered = written(folder.path(), last + 1, writes);
        segments.extend(segments_in(folder.path()));
        let store = restless(folder.path()).await;
        let (found, whole) = (stored(&store).await, expected(answered));
        let next = expected(answered + 1);
        // The one that was killed is done, or not, or in part.
        let killed = document(answered + 1);
        for key in (0..DOCUMENTS).map(document).filter(|key| *key != killed) {
            assert_eq!(found.get(&key), whole.get(&key), "{key} after kill {kill}");
        }
        let parts = [whole.get(&killed), next.get(&killed)];
        let parts: Vec<&String> = parts.into_iter().flatten().flatten().collect();
        let some = found.get(&killed).into_iter().flatten();
        assert!(some.into_iter().all(|part| parts.contains(&part)));
        last = answered;
        drop(store);
    }
    // One that nothing has rebuilt has the same ones for ever.
    assert!(segments.len() >= 10, "{segments:?}");
    // And beside a rebuilding every read sees what was answered.
    let store = restless(folder.path()).await;
    let before = segments_in(folder.path());
    for number in last + 1..last + DOCUMENTS {
        replace(&store, number).await;
        let ids = points(number).iter().map(|point| point.id).collect();
        let found = by_document(store.points(Select::Of(ids)).await.unwrap());
        assert_eq!(found, by_document(points(number)));
        let near = store.nearest(nearest(30.0, 1)).await.unwrap();
        assert!(near[0].score > 0.999, "{near:?}");
    }
    assert_ne!(segments_in(folder.path()), before);
}

/// The engine's pieces, each by a name that no other one ever had.
fn segments_in(folder: &Path) -> BTreeSet<OsString> {
    let entries = folder.join("vectors/segments").read_dir().unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

/// Starts a process that writes from this number on, kills it after so many writes, and gives the last one that
/// was answered.
fn written(folder: &Path, first: u32, writes: u32) -> u32 {
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", WRITING])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answered = first - 1;
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut last = || {
        let line = lines.find_map(|line| Some(line.ok()?.strip_prefix("answered ")?.to_owned()));
        line.map(|number| number.parse::<u32>().unwrap())
    };
    while answered < first + writes {
        answered = last().expect("the writing process should not end by itself");
    }
    process.kill().unwrap();
    process.wait().unwrap();
    // What it said before its end.
    while let Some(number) = last() {
        answered = number;
    }
    answered
}
