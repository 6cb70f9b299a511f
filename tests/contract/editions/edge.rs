//! The embedded editions over the suite, which reopens them as after the end of their process.

use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use lockstep::database::Database;
use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::reindex::{Configured, Edition, Editions as _, Opening};
use lockstep::vector::edge::{EdgeEditions, SCHEMA, Unreadable};
use lockstep::{Error, Recovery, Result};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Subject;
use crate::support::copy;

const DIMENSION: usize = 4;

pub(crate) struct Edge {
    editions: EdgeEditions<HashEmbedder>,
    folder: TempDir,
}

async fn try_open(
    folder: &Path,
    dimension: usize,
    unreadable: Unreadable,
) -> Result<EdgeEditions<HashEmbedder>> {
    let database = Database::open(&folder.join("lockstep.db"), &[SCHEMA])?;
    let embedder = HashEmbedder::new(dimension);
    let configured = Configured {
        edition: Edition {
            number: 0,
            model: embedder.model().clone(),
            pipeline: "p".to_owned(),
            recipe: json!(dimension),
        },
        embedder: Arc::new(embedder),
    };
    // What is recorded as 0 stands for a model that is gone.
    let opener = |recipe: Value| -> Opening<'_, HashEmbedder> {
        Box::pin(ready(match recipe.as_u64() {
            Some(dimension) if dimension > 0 => {
                Ok(HashEmbedder::new(usize::try_from(dimension).unwrap()))
            }
            Some(_) => Err(Error::Stopped { part: "the model" }),
            // What is recorded as a text is the name of a service, which is away.
            None => Err(Error::unavailable("the model", "answer")("away")),
        }))
    };
    let vectors = folder.join("vectors");
    EdgeEditions::open(database, &vectors, configured, &opener, unreadable).await
}

async fn open(folder: &Path, dimension: usize) -> EdgeEditions<HashEmbedder> {
    let refuse = Unreadable::Refuse;
    try_open(folder, dimension, refuse).await.unwrap()
}

fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("lockstep.db")).unwrap()
}

impl Subject for Edge {
    type Editions = EdgeEditions<HashEmbedder>;

    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let editions = open(folder.path(), DIMENSION).await;
        Self { editions, folder }
    }

    fn editions(&self) -> &Self::Editions {
        &self.editions
    }

    async fn reopen(self) -> Self {
        let copied = TempDir::new().unwrap();
        copy::folder(self.folder.path(), copied.path());
        let editions = open(copied.path(), DIMENSION).await;
        Self {
            editions,
            folder: copied,
        }
    }

    async fn has_files(&self, number: u32) -> bool {
        let (name, table) = match number {
            1 => ("vectors".to_owned(), "vector_model".to_owned()),
            _ => (
                format!("vectors-{number}"),
                format!("vector_{number}_model"),
            ),
        };
        let rows = format!("SELECT count(*) FROM {table}");
        let rows = database(self.folder.path()).query_row(&rows, [], |row| row.get::<_, i64>(0));
        let has_folder = self.folder.path().join(name).exists();
        assert_eq!(has_folder, rows.unwrap_or(0) > 0, "edition {number}");
        has_folder
    }
}

super::suite!(Edge);

#[tokio::test]
async fn what_a_crash_left_of_an_edition_that_was_never_registered_is_removed() {
    let subject = Edge::open().await;
    subject.editions.begin().await.unwrap();
    let folder = subject.folder;
    drop(subject.editions);
    // As it was before the register took it.
    let forget = "DELETE FROM index_register";
    database(folder.path()).execute(forget, []).unwrap();
    let editions = open(folder.path(), DIMENSION).await;
    let left = Edge { editions, folder };
    assert!(!left.has_files(2).await && left.has_files(1).await);
    let open = left.editions.open().await.unwrap();
    assert_eq!(
        (open.register.current.number, open.next.is_none()),
        (1, true)
    );
}

