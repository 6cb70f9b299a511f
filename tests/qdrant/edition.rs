//! Editions: built beside the current one, made current at once, removed.

use lockstep::vector::qdrant::Edition;
use lockstep::vector::{Select, VectorStore};

use super::{assert_says, assert_stops, client, contents, document, open};
use crate::support::qdrant::Server;

#[tokio::test]
async fn an_edition_is_built_unseen_and_becomes_current_in_one_request() {
    let server = Server::start().await;
    let current = open(&server, Edition::Current).await.unwrap();
    for kind in ["posts", "articles"] {
        current.write(document(kind, "old")).await.unwrap();
    }
    assert_eq!(current.current_edition().await.unwrap(), 1);
    let next = open(&server, Edition::Number(2)).await.unwrap();
    assert!(contents(&next).await.is_empty());
    for kind in ["posts", "notes"] {
        next.write(document(kind, "new")).await.unwrap();
    }
    assert_eq!(contents(&current).await, ["old", "old"]);
    assert_eq!(current.current_edition().await.unwrap(), 1);
    server.script(|script| script.answered.clear());
    next.switch(2).await.unwrap();
    let changes = server.script(|script| {
        let change = |name: &&&str| **name == "collections.update_aliases";
        script.answered.iter().filter(change).count()
    });
    assert_eq!(changes, 1);
    assert_eq!(current.current_edition().await.unwrap(), 2);
    // A store that was open before reads the new edition, and nothing of the old one.
    let after = open(&server, Edition::Current).await.unwrap();
    for store in [&current, &after] {
        assert_eq!(contents(store).await, ["new", "new"]);
        assert_eq!(store.counts().await.unwrap().documents, 2);
    }
    // Again, as after a lost answer.
    next.switch(2).await.unwrap();
    assert_eq!(contents(&after).await, ["new", "new"]);
}

#[tokio::test]
async fn a_type_that_is_new_after_a_switch_is_made_in_the_current_edition() {
    let server = Server::start().await;
    let current = open(&server, Edition::Current).await.unwrap();
    current.write(document("posts", "old")).await.unwrap();
    let next = open(&server, Edition::Number(2)).await.unwrap();
    next.write(document("posts", "new")).await.unwrap();
    next.switch(2).await.unwrap();
    current.write(document("notes", "note")).await.unwrap();
    let mut found = contents(&next).await;
    found.sort();
    assert_eq!(found, ["new", "note"]);
}

#[tokio::test]
async fn only_an_edition_that_is_not_current_is_removed() {
    let server = Server::start().await;
    let current = open(&server, Edition::Current).await.unwrap();
    current.write(document("posts", "old")).await.unwrap();
    let error = current.switch(2).await.unwrap_err();
    assert_says(&error, &["edition 2 of the index is not known"]);
    assert_stops(current.remove(1).await, &["edition 1", "current"]);
    let next = open(&server, Edition::Number(2)).await.unwrap();
    next.write(document("posts", "new")).await.unwrap();
    next.switch(2).await.unwrap();
    current.remove(1).await.unwrap();
    let names = client(&server)
        .list_collections()
        .await
        .unwrap()
        .collections;
    let mut names: Vec<_> = names.into_iter().map(|one| one.name).collect();
    names.sort();
    let expected = ["cleaned_posts@2", "lockstep_control", "vector_posts@2"];
    assert_eq!(names, expected);
    assert_eq!(contents(&current).await, ["new"]);
    open(&server, Edition::Current).await.unwrap();
}

/// An export that reads it page by page would otherwise end as if that were all.
#[tokio::test]
async fn who_reads_an_edition_while_it_is_removed_is_told() {
    let server = Server::start().await;
    let reader = open(&server, Edition::Number(1)).await.unwrap();
    for text in ["one", "two"] {
        reader.write(document("posts", text)).await.unwrap();
    }
    let page = |after| Select::After { after, limit: 1 };
    let first = reader.manifests(page(None)).await.unwrap();
    let next = open(&server, Edition::Number(2)).await.unwrap();
    next.write(document("posts", "new")).await.unwrap();
    next.switch(2).await.unwrap();
    next.remove(1).await.unwrap();
    let rest = reader.manifests(page(Some(first[0].key.clone()))).await;
    assert_stops(rest, &["edition 1 of the index was removed"]);
}
