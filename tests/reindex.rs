//! A new edition of the index beside the old one: the whole program, while it is edited, asked and
//! killed.

use std::path::Path;
use std::pin::pin;

use fastrand::Rng;
use lockstep::command::{Handler as _, Reindex, Reindexed, Reporter, Request, Response, Status};
use lockstep::config::Config;
use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::Model;
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::serve::Client;
use lockstep::{Result, crawl, search};

use crate::support::app::{App, config, page, pages};
use crate::support::binary::{self, Up, run_with};
use crate::support::edited::Edited;
use crate::support::export::Export;

const ENGINE: (&str, &str) = (
    "Engine",
    "The analytical engine weaves algebraic patterns just as the loom weaves flowers and leaves.",
);
const GARDEN: (&str, &str) = (
    "Garden",
    "Tomatoes want sun, water in the morning, and a trellis before they grow too tall to tie.",
);
/// Another model than the settings' own.
const DIMENSION: usize = 128;
const OTHER: (&str, &str) = ("LOCKSTEP_MODEL_DIMENSION", "128");
const RUN: Request = Request::Reindex(Reindex::Run {
    anyway: false,
    wait: true,
});

fn other(data: &Path) -> Config {
    let mut config = config(data);
    config.model.dimension = DIMENSION;
    config
}

