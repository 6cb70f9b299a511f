//! Real pages and real code with the real model: what is asked is found, an edit costs what it
//! changed, and what was deleted is gone.
//!
//! Pages are those of the Rust Book that comes with the toolchain, code is that of a crate which
//! this package is built from. Where the files are missing, the test says so and does nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use lockstep::command::{Request, Response};
use lockstep::config::{Backend, Config};
use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::local::{LocalEmbedder, LocalOptions};
use lockstep::search::{Hit, Query};
use lockstep::vector::{Select, VectorStore as _};

use crate::support::app::{App, config};
use crate::support::export::{Rooms, points};
use crate::support::model::model_folder;

const SHARED_STATE: &str = "ch16-03-shared-state.html";
const PAGES: [&str; 12] = [
    SHARED_STATE,
    "ch04-01-what-is-ownership.html",
    "ch08-03-hash-maps.html",
    "ch09-02-recoverable-errors-with-result.html",
    "ch13-01-closures.html",
    "ch15-05-interior-mutability.html",
    "ch16-00-concurrency.html",
    "ch16-01-threads.html",
    "ch16-02-message-passing.html",
    "ch16-04-extensible-concurrency-sync-and-send.html",
    "ch17-02-concurrency-with-async.html",
    "ch21-02-multithreaded.html",
];
const QUESTION: &str = "how do I share state between threads";
/// A sentence of the shared-state chapter, as it is once it was edited.
const SENTENCE: &str = "as a talking stick lets only one member of a council speak";

/// The crate, and for each question the file that answers it.
const CRATE: &str = "robotxt-0.7";
const ANSWERS: [(&str, &str); 3] = [
    (
        "where are the lines of a robots.txt split into directives",
        "src/parse/lexer.rs",
    ),
    (
        "where is the path of a URL compared with the pattern of a rule",
        "src/parse/rule.rs",
    ),
    ("where is the crawl delay parsed", "src/parse/parser.rs"),
];

fn with_model(data: &Path) -> Config {
    let mut config = config(data);
    config.model.backend = Backend::Local;
    config.model.folder = model_folder();
    config
}

async fn search(app: &App, text: &str, kind: &str) -> Vec<Hit> {
    let query = Query {
        text: text.to_owned(),
        kinds: vec![kind.to_owned()],
        limit: 10,
        ..Query::default()
    };
    match app.ask(Request::Search(query)).await.unwrap() {
        Response::Search(answer) => answer.hits,
        other => panic!("{other:?}"),
    }
}

async fn embedded(app: &App) -> u64 {
    app.status().await.counted.texts_embedded
}

/// Texts and metadata only: embedding everything again is kept for the end.
async fn is_clean(app: &App) -> bool {
    let request = Request::Verify {
        vectors: false,
        repair: false,
    };
    match app.ask(request).await.unwrap() {
        Response::Verify(report) => report.clean,
        other => panic!("{other:?}"),
    }
}

fn is_of(hit: &Hit, page: &str) -> bool {
    hit.link.as_ref().is_some_and(|link| link.ends_with(page))
}

/// Replaces what is on the page exactly once or more.
fn edit(page: &Path, from: &str, to: &str) {
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains(from), "{} has no {from:?}", page.display());
    std::fs::write(page, html.replace(from, to)).unwrap();
}

fn book() -> Option<PathBuf> {
    let asked = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(asked.ok()?.stdout).unwrap();
    let book = Path::new(sysroot.trim()).join("share/doc/rust/html/book");
    let all = PAGES.iter().all(|page| book.join(page).is_file());
    all.then_some(book)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment where sources are"
)]
fn registry_crate(name: &str) -> Option<PathBuf> {
    let home = std::env::var("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|_| std::env::var("HOME").map(|home| Path::new(&home).join(".cargo")));
    let registries = std::fs::read_dir(home.ok()?.join("registry/src")).ok()?;
    let folders = registries.filter_map(|registry| std::fs::read_dir(registry.ok()?.path()).ok());
    let mut crates = folders
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    crates.find(|path| {
        let file = path.file_name().and_then(|file| file.to_str());
        file.is_some_and(|file| file.starts_with(name))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_book_answers_and_an_edit_costs_what_it_changed() {
    let Some(book) = book() else {
        println!("skipped: no Rust Book; `rustup component add rust-docs` brings it");
        return;
    };
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for page in PAGES {
        std::fs::copy(book.join(page), folder.path().join(page)).unwrap();
    }
    let chapter = folder.path().join(SHARED_STATE);
    let app = App::start_with(with_model(data.path())).await;
    assert_eq!(app.crawl(folder.path()).await.saved, PAGES.len());
    let hits = search(&app, QUESTION, "articles").await;
    assert!(is_of(&hits[0], SHARED_STATE), "{:?}", hits[0]);
    assert!(is_clean(&app).await);

    let before = embedded(&app).await;
    edit(
        &chapter,
        "at any given time.",
        &format!("at any given time, {SENTENCE}."),
    );
    assert_eq!(app.crawl(folder.path()).await.saved, 1);
    let cost = embedded(&app).await - before;
    assert!((1..=3).contains(&cost), "{cost} texts embedded");
    let hits = search(&app, SENTENCE, "articles").await;
    assert!(hits[0].passages[0].content.contains(SENTENCE), "{hits:?}");
    assert!(is_clean(&app).await);

    let before = embedded(&app).await;
    edit(
        &chapter,
        "<title>Shared-State Concurrency",
        "<title>Sharing State Safely",
    );
    assert_eq!(app.crawl(folder.path()).await.saved, 1);
    assert_eq!(embedded(&app).await, before);
    let hits = search(&app, SENTENCE, "articles").await;
    assert!(is_of(&hits[0], SHARED_STATE), "{:?}", hits[0]);
    let title = hits[0].title.as_deref();
    assert!(
        title.is_some_and(|title| title.contains("Sharing State Safely")),
        "{title:?}"
    );
    assert!(is_clean(&app).await);

    let key = hits[0].key.clone();
    std::fs::remove_file(&chapter).unwrap();
    assert_eq!(app.crawl(folder.path()).await.deleted, 1);
    for hit in search(&app, SENTENCE, "articles").await {
        assert!(!is_of(&hit, SHARED_STATE), "{hit:?}");
        let told = |passage: &str| passage.contains(SENTENCE);
        assert!(!hit.passages.iter().any(|passage| told(&passage.content)));
    }
    assert!(app.verify().await.clean);
    app.stop().await;

    let embedder = LocalEmbedder::open(&model_folder(), LocalOptions::default()).unwrap();
    let rooms = Rooms::open(data.path(), embedder.model()).await.unwrap();
    let left = points(&rooms.store).await;
    assert!(left.values().all(|point| point.key != key));
    let manifest = rooms.store.manifests(Select::Of(vec![key])).await.unwrap();
    assert!(manifest[0].deleted && manifest[0].points.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_code_finds_the_file_where_it_is_done() {
    let Some(source) = registry_crate(CRATE) else {
        println!("skipped: no source of {CRATE} in the registry; `cargo fetch` brings it");
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(with_model(data.path())).await;
    let report = app.crawl_repository(&source).await;
    assert_eq!(report.saved, 1);
    for (question, file) in ANSWERS {
        let hits = search(&app, question, "repositories").await;
        let mut passages = hits[0].passages.iter();
        let found = passages.any(|passage| passage.content.starts_with(file));
        assert!(found, "{question}: {:?}", hits[0].passages);
    }
    assert!(app.verify().await.clean);
    app.stop().await;
}
