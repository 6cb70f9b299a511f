//! Exports, by the command and over HTTP.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use super::PAGES;
use crate::support::api::{Caller, config, filled};
use crate::support::app::{App, pages};
use crate::support::binary;

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn exported(data: &Path, arguments: &[&str]) -> (String, Value) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let manifest = file.path().to_str().unwrap();
    let given = [&["export", "--manifest", manifest], arguments].concat();
    let ended = binary::run(data, &given);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let manifest = std::fs::read_to_string(file.path()).unwrap();
    (ended.out, serde_json::from_str(&manifest).unwrap())
}

fn digest(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_exports_are_the_same_bytes_and_the_manifest_is_of_them() {
    let data = tempfile::tempdir().unwrap();
    let (app, caller) = filled(data.path(), &PAGES).await;
    for what in ["documents", "chunks", "vectors"] {
        let served = caller.get(&format!("/v1/export?what={what}")).await;
        assert_eq!(served.header("content-type"), "application/x-ndjson");
        let (through, manifest) = exported(data.path(), &["--what", what]);
        assert_eq!(served.body, through, "{what}");
        assert_eq!(manifest["sha256"], digest(&through), "{what}");
        assert_eq!(manifest["lines"], through.lines().count(), "{what}");
        assert_eq!(manifest["bytes"], through.len(), "{what}");
        assert_eq!(
            manifest["by_type"]["articles"]["documents"], 3,
            "{manifest}"
        );
        assert!(
            manifest["as_of"].as_str().unwrap().ends_with('Z'),
            "{manifest}"
        );
        let with = caller
            .get(&format!("/v1/export?what={what}&manifest=true"))
            .await;
        let (body, last) = with.body.trim_end().rsplit_once('\n').unwrap();
        assert_eq!(format!("{body}\n"), through);
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["manifest"]["sha256"], manifest["sha256"]);
    }
    app.stop().await;
    // The command alone, after a restart, writes them too.
    let before = exported(data.path(), &["--what", "vectors"]).0;
    let file = data.path().with_extension("jsonl");
    let path = file.to_str().unwrap();
    let ended = binary::run(
        data.path(),
        &["export", "--what", "vectors", "--output", path],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    std::fs::remove_file(file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_in_the_order_of_the_keys_and_hold_what_was_embedded() {
    let data = tempfile::tempdir().unwrap();
    let (app, caller) = filled(data.path(), &PAGES).await;
    let documents = lines(&caller.get("/v1/export?type=articles").await.body);
    let ids: Vec<_> = documents
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    assert!(ids.len() == 3 && ids.is_sorted(), "{ids:?}");
    assert!(
        documents
            .iter()
            .all(|line| !line["text"].as_str().unwrap().is_empty())
    );
    let vectors = lines(&caller.get("/v1/export?what=vectors").await.body);
    let of: BTreeSet<_> = vectors
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    assert_eq!(of.into_iter().collect::<Vec<_>>(), ids);
    for line in &vectors {
        let vector = line["vector"].as_array().unwrap();
        let square: f64 = vector
            .iter()
            .map(|value| value.as_f64().unwrap().powi(2))
            .sum();
        assert!(vector.len() == 384 && (square - 1.0).abs() < 1e-3, "{line}");
        assert_eq!(line["metadata"]["author_full_name"], "Ada Lovelace");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_there_and_wanted_is_exported() {
    let data = tempfile::tempdir().unwrap();
    let (app, caller) = filled(data.path(), &PAGES).await;
    let count = async |filter: &str| {
        let answer = caller.get(&format!("/v1/export?{filter}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        lines(&answer.body).len()
    };
    assert_eq!(count("author=ada%20LOVELACE").await, 3);
    assert_eq!(count("author=Ada").await, 0);
    assert_eq!(count("type=posts").await, 0);
    assert_eq!(count("type=posts&type=articles").await, 3);
    assert_eq!(count("since=2020-01-01T00:00:00Z").await, 4);
    assert_eq!(count("since=2999-01-01T00:00:00Z").await, 0);
    for wrong in [
        "what=all",
        "since=yesterday",
        "since=2020-01-01",
        "manifest=1",
        "kind=posts",
    ] {
        caller
            .get(&format!("/v1/export?{wrong}"))
            .await
            .problem(400);
    }
    // A tombstone is no document, and its chunks are nobody's.
    let link =
        lines(&caller.get("/v1/export?type=articles").await.body)[0]["metadata"]["link"].clone();
    let target = link.as_str().unwrap().to_owned();
    app.ask(lockstep::command::Request::Delete { target, wait: true })
        .await
        .unwrap();
    assert_eq!(count("what=documents&type=articles").await, 2);
    assert!(
        !caller
            .get("/v1/export?what=chunks")
            .await
            .body
            .contains(link.as_str().unwrap())
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_written_or_would_replace_the_lines_is_refused_first() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (app, _) = filled(data.path(), &PAGES).await;
    let lines = home.path().join("lines");
    let lines = lines.to_str().unwrap();
    let again = home.path().join(".").join("lines");
    let nowhere = home.path().join("nowhere/manifest");
    for (manifest, named) in [(nowhere, "nowhere"), (again, "--output")] {
        let manifest = manifest.to_str().unwrap();
        let ended = binary::run(
            data.path(),
            &["export", "--output", lines, "--manifest", manifest],
        );
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.error.contains(named), "{ended:?}");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_index_is_an_empty_export() {
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(config(data.path())).await;
    let answer = Caller::of(data.path()).get("/v1/export").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    let (out, manifest) = exported(data.path(), &[]);
    assert_eq!((out.as_str(), &manifest["lines"]), ("", &Value::from(0)));
    assert_eq!(manifest["sha256"], digest(""));
    app.stop().await;
}

/// More than a pipe and all that waits before it take, so that whoever writes it waits for a reader.
#[tokio::test]
async fn an_export_that_nobody_reads_still_hears_a_signal() {
    let data = tempfile::tempdir().unwrap();
    let words: Vec<_> = (0..200_000).map(|number| format!("word{number}")).collect();
    let pages = pages(&[("Long", &words.join(" "))]);
    assert_eq!(binary::crawl(data.path(), pages.path()).code, Some(0));
    let mut command = tokio::process::Command::from(binary::program(data.path()));
    let command = command.args(["export", "--what", "documents"]);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut export = command.kill_on_drop(true).spawn().unwrap();
    // It writes, and from here on nobody reads.
    let mut out = export.stdout.take().unwrap();
    assert_eq!(out.read_u8().await.unwrap(), b'{');
    let process = export.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &process]).status();
    assert!(sent.unwrap().success());
    let ended = tokio::time::timeout(Duration::from_mins(1), export.wait()).await;
    assert_eq!(ended.unwrap().unwrap().code(), Some(130));
}