fn other_setting() -> [(&'static str, String); 1] {
    [(OTHER.0, OTHER.1.to_owned())]
}

fn other_model() -> Model {
    HashEmbedder::new(DIMENSION).model().clone()
}

fn reindexed(response: Result<Response>) -> Reindexed {
    match response.unwrap() {
        Response::Reindex(reindexed) => *reindexed,
        other => panic!("{other:?}"),
    }
}

async fn asked(client: &Client, text: &str) -> search::Answer {
    let query = search::Query {
        text: text.to_owned(),
        limit: search::LIMIT_MAX,
        ..search::Query::default()
    };
    let answer = client.handle(Request::Search(query), Reporter::new().0);
    match answer.await.unwrap() {
        Response::Search(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// Folders of vectors, of which one is made at every start whether it is needed or not.
fn editions_on_disk(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data).unwrap().map(Result::unwrap);
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let is_used = |name: &String| data.join(name).join("segments").exists();
    let mut names: Vec<_> = names.filter(is_used).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_model_is_used_and_said_to_be_so_until_it_is_made_anew() {
    let data = tempfile::tempdir().unwrap();
    let folder = pages(&[ENGINE, GARDEN]);
    let app = App::start(data.path()).await;
    app.crawl(folder.path()).await;
    assert_eq!(app.status().await.index.note, None);
    app.stop().await;

    let app = App::start_with(other(data.path())).await;
    let note = app.status().await.index.note.unwrap();
    assert!(note.contains("hash-384 and is asked with it"), "{note}");
    page(
        folder.path(),
        "Harbour",
        "Ships wait outside until the tide carries them over the bar.",
    );
    app.crawl(folder.path()).await;
    assert_eq!(app.titles("ships wait for the tide").await[0], "Harbour");
    assert!(app.verify().await.clean);

    let done = reindexed(app.ask(RUN).await);
    let Reindexed::Done(edition) = done else {
        panic!("{done:?}")
    };
    assert_eq!((edition.edition, edition.dimension), (2, DIMENSION));
    let Status {
        index,
        reindex,
        indexed,
        ..
    } = app.status().await;
    // Three pages and their author.
    assert_eq!((index.note, reindex, indexed), (None, None, 4));
    assert_eq!(app.titles("ships wait for the tide").await[0], "Harbour");
    assert!(app.verify().await.clean);
    let again = reindexed(app.ask(RUN).await);
    assert!(matches!(again, Reindexed::NothingToDo(_)), "{again:?}");
    app.stop().await;
    assert_eq!(editions_on_disk(data.path()), ["vectors-2"]);

    let app = App::start_with(other(data.path())).await;
    assert_eq!(app.titles("a trellis for tomatoes").await[0], "Garden");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_it_would_take_and_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let folder = pages(&[ENGINE, GARDEN]);
    let app = App::start(data.path()).await;
    app.crawl(folder.path()).await;
    let found = reindexed(app.ask(Request::Reindex(Reindex::DryRun)).await);
    let Reindexed::DryRun(found) = found else {
        panic!("{found:?}")
    };
    let Status {
        points, reindex, ..
    } = app.status().await;
    assert_eq!(
        (found.documents, found.chunks, found.sampled),
        (3, points, points)
    );
    assert!(found.bytes > points * 384 * 4 && found.seconds > 0.0);
    assert_eq!(reindex, None);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_leaves_no_file_and_the_old_index_is_as_it_was() {
    let data = tempfile::tempdir().unwrap();
    let folder = pages(&[ENGINE, GARDEN]);
    let app = App::start(data.path()).await;
    app.crawl(folder.path()).await;
    app.stop().await;

    // One document a minute: it does not come to its end by itself.
    let mut slow = other(data.path());
    slow.capture.page_size = 1;
    slow.capture.snapshot_rate = 1;
    let app = App::start_with(slow.clone()).await;
    let no_wait = Request::Reindex(Reindex::Run {
        anyway: false,
        wait: false,
    });
    let begun = reindexed(app.ask(no_wait).await);
    assert!(matches!(begun, Reindexed::UnderWay(_)), "{begun:?}");
    assert!(app.status().await.reindex.is_some());
    app.stop().await;

    // A restart goes on with it, and searches are answered meanwhile.
    let app = App::start_with(slow).await;
    assert!(app.status().await.reindex.is_some());
    assert_eq!(app.titles("a trellis for tomatoes").await[0], "Garden");
    let dropped = reindexed(app.ask(Request::Reindex(Reindex::Drop)).await);
    assert_eq!(dropped, Reindexed::Dropped { edition: Some(2) });
    let none = reindexed(app.ask(Request::Reindex(Reindex::Drop)).await);
    assert_eq!(none, Reindexed::Dropped { edition: None });
    assert_eq!(editions_on_disk(data.path()), ["vectors"]);
    assert!(!data.path().join("vectors-2").exists());
    assert!(app.verify().await.clean);
    app.stop().await;
    assert_eq!(tables(data.path(), "vector_2_%"), 0);
}

fn tables(data: &Path, like: &str) -> i64 {
    let database = rusqlite::Connection::open(data.join("lockstep.db")).unwrap();
    let count = "SELECT count(*) FROM sqlite_schema WHERE name LIKE ?1";
    database.query_row(count, [like], |row| row.get(0)).unwrap()
}

/// Pages are edited and deleted, searches run, and the process is killed, while a new edition is
/// made. At the end the index equals one that was made at once.
#[tokio::test(flavor = "multi_thread")]
async fn edits_searches_and_kills_under_a_reindex_lose_nothing() {
    let seed = crate::crash::number("LOCKSTEP_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("LOCKSTEP_TEST_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let data = tempfile::tempdir().unwrap();
    let mut pages = Edited::new(&mut random);
    let ended = binary::crawl(data.path(), pages.folder());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    pages.settled();

    let settings = [OTHER, ("LOCKSTEP_CAPTURE_SNAPSHOT_RATE", "250")];
    for kill in 0..4 {
        let mut up = Up::start_with(data.path(), &settings);
        let client = up.client(data.path()).await;
        begin(&client).await;
        pages.edit(&mut random);
        let words = random.usize(1..20);
        println!("kill {kill} after {words} words");
        if crawled(&client, &pages, words).await {
            pages.settled();
        }
        up.kill();
    }

    let mut up = Up::start_with(data.path(), &settings);
    let client = up.client(data.path()).await;
    pages.edit(&mut random);
    assert!(crawled(&client, &pages, usize::MAX).await);
    pages.settled();
    let mut run = pin!(client.handle(RUN, Reporter::new().0));
    let done = loop {
        tokio::select! {
            biased;
            done = &mut run => break reindexed(done),
            () = found_or_gone(&client, &pages) => {}
        }
    };
    assert!(
        matches!(done, Reindexed::Done(_) | Reindexed::NothingToDo(_)),
        "{done:?}"
    );
    found_or_gone(&client, &pages).await;
    // The old one is removed when nobody asks it any more, which is after the answer.
    while editions_on_disk(data.path()).len() > 1 {
        found_or_gone(&client, &pages).await;
    }
    up.kill();

    let verified = run_with(data.path(), &["verify", "--vectors"], &other_setting());
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert_eq!(editions_on_disk(data.path()).len(), 1);
    let fresh = tempfile::tempdir().unwrap();
    let target = pages.folder().to_str().unwrap();
    let crawl = ["crawl", target, "--author", "Ada Lovelace"];
    let ended = run_with(fresh.path(), &crawl, &other_setting());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let model = other_model();
    let (new, fresh) = (
        Export::of_model(data.path(), &model).await,
        Export::of_model(fresh.path(), &model).await,
    );
    new.assert_equal(&fresh);
    pages.assert_all_in(new.texts());
}

async fn begin(client: &Client) {
    let begin = Request::Reindex(Reindex::Run {
        anyway: false,
        wait: false,
    });
    reindexed(client.handle(begin, Reporter::new().0).await);
}

/// Crawls until so many words of progress; searches are right at each of them. Whether it was done.
async fn crawled(client: &Client, pages: &Edited, words: usize) -> bool {
    let what = crawl::Request {
        target: pages.folder().to_str().unwrap().to_owned(),
        author: "Ada Lovelace".to_owned(),
        as_kind: None,
        reference: None,
        browser: false,
    };
    let (report, mut progress) = Reporter::new();
    let mut crawl = pin!(client.handle(Request::Crawl { what, wait: true }, report));
    for _ in 0..words {
        tokio::select! {
            biased;
            done = &mut crawl => {
                done.unwrap();
                return true;
            }
            _ = progress.changed() => found_or_gone(client, pages).await,
        }
    }
    false
}

/// A search finds something, and nothing that is gone.
async fn found_or_gone(client: &Client, pages: &Edited) {
    let answer = asked(client, "loom engine harbour pattern garden").await;
    assert!(answer.hits.len() > 100, "{} documents", answer.hits.len());
    for text in pages.gone(1) {
        for hit in asked(client, &text).await.hits {
            for passage in hit.passages {
                pages.assert_not_gone(&passage.content);
            }
        }
    }
}
