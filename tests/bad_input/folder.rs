//! The data folder: damaged, of another model, in use.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lockstep::Error;
use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::hash::HashEmbedder;
use serde_json::Value;

use super::{Stored, assert_fails, done, finds};
use crate::support::app::page;
use crate::support::binary::{Up, ended, program, run};
use crate::support::copy;
use crate::support::export::{Rooms, hash_model};
use crate::support::model::model_folder;

#[tokio::test]
async fn a_damaged_database_is_named_and_nothing_is_done_to_it() {
    let stored = Stored::new();
    // Closed properly, all of it stands in the one file and none in its log.
    drop(Rooms::open(stored.data(), &hash_model()).await.unwrap());
    let file = stored.data().join("lockstep.db");
    let whole = fs::read(&file).unwrap();
    let mut overwritten = whole.clone();
    overwritten[..8192].fill(0x5a);
    let mut torn = whole.clone();
    torn[8192..].fill(0);
    let cases = [(overwritten, "no SQLite database"), (torn, "is damaged")];
    for (damaged, why) in cases {
        fs::write(&file, &damaged).unwrap();
        for command in [&["status"][..], &["search", "engine"], &["up"]] {
            let ended = run(stored.data(), command);
            assert_fails(&ended, 5, &["lockstep.db", why, "restore it from a backup"]);
        }
        assert!(fs::read(&file).unwrap() == damaged);
    }
    fs::write(&file, whole).unwrap();
    stored.assert_still_there();
}

#[test]
fn damaged_vectors_are_named_and_the_documents_stay() {
    let stored = Stored::new();
    let vectors = stored.data().join("vectors");
    let aside = stored.data().join("aside");
    fs::rename(&vectors, &aside).unwrap();
    let ended = run(stored.data(), &["verify"]);
    assert_fails(&ended, 5, &["vectors", "are gone", "restore"]);

    fs::remove_dir_all(&vectors).unwrap();
    copy_with_noise(&aside, &vectors);
    let ended = run(stored.data(), &["verify"]);
    assert_fails(&ended, 5, &["vectors", "cannot be read", "restore"]);

    fs::remove_dir_all(&vectors).unwrap();
    fs::rename(&aside, &vectors).unwrap();
    stored.assert_still_there();
}

/// The same files with other bytes in them.
fn copy_with_noise(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    copy::folder(from, to);
    for file in files(to) {
        fs::write(file, [0x5a; 4096]).unwrap();
    }
}

/// All files of a folder, at any depth.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn damage_to_one_file_of_the_vectors_is_named_or_found_by_verify() {
    let stored = Stored::new();
    let vectors = stored.data().join("vectors");
    let whole = tempfile::tempdir().unwrap();
    copy::folder(&vectors, whole.path());
    // One of those that are of one name and size is as good as all.
    let kinds: BTreeMap<_, _> = files(&vectors)
        .into_iter()
        .map(|file| ((file.file_name().unwrap().to_owned(), size(&file)), file))
        .collect();
    let mut named = 0;
    for file in kinds.values() {
        let damage = vec![0x5a; usize::try_from(size(file).min(65536)).unwrap()];
        let opened = File::options().write(true).open(file);
        opened.unwrap().write_all(&damage).unwrap();
        let ended = run(stored.data(), &["verify", "--vectors"]);
        if ended.code == Some(5) {
            assert_fails(&ended, 5, &["vectors", "cannot be read", "restore"]);
            named += 1;
        } else {
            assert!(matches!(ended.code, Some(0 | 4)), "{file:?}: {ended:?}");
        }
        fs::remove_dir_all(&vectors).unwrap();
        fs::create_dir(&vectors).unwrap();
        copy::folder(whole.path(), &vectors);
    }
    assert!(named > 5, "{named} of {}", kinds.len());
    stored.assert_still_there();
}

fn size(file: &Path) -> u64 {
    file.metadata().unwrap().len()
}

#[tokio::test]
async fn an_index_of_another_model_is_asked_with_its_own_and_another_dimension_is_refused() {
    let stored = Stored::new();
    let other = HashEmbedder::new(128);
    let opened = Rooms::open(stored.data(), other.model()).await;
    let error = opened.err().unwrap();
    assert!(matches!(error, Error::Model { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("384 dimensions") && said.contains("128 dimensions"));
    assert!(said.contains("`lockstep reindex`"), "{said}");

    let mut program = program(stored.data());
    program.env("LOCKSTEP_MODEL_BACKEND", "local");
    program.env("LOCKSTEP_MODEL_FOLDER", model_folder());
    let ended = ended(program.args(["search", "engine"]).output().unwrap());
    let said = done(ended);
    assert!(said.contains("weaves algebraic patterns"), "{said}");
    assert!(
        said.contains("made with hash-384 and is asked with it"),
        "{said}"
    );
    stored.assert_still_there();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_talks_to_the_first() {
    let stored = Stored::new();
    let mut up = Up::start(stored.data());
    up.client(stored.data()).await;
    let status = done(run(stored.data(), &["status", "--json"]));
    let status: Value = serde_json::from_str(&status).unwrap();
    let address = status["address"].as_str().unwrap();
    assert!(address.starts_with("http://127.0.0.1:"), "{address}");

    let text = "Ships wait outside the harbour until the tide carries them over the bar.";
    page(stored.folder.path(), "Harbour", text);
    stored.crawl();
    assert!(finds(stored.data(), "ships wait for the tide", text));
    let second = run(stored.data(), &["up"]);
    assert_fails(&second, 5, &["in use by another process"]);
    stored.assert_still_there();
    up.kill();
    stored.assert_still_there();
}

#[test]
fn who_asks_in_a_folder_where_nothing_is_makes_none() {
    let home = tempfile::tempdir().unwrap();
    let mistyped = home.path().join("dtaa");
    for question in [
        &["search", "tomatoes"][..],
        &["status"],
        &["verify"],
        &["export"],
    ] {
        assert_fails(
            &run(&mistyped, question),
            5,
            &["dtaa", "--data", "lockstep crawl"],
        );
        assert!(!mistyped.exists(), "{question:?}");
    }
}
