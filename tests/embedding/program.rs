//! The whole program with a service that embeds.

use std::path::Path;

use lockstep::config::{Backend, Config};

use crate::support::app::{App, config, page, pages};
use crate::support::embedding::EmbeddingServer;

const ENGINE: (&str, &str) = (
    "Engine",
    "The engine weaves algebraic patterns as a loom does.",
);
const POISON: (&str, &str) = (
    "Poison",
    "This page has a word that is forbidden over there.",
);
const GARDEN: (&str, &str) = ("Garden", "Tomatoes want sun and a trellis to grow along.");

fn with(server: &EmbeddingServer, backend: Backend, data: &Path) -> Config {
    let mut config = config(data);
    config.model.backend = backend;
    config.model.url.clone_from(&server.url);
    config.model.name = "all-minilm".into();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_the_service_does_not_take_is_parked_and_the_others_are_found() {
    let server = EmbeddingServer::start().await;
    server.known(|known| {
        known.refused.insert("forbidden");
    });
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(with(&server, Backend::OpenAi, data.path())).await;
    app.crawl(pages(&[ENGINE, POISON, GARDEN]).path()).await;
    let titles = app.titles("a trellis for tomatoes to grow along").await;
    assert_eq!(titles[0], "Garden");
    assert_eq!(titles.len(), 2, "{titles:?}");
    // Two pages and their author.
    let status = app.status().await;
    assert_eq!(
        (status.parked, status.indexed, status.model.as_str()),
        (1, 3, "all-minilm")
    );
    assert!(status.counted.model_requests > 3, "{:?}", status.counted);
    assert!(status.counted.model_tokens > 20, "{:?}", status.counted);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_service_is_asked_with_its_own_until_it_is_built_anew() {
    let server = EmbeddingServer::start().await;
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(with(&server, Backend::OpenAi, data.path())).await;
    app.crawl(pages(&[ENGINE]).path()).await;
    app.stop().await;
    let app = App::start_with(with(&server, Backend::Ollama, data.path())).await;
    assert_eq!(app.titles("patterns of a loom").await, ["Engine"]);
    let note = app.status().await.index.note.unwrap();
    assert!(note.contains("`lockstep reindex`"), "{note}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_page_embeds_nothing_and_one_that_comes_back_neither() {
    let server = EmbeddingServer::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut config = with(&server, Backend::Tei, data.path());
    config.model.name = String::new();
    let app = App::start_with(config.clone()).await;
    let folder = pages(&[ENGINE, GARDEN]);
    app.crawl(folder.path()).await;
    let first = app.status().await.counted;
    assert_eq!((first.texts_embedded, first.texts_cached), (2, 0));

    // The same text under another link, and the first one gone.
    let (from, to) = (
        folder.path().join("Engine.html"),
        folder.path().join("Copy.html"),
    );
    std::fs::copy(&from, &to).unwrap();
    std::fs::remove_file(&from).unwrap();
    app.crawl(folder.path()).await;
    let copied = app.status().await.counted;
    assert_eq!((copied.texts_embedded, copied.texts_cached), (2, 1));
    assert_eq!(copied.model_requests, first.model_requests);
    std::fs::remove_file(&to).unwrap();
    app.crawl(folder.path()).await;
    app.stop().await;

    // It comes back after a delete and a restart.
    let app = App::start_with(config).await;
    let before = app.status().await.counted.model_requests;
    page(folder.path(), ENGINE.0, ENGINE.1);
    app.crawl(folder.path()).await;
    let back = app.status().await.counted;
    assert_eq!((back.texts_embedded, back.texts_cached), (0, 1));
    assert_eq!(back.model_requests, before);
    assert!(app.verify().await.clean);
    assert!(
        app.status().await.counted.model_requests > before,
        "verify should ask the model"
    );
    app.stop().await;
}
