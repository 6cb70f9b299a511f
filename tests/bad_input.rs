//! Broken files, full disks and hostile input: a clear message and an exit code, and what was
//! stored before is still there.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use lockstep::Error;
use lockstep::change::DocumentKey;
use lockstep::command::{Handler as _, Reporter, Request};
use lockstep::crawl;
use lockstep::document::{Document, kind};
use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::source::Source as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::{page, pages};
use crate::support::binary::{self, Ended, Up, assert_clean, ended, program, run};
use crate::support::export::{Rooms, hash_model};
use crate::support::model::{broken_folder, model_folder};

const ENGINE: &str = "The analytical engine weaves algebraic patterns as the loom weaves flowers.";
const GARDEN: &str = "Tomatoes want sun, water in the morning, and a trellis to climb in summer.";
const MIB: u64 = 1 << 20;

/// A data folder with two pages in its index, and the folder of the pages.
struct Stored {
    data: TempDir,
    folder: TempDir,
}

impl Stored {
    fn new() -> Self {
        let stored = Self {
            data: tempfile::tempdir().unwrap(),
            folder: pages(&[("Engine", ENGINE), ("Garden", GARDEN)]),
        };
        stored.crawl();
        stored
    }

    fn data(&self) -> &Path {
        self.data.path()
    }

    /// Reads the folder again, which must succeed, and gives what was said.
    fn crawl(&self) -> String {
        done(binary::crawl(self.data(), self.folder.path()))
    }

    fn assert_still_there(&self) {
        assert_clean(self.data());
        assert!(finds(self.data(), "the engine weaves patterns", ENGINE));
        assert!(finds(self.data(), "tomatoes in the morning", GARDEN));
    }
}

fn done(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.out + &ended.error
}

fn assert_fails(ended: &Ended, code: i32, says: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for said in says {
        assert!(ended.error.contains(said), "{said:?}: {ended:?}");
    }
}

/// Whether the first answer holds this text.
fn finds(data: &Path, question: &str, text: &str) -> bool {
    let answer = run(data, &["search", question, "--json"]);
    let answer: Value = serde_json::from_str(&answer.out).unwrap();
    let passage = answer["hits"][0]["passages"][0]["content"].as_str();
    passage.is_some_and(|passage| passage.contains(text))
}

/// A file of this size that takes no room.
fn sparse(path: &Path, bytes: u64) {
    let file = File::options().append(true).create(true).open(path);
    file.unwrap().set_len(bytes).unwrap();
}

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
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_with_noise(&entry.path(), &target);
        } else {
            fs::write(target, [0x5a; 4096]).unwrap();
        }
    }
}

/// A small file system in memory; taken away when it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where this user may not mount one.
    fn new() -> Option<Self> {
        let disk = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]);
        let mounted = mount.arg(disk.path()).output();
        let mounted = mounted.is_ok_and(|mounted| mounted.status.success());
        mounted.then_some(Self(disk))
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.path().join("ballast")
    }

    fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        let full = std::io::copy(&mut std::io::repeat(1), &mut file).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|unmounted| unmounted.success()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_loses_nothing() {
    let Some(disk) = SmallDisk::new() else {
        println!("skipped: this user may not mount a small file system");
        return;
    };
    let data = disk.0.path().join("data");
    let folder = pages(&[("Engine", ENGINE)]);
    done(binary::crawl(&data, folder.path()));

    page(folder.path(), "Garden", GARDEN);
    disk.fill();
    let full = binary::crawl(&data, folder.path());
    assert_fails(&full, 1, &["the disk is full"]);
    disk.make_room();
    assert_clean(&data);
    assert!(finds(&data, "the engine weaves patterns", ENGINE));

    // Full while it runs. Whatever it says or whether it ends, what it had taken stays.
    let mut up = Up::start(&data);
    let client = up.client(&data).await;
    let crawl = |wait| Request::Crawl {
        what: crawl::Request {
            target: folder.path().to_str().unwrap().to_owned(),
            author: "Ada Lovelace".to_owned(),
            as_kind: None,
        },
        wait,
    };
    for number in 0..200 {
        let title = format!("Garden {number}");
        page(folder.path(), &title, &format!("Bed {number}. {GARDEN}"));
    }
    disk.fill();
    let while_full = client.handle(crawl(false), Reporter::new().0).await;
    disk.make_room();
    let after = client.handle(crawl(true), Reporter::new().0).await;
    println!(
        "while full: {:?}",
        while_full.map_err(|error| error.chain())
    );
    println!("after: {:?}", after.map_err(|error| error.chain()));
    println!("{}", up.kill());
    done(binary::crawl(&data, folder.path()));
    assert_clean(&data);
    assert!(finds(&data, "the engine weaves patterns", ENGINE));
    assert!(finds(&data, "bed 199 tomatoes", "Bed 199."));
}

