//! A copy of the data folder while it is written to, and a folder made of it.

use std::path::{Path, PathBuf};
use std::pin::pin;

use lockstep::command::{Handler as _, Reporter, Request};
use lockstep::crawl;
use lockstep::serve::Client;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::app::{ENGINE, GARDEN, page, pages};
use crate::support::binary::{self, Ended, Up};
use crate::support::export::Export;

/// A folder with two pages, and room for backups and what is made of them.
struct Place {
    data: TempDir,
    room: TempDir,
    pages: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            data: tempfile::tempdir().unwrap(),
            room: tempfile::tempdir().unwrap(),
            pages: pages(&[ENGINE, GARDEN]),
        };
        // The same text twice has one vector.
        page(place.pages.path(), "Again", GARDEN.1);
        page(place.pages.path(), "Still", GARDEN.1);
        assert_eq!(
            binary::crawl(place.data.path(), place.pages.path()).code,
            Some(0)
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    fn backup(&self, name: &str) -> Value {
        answer(&run(self.data.path(), &["backup"], &self.path(name)))
    }

    /// The restored folder, and what the command said.
    fn restore(&self, name: &str, data: &str) -> (PathBuf, Value) {
        let data = self.path(data);
        let said = answer(&run(&data, &["restore"], &self.path(name)));
        assert_eq!(said["verified"]["clean"], true, "{said}");
        (data, said)
    }
}

fn run(data: &Path, command: &[&str], folder: &Path) -> Ended {
    let arguments = [command, &[folder.to_str().unwrap(), "--json"]].concat();
    binary::run(data, &arguments)
}

fn answer(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.out).unwrap()
}

async fn crawled(client: &Client, pages: &Path) {
    let what = crawl::Request {
        target: pages.to_str().unwrap().to_owned(),
        author: "Ada Lovelace".to_owned(),
        as_kind: None,
        reference: None,
        browser: false,
    };
    let crawl = Request::Crawl { what, wait: true };
    client.handle(crawl, Reporter::new().0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_made_of_a_backup_is_the_same_at_a_new_epoch_and_embeds_nothing() {
    let place = Place::new();
    let mut up = Up::start(place.data.path());
    let client = up.client(place.data.path()).await;
    crawled(&client, place.pages.path()).await;
    let manifest = place.backup("backup");
    assert_eq!(manifest["documents"]["articles"], 4, "{manifest}");
    assert_eq!(manifest["epoch"], 1, "{manifest}");
    up.kill();
    let (data, said) = place.restore("backup", "restored");
    assert_eq!(said["epoch"], 2, "{said}");
    assert_eq!(said["texts_embedded"], 0, "{said}");
    let texts = manifest["vectors"]["texts"].as_u64();
    assert!(
        texts > Some(0) && said["texts_cached"].as_u64() >= texts,
        "{said}"
    );
    let (was, is) = (Export::of(place.data.path()).await, Export::of(&data).await);
    is.assert_equal(&was);
    binary::assert_clean(&data);
    // The crawler remembers.
    let again = binary::crawl(&data, place.pages.path());
    assert!(again.out.contains("0 saved"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_made_while_documents_are_written_is_whole() {
    let place = Place::new();
    let mut up = Up::start(place.data.path());
    let client = up.client(place.data.path()).await;
    let (data, to) = (place.data.path().to_owned(), place.path("backup"));
    let backup = tokio::task::spawn_blocking(move || run(&data, &["backup"], &to));
    let mut backup = pin!(backup);
    let mut written = 0;
    let ended = loop {
        for _ in 0..10 {
            written += 1;
            let text =
                format!("Words of page {written} that are in no other, and {written} looms.");
            page(place.pages.path(), &format!("Page{written}"), &text);
        }
        tokio::select! {
            biased;
            ended = &mut backup => break ended.unwrap(),
            () = crawled(&client, place.pages.path()) => {}
        }
    };
    up.kill();
    let manifest = answer(&ended);
    println!("{written} pages were written meanwhile");
    let (data, said) = place.restore("backup", "restored");
    assert_eq!(said["documents"], manifest["documents"], "{said}");
    binary::assert_clean(&data);
    let found = binary::run(&data, &["search", "a trellis for tomatoes", "--json"]);
    assert!(found.out.contains("Garden"), "{found:?}");
    // Where it came from goes on.
    binary::assert_clean(place.data.path());
}

#[test]
fn a_damaged_backup_is_refused_with_the_file_before_anything_is_made() {
    let place = Place::new();
    place.backup("backup");
    let data = place.path("restored");
    for name in ["source.db", "vectors.db", "manifest.json"] {
        let path = place.path("backup").join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let refused = run(&data, &["restore"], &place.path("backup"));
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.error.contains(name), "{refused:?}");
        assert!(!data.exists());
        std::fs::write(&path, whole).unwrap();
    }
    place.restore("backup", "restored");
}

#[test]
fn neither_a_backup_nor_a_folder_is_written_over() {
    let place = Place::new();
    place.backup("backup");
    let refused = run(place.data.path(), &["backup"], &place.path("backup"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.error.contains("there already"), "{refused:?}");
    let refused = run(place.data.path(), &["restore"], &place.path("backup"));
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(
        refused.error.contains("holds something already"),
        "{refused:?}"
    );
    binary::assert_clean(place.data.path());
    let nothing = place.path("nothing");
    let refused = run(&nothing, &["backup"], &place.path("other"));
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(!nothing.exists() && !place.path("other").exists());
}

#[test]
fn settings_come_along_unless_others_are_given() {
    let place = Place::new();
    let settings = "[queue]\nattempts_max = 9\n";
    std::fs::write(place.data.path().join("lockstep.toml"), settings).unwrap();
    let made = binary::run(place.data.path(), &["token", "create", "--name", "laptop"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    place.backup("backup");
    let (data, _) = place.restore("backup", "restored");
    let shown = std::fs::read_to_string(data.join("lockstep.toml")).unwrap();
    assert_eq!(shown, settings);
    let tokens = binary::run(&data, &["token", "list"]);
    assert!(tokens.out.contains("laptop"), "{tokens:?}");
}
