//! Clones among the requests of their host, and the parts of what they bring. Where git is not installed, a test of a
//! server says so and does nothing.

use std::path::Path;

use url::Url;

use super::git::{commit, entries};
use super::shelf::{Shelf, github, has_git, on_github, repository};
use super::web::serve;
use super::*;
use crate::Error;
use crate::clock::Clock;
use crate::crawl::harvest::Context;
use crate::crawl::write::Writer;
use crate::crawl::{Manners, named, remote};
use crate::document::{User, kind};
use crate::source::Source as _;

#[tokio::test(flavor = "multi_thread")]
async fn two_clones_of_one_host_are_never_in_flight_together() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    repository(&folder, "ada/engine", "fn engine() {}\n");
    repository(&folder, "ada/loom", "fn loom() {}\n");
    let shelf = Shelf::new(&folder, None);
    let server = serve(shelf.router()).await;
    let (source, settings) = (Memory::default(), github(&server, "", &tmp));
    let [engine, loom] = ["ada/engine", "ada/loom"].map(|path| on_github(&server, path));
    let (engine, loom) = tokio::join!(
        crawl(&source, &engine, &settings, &()),
        crawl(&source, &loom, &settings, &()),
    );
    assert_eq!(counts(&engine.unwrap()), (1, 0, 0));
    assert_eq!(counts(&loom.unwrap()), (1, 0, 0));
    let mut asked = shelf.asked();
    assert!(asked.len() > 4, "{asked:?}");
    asked.dedup();
    assert_eq!(asked.len(), 2, "one after the other: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_too_busy_for_a_clone_is_left_alone_and_what_was_kept_stays() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = repository(&folder, "ada/engine", "fn engine() {}\n");
    repository(&folder, "ada/loom", "fn loom() {}\n");
    let shelf = Shelf::new(&folder, None);
    let server = serve(shelf.router()).await;
    let (source, clock) = (Memory::default(), Clock::manual(1_000_000));
    let clones = tmp.path().join("clones");
    let settings = Settings {
        clones: Some(clones.clone()),
        wait_seconds_max: 9,
        manners: Manners::new(clock.clone()),
        ..github(&server, "", &tmp)
    };
    let read = async |path: &str| crawl(&source, &on_github(&server, path), &settings, &()).await;
    assert_eq!(counts(&read("ada/engine").await.unwrap()), (1, 0, 0));
    commit(&engine, &[("b.rs", Some(b"fn b() {}\n"))]);
    shelf.busy(true);
    shelf.asked();
    let refused = read("ada/engine").await;
    let Err(Error::Later { until_ms, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(until_ms, 1_030_000);
    let asked = shelf.asked();
    assert!(asked.len() < 4, "nor is everything asked for: {asked:?}");
    assert_eq!(entries(&clones), 1);
    // No other crawl asks it meanwhile.
    let other = read("ada/loom").await;
    assert!(matches!(other, Err(Error::Later { .. })), "{other:?}");
    assert_eq!(shelf.asked(), Vec::<String>::new());
    shelf.busy(false);
    clock.advance(30_000);
    assert_eq!(counts(&read("ada/engine").await.unwrap()), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_is_there_when_it_was_told_to_end_is_taken_and_kept() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    repository(&folder, "ada/engine", "fn engine() {}\n");
    let server = serve(Shelf::new(&folder, None).router()).await;
    let (source, clones) = (Memory::default(), tmp.path().join("clones"));
    let read = async |clone_seconds_max: u64| {
        let settings = Settings {
            clones: Some(clones.clone()),
            clone_seconds_max,
            ..github(&server, "", &tmp)
        };
        let request = on_github(&server, "ada/engine");
        let report = crawl(&source, &request, &settings, &()).await;
        counts(&report.unwrap())
    };
    assert_eq!(read(600).await, (1, 0, 0));
    // Its time is over at once. That nothing is new needs no transfer that could be broken off.
    assert_eq!(read(0).await, (0, 1, 0));
    assert_eq!(entries(&clones), 1);
}

/// Crawls what a repository on disk has committed as that of this link, a file a part.
async fn crawl_as(source: &Memory, folder: &Path, link: &str) -> Report {
    let url = Url::parse(link).unwrap();
    let context = Context {
        settings: Settings {
            repository_bytes_max: 100,
            ..Settings::default()
        },
        author: User::known("ada".to_owned(), "Ada Lovelace".to_owned()),
        root: link.to_owned(),
    };
    let mut writer = Writer::new(source, &());
    let state = (folder.to_owned(), None);
    remote::stored(&mut writer, state, (&url, "github"), &context)
        .await
        .unwrap();
    let roots = remote::roots(&url);
    let report = writer.finish_as(&roots, kind::REPOSITORIES).await;
    report.unwrap()
}

/// A repository of three files.
fn three() -> (tempfile::TempDir, gix::Repository) {
    let folder = tempfile::tempdir().unwrap();
    let repository = gix::init_bare(folder.path()).unwrap();
    let files = ["a.rs", "b.rs", "c.rs"].map(|path| (path, Some(&b"fn weave() {}\n"[..])));
    commit(&repository, &files);
    (folder, repository)
}

fn field<'a>(document: &'a Document, name: &str) -> &'a str {
    document.fields[name].as_str().unwrap()
}

#[tokio::test]
async fn a_split_repository_under_another_spelling_of_its_link_leaves_no_part_behind() {
    let (source, (folder, repository)) = (Memory::default(), three());
    let report = crawl_as(&source, folder.path(), "https://github.com/Ada/Engine").await;
    assert_eq!(counts(&report), (3, 0, 0));
    commit(&repository, &[("c.rs", None)]);
    let report = crawl_as(&source, folder.path(), "https://github.com/ada/engine.git").await;
    assert_eq!(counts(&report), (2, 0, 1), "the link is another one");
    for document in source.documents() {
        let link = "https://github.com/ada/engine";
        assert_eq!(
            (field(&document, "link"), field(&document, "crawl_root")),
            (link, link)
        );
    }
    let report = crawl_as(&source, folder.path(), "https://github.com/ADA/Engine/").await;
    assert_eq!(counts(&report), (2, 0, 0));
    for document in source.documents() {
        assert_eq!(field(&document, "link"), "https://github.com/ADA/Engine");
        assert_eq!(
            field(&document, "crawl_root"),
            "https://github.com/ada/engine"
        );
    }
}

#[tokio::test]
async fn a_repository_that_is_as_it_was_costs_no_write() {
    let (source, (folder, _)) = (Memory::default(), three());
    let link = "https://github.com/Ada/Engine";
    crawl_as(&source, folder.path(), link).await;
    source.writes();
    let report = crawl_as(&source, folder.path(), link).await;
    assert_eq!((counts(&report), source.writes()), ((0, 3, 0), 0));
}

#[tokio::test]
async fn parts_that_an_earlier_version_stored_under_other_spellings_are_found() {
    let (source, (folder, repository)) = (Memory::default(), three());
    crawl_as(&source, folder.path(), "https://github.com/ada/engine").await;
    // Each under the spelling that was the last to be asked for while it was there.
    let mut stored = source.documents();
    for (document, root) in stored
        .iter_mut()
        .zip(["Ada/Engine", "ADA/engine", "Ada/engine"])
    {
        let root = format!("https://github.com/{root}");
        document.fields.insert("crawl_root".to_owned(), root.into());
    }
    source.save(stored).await.unwrap();
    commit(&repository, &[("b.rs", None), ("c.rs", None)]);
    let report = crawl_as(&source, folder.path(), "https://github.com/ada/engine").await;
    assert_eq!(report.deleted, 2, "{report:?}");
    assert_eq!(source.documents().len(), 1);
}

#[tokio::test]
async fn the_crawls_of_a_repository_have_one_name_however_its_link_is_spelled() {
    let name = async |link: &str| named(&request(link)).await.unwrap();
    let one = "https://github.com/ada/engine";
    for link in [
        one,
        "https://github.com/Ada/Engine",
        "http://github.com/ADA/engine/",
    ] {
        assert_eq!(name(link).await, one);
    }
    // Other hosts may tell capitals apart.
    let other = "https://git.example.org/Ada/Engine";
    assert_eq!(name(&format!("{other}.git")).await, other);
}