#[test]
fn a_model_that_is_missing_or_damaged_is_named() {
    let stored = TempDir::new().unwrap();
    let folder = pages(&[("Engine", ENGINE)]);
    let with = |model: &Path, arguments: &[&str]| {
        let mut program = program(stored.path());
        program.env("LOCKSTEP_MODEL_BACKEND", "local");
        program.env("LOCKSTEP_MODEL_FOLDER", model).args(arguments);
        ended(program.output().unwrap())
    };
    let crawl = [
        "crawl",
        folder.path().to_str().unwrap(),
        "--author",
        "Ada Lovelace",
    ];
    done(with(&model_folder(), &crawl));
    page(folder.path(), "Garden", GARDEN);

    let weights = |folder: &Path| folder.join("model.safetensors");
    let missing = broken_folder(|folder| fs::remove_file(weights(folder)).unwrap());
    let truncated = broken_folder(|folder| {
        let file = File::options().write(true).open(weights(folder)).unwrap();
        let bytes = file.metadata().unwrap().len();
        file.set_len(bytes / 2).unwrap();
    });
    let changed = broken_folder(|folder| {
        let mut bytes = fs::read(weights(folder)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(weights(folder), bytes).unwrap();
    });
    for model in [missing, truncated, changed] {
        let ended = with(model.path(), &crawl);
        println!("{}", ended.error);
        assert_fails(
            &ended,
            1,
            &["embedding model", "model.safetensors", "make model"],
        );
    }
    let nowhere = with(Path::new("/nowhere/model"), &crawl);
    assert_fails(
        &nowhere,
        1,
        &["embedding model /nowhere/model", "make model"],
    );

    let verified = with(&model_folder(), &["verify", "--vectors"]);
    assert!(done(verified).contains("source and index agree"));
}

#[tokio::test]
async fn vectors_of_another_model_are_refused() {
    let stored = Stored::new();
    let other = HashEmbedder::new(128);
    let opened = Rooms::open(stored.data(), other.model()).await;
    let error = opened.err().unwrap();
    assert!(matches!(error, Error::Model { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("384 dimensions") && said.contains("128 dimensions"));

    let mut program = program(stored.data());
    program.env("LOCKSTEP_MODEL_BACKEND", "local");
    program.env("LOCKSTEP_MODEL_FOLDER", model_folder());
    let ended = ended(program.args(["search", "engine"]).output().unwrap());
    assert_fails(&ended, 1, &["were made with hash-384", "all-MiniLM-L6-v2"]);
    stored.assert_still_there();
}

#[test]
fn a_page_beyond_the_limit_is_left_out_unread_and_keeps_what_was_stored() {
    let stored = Stored::new();
    let file = stored.folder.path().join("Engine.html");
    // The larger one fits no memory: it is refused by its size.
    for bytes in [200 * MIB, 1 << 40] {
        sparse(&file, bytes);
        let ended = run(
            stored.data(),
            &["crawl", file.to_str().unwrap(), "--author", "Ada Lovelace"],
        );
        assert_fails(
            &ended,
            1,
            &["Engine.html", "more than the limit of 16777216"],
        );
        assert!(stored.crawl().contains("more than the limit of 16777216"));
        stored.assert_still_there();
    }
}

#[test]
fn an_empty_page_is_left_out_and_keeps_what_was_stored() {
    let stored = Stored::new();
    fs::write(stored.folder.path().join("Engine.html"), "").unwrap();
    fs::write(stored.folder.path().join("New.html"), "").unwrap();
    let said = stored.crawl();
    assert!(said.contains("New.html: it has no main text"), "{said}");
    stored.assert_still_there();
}

#[test]
fn a_page_in_windows_1251_is_found_by_its_text() {
    let stored = Stored::new();
    let text = "Аналитическая машина ткёт алгебраические узоры, как станок ткёт цветы и листья.";
    for (name, declared) in [("Declared", "<meta charset='windows-1251'>"), ("Bare", "")] {
        let html = format!(
            "<!doctype html><html><head>{declared}<title>{name}</title></head><body><article>\
             <h1>{name}</h1><p>{text}</p></article></body></html>"
        );
        let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(&html);
        assert!(std::str::from_utf8(&bytes).is_err());
        fs::write(stored.folder.path().join("Russian.html"), bytes).unwrap();
        stored.crawl();
        assert!(finds(stored.data(), "машина ткёт узоры", text), "{name}");
    }
    stored.assert_still_there();
}

#[test]
fn links_that_lead_back_end_the_walk() {
    let stored = Stored::new();
    let below = stored.folder.path().join("below");
    fs::create_dir(&below).unwrap();
    std::os::unix::fs::symlink(stored.folder.path(), below.join("up")).unwrap();
    std::os::unix::fs::symlink(&below, below.join("self")).unwrap();
    let said = stored.crawl();
    assert!(said.contains("0 saved, 2 unchanged, 0 deleted"), "{said}");
    assert!(said.contains("symbolic link"), "{said}");
    stored.assert_still_there();
}

#[test]
fn a_huge_file_of_a_repository_is_left_out() {
    let stored = Stored::new();
    let repository = tempfile::tempdir().unwrap();
    let code = "fn weigh_anchor() {\n    // The tide carries the ship over the bar.\n}\n";
    fs::write(repository.path().join("main.rs"), code).unwrap();
    sparse(&repository.path().join("huge.rs"), 1 << 30);
    let folder = repository.path().to_str().unwrap();
    let crawl = [
        "crawl",
        folder,
        "--as",
        "repository",
        "--author",
        "Ada Lovelace",
    ];
    let said = done(run(stored.data(), &crawl));
    assert!(
        said.contains("huge.rs: 1073741824 bytes, more than"),
        "{said}"
    );
    let question = "weigh anchor, the tide carries the ship";
    assert!(finds(stored.data(), question, "weigh_anchor"));
    stored.assert_still_there();
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_look_alike_are_two_documents() {
    let stored = Stored::new();
    let post = |id: Value, text: &str| Document {
        key: DocumentKey::from_json(kind::POSTS, &id).unwrap(),
        fields: json!({"platform": "test", "content": {"Content": text}})
            .as_object()
            .unwrap()
            .clone(),
    };
    let number = post(json!(5), "The number five stands in the harbour ledger.");
    let text = post(
        json!("5"),
        "The letter five was painted on the orchard gate.",
    );
    let rooms = Rooms::open(stored.data(), &hash_model()).await.unwrap();
    rooms.source.save(vec![number.clone(), text]).await.unwrap();
    drop(rooms);
    let data = stored.data();
    assert!(finds(
        data,
        "number in the harbour ledger",
        "harbour ledger"
    ));
    assert!(finds(data, "letter on the orchard gate", "orchard gate"));
    stored.assert_still_there();

    let rooms = Rooms::open(data, &hash_model()).await.unwrap();
    assert_eq!(rooms.source.delete(vec![number.key]).await.unwrap(), 1);
    drop(rooms);
    assert!(!finds(
        data,
        "number in the harbour ledger",
        "harbour ledger"
    ));
    assert!(finds(data, "letter on the orchard gate", "orchard gate"));
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