#[tokio::test]
async fn an_index_is_asked_with_the_model_that_it_was_made_with() {
    let subject = Edge::open().await;
    let folder = subject.folder;
    drop(subject.editions);
    let editions = open(folder.path(), DIMENSION + 1).await;
    let open = editions.searched().await.unwrap();
    assert_eq!(open.current.embedder.model().dimension, DIMENSION);
    let note = open.note(&editions.configured()).unwrap();
    assert!(note.contains("hash-4 and is asked with it"), "{note}");
    editions.begin().await.unwrap();
    let open = editions.open().await.unwrap();
    let next = open.next.as_ref().unwrap();
    assert_eq!(next.embedder.model().dimension, DIMENSION + 1);
    let note = open.searched().note(&editions.configured()).unwrap();
    assert!(note.contains("under way"), "{note}");
}

#[tokio::test]
async fn an_edition_is_given_up_rather_than_filled_by_another_model() {
    let subject = Edge::open().await;
    let folder = subject.folder;
    drop(subject.editions);
    let editions = open(folder.path(), DIMENSION + 1).await;
    editions.begin().await.unwrap();
    drop(editions);
    // Its model is one of the same dimension, and is gone.
    let digest = HashEmbedder::new(DIMENSION + 1).model().digest.clone();
    let other = format!(
        "UPDATE index_register SET register = replace(replace(register, '{digest}', 'other'), \
         '\"recipe\":5', '\"recipe\":0')"
    );
    assert_eq!(database(folder.path()).execute(&other, []).unwrap(), 1);
    let editions = open(folder.path(), DIMENSION + 1).await;
    let open = editions.open().await.unwrap();
    assert!(open.next.is_none() && open.register.next.is_none());
    assert_eq!(open.current.embedder.model().dimension, DIMENSION);
}

#[tokio::test]
async fn an_index_whose_model_is_gone_is_refused_or_replaced() {
    let subject = Edge::open().await;
    let folder = subject.folder;
    drop(subject.editions);
    let gone =
        r#"UPDATE index_register SET register = replace(register, '"recipe":4', '"recipe":0')"#;
    assert_eq!(database(folder.path()).execute(gone, []).unwrap(), 1);

    let refused = try_open(folder.path(), DIMENSION + 1, Unreadable::Refuse).await;
    let said = refused.unwrap_err().chain();
    assert!(
        said.contains("`lockstep reindex`") && said.contains("hash-4"),
        "{said}"
    );

    let replaced = try_open(folder.path(), DIMENSION + 1, Unreadable::Replace).await;
    let replaced = replaced.unwrap();
    let open = replaced.open().await.unwrap();
    assert_eq!(open.register.current.number, 2);
    assert_eq!(open.current.embedder.model().dimension, DIMENSION + 1);
    assert!(open.register.removing.contains(&1));
}

#[tokio::test]
async fn an_index_whose_model_does_not_answer_just_now_stays_as_it_is() {
    let subject = Edge::open().await;
    let folder = subject.folder;
    drop(subject.editions);
    let editions = open(folder.path(), DIMENSION + 1).await;
    editions.begin().await.unwrap();
    drop(editions);
    let register = || {
        let register = "SELECT register FROM index_register";
        let read = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        database(folder.path())
            .query_row(register, [], read)
            .unwrap()
    };
    let away = |from: &str| {
        let away = format!(
            "UPDATE index_register SET register = replace(register, {from}, '\"recipe\":\"away\"')"
        );
        database(folder.path()).execute(&away, []).unwrap();
        register()
    };
    // The one that is filled: the other one is searched, and nothing is written.
    let before = away("'\"recipe\":5'");
    let editions = open(folder.path(), DIMENSION).await;
    let standing = editions.open().await.unwrap();
    assert_eq!(standing.current.embedder.model().dimension, DIMENSION);
    let error = standing.writable().unwrap_err();
    assert!(matches!(error.recovery(), Recovery::Retry(_)), "{error:?}");
    assert!(error.to_string().contains("edition 2"), "{error}");
    assert_eq!(register(), before);
    drop(editions);
    // The one that is searched.
    let before = away("'\"recipe\":4'");
    let refused = try_open(folder.path(), DIMENSION + 1, Unreadable::Refuse).await;
    let error = refused.unwrap_err();
    assert!(matches!(error.recovery(), Recovery::Retry(_)), "{error:?}");
    assert!(error.to_string().contains("`lockstep reindex`"), "{error}");
    assert_eq!(register(), before);
}
