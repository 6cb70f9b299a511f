//! Authors through the program: stored once, renamed without any embedding, deleted with what is theirs.

use std::path::Path;

use lockstep::author::{Deleted, List, Renamed};
use lockstep::command::{Request, Response};
use lockstep::search::{Answer, Query};

use crate::support::app::{App, pages};
use crate::support::binary::{Ended, assert_clean, run};

const ENGINE: (&str, &str) = (
    "Engine",
    "The analytical engine weaves algebraic patterns just as the loom weaves flowers and leaves.",
);
const CAVE: (&str, &str) = (
    "Cave",
    "Prisoners in a cave take the shadows on the wall for all that there is in the world.",
);

fn ok<T: serde::de::DeserializeOwned>(ended: &Ended) -> T {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.out).unwrap()
}

fn crawl(data: &Path, page: (&str, &str), author: &str) -> tempfile::TempDir {
    let folder = pages(&[page]);
    let target = folder.path().to_str().unwrap();
    let ended = run(data, &["crawl", target, "--author", author]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    folder
}

fn authors(data: &Path) -> Vec<(String, Vec<String>, u64)> {
    let list: List = ok(&run(data, &["author", "list", "--json"]));
    let authors = list.authors.into_iter();
    let of = |author: lockstep::author::Author| {
        (author.full_name, author.former_names, author.documents)
    };
    authors.map(of).collect()
}

/// The titles that an author's documents answer with, and by whom they are said to be.
fn found(data: &Path, author: &str) -> Vec<(String, String)> {
    let ended = run(
        data,
        &[
            "search",
            "shadows and patterns",
            "--author",
            author,
            "--json",
        ],
    );
    let answer: Answer = serde_json::from_str(&ended.out).unwrap();
    let hits = answer.hits.into_iter();
    hits.map(|hit| (hit.title.unwrap(), hit.author.unwrap()))
        .collect()
}

fn owned(found: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = found.iter();
    owned
        .map(|(title, author)| ((*title).to_owned(), (*author).to_owned()))
        .collect()
}

#[test]
fn names_of_one_three_or_more_words_are_stored_once_and_found() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let cave = crawl(data, CAVE, "Plato");
    let _engine = crawl(data, ENGINE, "Ada King  Countess of Lovelace");
    let target = cave.path().to_str().unwrap();
    let again = run(data, &["crawl", target, "--author", "plato"]);
    assert!(again.out.contains("0 saved, 1 unchanged"), "{again:?}");
    let expected = [("Ada King Countess of Lovelace", 1), ("Plato", 1)];
    let expected = expected.map(|(name, count)| (name.to_owned(), Vec::new(), count));
    assert_eq!(authors(data), expected);
    assert_eq!(found(data, "PLATO"), owned(&[("Cave", "Plato")]));
    let long = "Ada King Countess of Lovelace";
    assert_eq!(found(data, long), owned(&[("Engine", long)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_author_is_found_under_the_new_name_without_any_embedding() {
    let data = tempfile::tempdir().unwrap();
    let folder = pages(&[ENGINE, CAVE]);
    let app = App::start(data.path()).await;
    app.crawl(folder.path()).await;
    let before = app.status().await.counted.texts_embedded;
    let rename = Request::AuthorRename {
        author: "ada lovelace".into(),
        name: "Augusta King".into(),
        wait: true,
    };
    match app.ask(rename).await.unwrap() {
        Response::AuthorRename(renamed) => {
            assert_eq!(
                (renamed.from.as_str(), renamed.documents),
                ("Ada Lovelace", 2)
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(app.status().await.counted.texts_embedded, before);
    // The former name crawls for the same person, and changes nothing back.
    let report = app.crawl(folder.path()).await;
    assert_eq!((report.saved, report.unchanged), (0, 2));
    for name in ["Augusta King", "Ada Lovelace"] {
        let query = Query {
            text: "shadows".into(),
            author: Some(name.into()),
            limit: 10,
            ..Query::default()
        };
        match app.ask(Request::Search(query)).await.unwrap() {
            Response::Search(answer) => {
                let authors: Vec<_> = answer
                    .hits
                    .iter()
                    .map(|hit| hit.author.as_deref())
                    .collect();
                assert_eq!(authors, [Some("Augusta King"); 2], "asked for {name}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(app.verify().await.clean);
    app.stop().await;
}

#[test]
fn a_name_that_somebody_else_has_or_nobody_has_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let _folders = [crawl(data, CAVE, "Plato"), crawl(data, ENGINE, "Ada")];
    let taken = run(data, &["author", "rename", "Ada", "plato"]);
    assert_eq!(taken.code, Some(2), "{taken:?}");
    assert!(
        taken.error.contains("somebody else has this name"),
        "{taken:?}"
    );
    let nobody = run(data, &["author", "rename", "Socrates", "Plato"]);
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
    assert!(nobody.error.contains("lockstep author list"), "{nobody:?}");
    let same: Renamed = ok(&run(data, &["author", "rename", "ada", "ADA", "--json"]));
    assert_eq!((same.to.as_str(), same.documents), ("ADA", 1));
}

#[test]
fn an_author_with_documents_is_deleted_only_together_with_them() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let _folders = [crawl(data, CAVE, "Plato"), crawl(data, ENGINE, "Ada")];
    let kept = run(data, &["author", "delete", "Plato"]);
    assert_eq!(kept.code, Some(2), "{kept:?}");
    assert!(kept.error.contains("1 documents are theirs"), "{kept:?}");
    assert_eq!(found(data, "Plato"), owned(&[("Cave", "Plato")]));
    let gone: Deleted = ok(&run(
        data,
        &["author", "delete", "Plato", "--documents", "--json"],
    ));
    assert_eq!((gone.full_name.as_str(), gone.documents), ("Plato", 1));
    assert!(found(data, "Plato").is_empty());
    assert_eq!(found(data, "Ada"), owned(&[("Engine", "Ada")]));
    assert_eq!(authors(data), [("Ada".to_owned(), Vec::new(), 1)]);
    assert_clean(data);
}
