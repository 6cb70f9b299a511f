//! The whole flow in one process: what is crawled is found, what vanished is not.

use lockstep::command::{Reporter, Request, Response};
use lockstep::{Error, run};

use crate::support::app::{App, config, page, pages};

const LOVELACE: (&str, &str) = (
    "Engine",
    "The analytical engine weaves algebraic patterns just as the loom weaves flowers and leaves.",
);
const GARDEN: (&str, &str) = (
    "Garden",
    "Tomatoes want sun, water in the morning, and a trellis before they grow too tall to tie.",
);
const HARBOUR: (&str, &str) = (
    "Harbour",
    "Ships wait outside the harbour until the tide carries them over the bar at the entrance.",
);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_crawled_is_found_and_what_vanished_is_gone() {
    let data = tempfile::tempdir().unwrap();
    let folder = pages(&[LOVELACE, GARDEN, HARBOUR]);
    let app = App::start(data.path()).await;

    app.crawl(folder.path()).await;
    assert_eq!(
        app.titles("algebraic patterns of the engine").await[0],
        "Engine"
    );
    assert!(app.verify().await.clean);

    page(
        folder.path(),
        "Garden",
        "Pumpkins want compost, space, and patience until October.",
    );
    let report = app.crawl(folder.path()).await;
    assert_eq!((report.saved, report.deleted), (1, 0));
    assert_eq!(app.titles("pumpkins and compost").await[0], "Garden");
    assert!(app.verify().await.clean);

    std::fs::remove_file(folder.path().join("Harbour.html")).unwrap();
    let report = app.crawl(folder.path()).await;
    assert_eq!((report.saved, report.deleted), (0, 1));
    assert!(
        !app.titles("ships wait for the tide")
            .await
            .contains(&"Harbour".to_owned())
    );
    let status = app.status().await;
    assert_eq!((status.tombstones, status.pending.changes()), (1, 0));
    assert!(app.verify().await.clean);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crawling_again_embeds_nothing_that_is_unchanged() {
    let data = tempfile::tempdir().unwrap();
    let folder = pages(&[LOVELACE, GARDEN]);
    let app = App::start(data.path()).await;
    app.crawl(folder.path()).await;
    let before = app.status().await.counted.texts_embedded;
    let report = app.crawl(folder.path()).await;
    assert_eq!((report.saved, report.deleted), (0, 0));
    assert_eq!(app.status().await.counted.texts_embedded, before);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything_and_a_command_works_without_a_process() {
    let data = tempfile::tempdir().unwrap();
    let folder = pages(&[LOVELACE, GARDEN]);
    let app = App::start(data.path()).await;
    app.crawl(folder.path()).await;
    app.stop().await;

    let request = Request::Delete {
        target: "articles/nowhere".into(),
        wait: true,
    };
    let once = run::once(
        config(data.path()),
        request,
        Reporter::new().0,
        std::future::pending(),
    );
    assert!(matches!(Box::pin(once).await, Err(Error::NotFound { .. })));

    let verify = Request::Verify {
        vectors: true,
        repair: false,
    };
    let once = run::once(
        config(data.path()),
        verify,
        Reporter::new().0,
        std::future::pending(),
    );
    match Box::pin(once).await.unwrap() {
        Some(Response::Verify(report)) => assert!(report.clean),
        other => panic!("{other:?}"),
    }

    let app = App::start(data.path()).await;
    assert_eq!(app.titles("a trellis for tomatoes").await[0], "Garden");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_one_folder_is_told_so() {
    let data = tempfile::tempdir().unwrap();
    let app = App::start(data.path()).await;
    let second = run::up(config(data.path()), std::future::pending(), |_| {});
    let second = Box::pin(second).await;
    assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
    app.stop().await;
}
