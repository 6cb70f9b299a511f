//! Links that are crawled again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::scene::{Answer, Scene};
use super::*;
use crate::Error;
use crate::crawl::named;
use crate::crawl::record::{self, Repeat};
use crate::crawl::schedule::{self, Plan, Watch};
use crate::logbook::{Logbook as _, Run, Runs};

const HOUR: u64 = 3_600_000;

fn plan(links: &[String], every: Duration) -> Plan {
    let watch = |link: &String| Watch {
        request: request(link),
        every,
    };
    Plan {
        watches: links.iter().map(watch).collect(),
        at_once: 4,
        jitter_percent: 10,
        seed: 7,
    }
}

/// Keeps the schedule until the site was asked so often.
async fn keep(scene: &Scene, plan: &Plan, requests: usize) -> Vec<(String, bool, u16)> {
    let asked = std::sync::Mutex::new(Vec::new());
    let enough = async {
        loop {
            asked.lock().unwrap().extend(scene.site.asked());
            if asked.lock().unwrap().len() >= requests {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    schedule::run(&scene.source, &scene.settings, plan, enough)
        .await
        .unwrap();
    asked.into_inner().unwrap()
}

async fn run_of(scene: &Scene, path: &str) -> Run {
    let link = Runs::Of(scene.link(path));
    scene.source.runs(link, 1).await.unwrap().pop().unwrap()
}

#[tokio::test]
async fn a_link_is_crawled_at_its_interval_and_a_little_later() {
    let scene = Scene::new().await;
    scene.site.page("/a", "One.", "\"1\"");
    let plan = plan(&[scene.link("/a")], Duration::from_millis(HOUR));
    let start = scene.clock.now_ms();
    let asked = keep(&scene, &plan, 4).await;
    let statuses: Vec<_> = asked.iter().map(|asked| asked.2).collect();
    assert_eq!(statuses, [200, 304, 304, 304]);
    let passed = scene.clock.now_ms() - start;
    assert!(
        (3 * HOUR..=3 * HOUR * 11 / 10 + HOUR / 10).contains(&passed),
        "{passed}"
    );
}

#[tokio::test]
async fn what_was_overdue_at_a_restart_is_crawled_once_and_what_is_not_due_is_not() {
    let scene = Scene::new().await;
    scene.site.page("/a", "One.", "");
    let plan = plan(&[scene.link("/a")], Duration::from_millis(HOUR));
    keep(&scene, &plan, 1).await;
    // The first one may not have been recorded as ended: a person's crawl stands for it.
    scene.crawl("/a").await;
    scene.site.asked();
    let run = Run {
        every_seconds: Some(3_600),
        next_ms: Some(scene.clock.now_ms() + HOUR),
        ..run_of(&scene, "/a").await
    };
    scene.source.save_run(run).await.unwrap();
    let before = scene.clock.now_ms();
    keep(&scene, &plan, 1).await;
    assert!(scene.clock.now_ms() - before >= HOUR, "it was not due");
    scene.clock.advance(10 * HOUR);
    let before = scene.clock.now_ms();
    keep(&scene, &plan, 2).await;
    let passed = scene.clock.now_ms() - before;
    assert!(
        passed >= HOUR,
        "once at once, and then after an hour: {passed}"
    );
}

#[tokio::test]
async fn a_link_that_is_under_way_is_not_crawled_a_second_time_by_the_schedule() {
    let scene = Scene::new().await;
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (arrived, go) = (Arc::clone(&arrived), Arc::clone(&go));
        async move || {
            arrived.notify_one();
            go.notified().await;
            axum::response::Html(html("T", "One."))
        }
    };
    let router = axum::Router::new().route("/slow", axum::routing::get(slow));
    let server = super::web::serve(router).await;
    let asked = request(&format!("{}/slow", server.origin));
    let first = crawl(&scene.source, &asked, &scene.settings, &());
    let second = async {
        arrived.notified().await;
        let again = Repeat {
            link: asked.target.clone(),
            every_seconds: 3_600,
            next_ms: scene.clock.now_ms() + HOUR,
        };
        let due = (&asked, Some(&again));
        let ours = record::crawl(&scene.source, due, &scene.settings, &()).await;
        // Nor does another process get the link meanwhile.
        let now = scene.clock.now_ms();
        let others = scene.source.claim(&asked.target, "another", (now, now + 1));
        let others = others.await.unwrap();
        go.notify_one();
        (ours, others)
    };
    let (first, (ours, others)) = tokio::join!(first, second);
    assert_eq!(counts(&first.unwrap()), (1, 0, 0));
    let told = ours.unwrap_err().to_string();
    assert!(told.contains("is being crawled at this moment"), "{told}");
    assert!(!others);
    go.notify_one();
    assert!(
        crawl(&scene.source, &asked, &scene.settings, &())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_stop_drops_what_is_under_way_and_gives_its_link_back() {
    let scene = Scene::new().await;
    let arrived = Arc::new(Notify::new());
    let never = {
        let arrived = Arc::clone(&arrived);
        async move || {
            arrived.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let router = axum::Router::new().route("/never", axum::routing::get(never));
    let server = super::web::serve(router).await;
    let link = format!("{}/never", server.origin);
    let plan = plan(std::slice::from_ref(&link), Duration::from_millis(HOUR));
    schedule::run(&scene.source, &scene.settings, &plan, arrived.notified())
        .await
        .unwrap();
    let run = scene
        .source
        .runs(Runs::Of(link.clone()), 1)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(
        (run.finished_ms, run.next_ms),
        (None, None),
        "it is due again"
    );
    let now = scene.clock.now_ms();
    assert!(
        scene
            .source
            .claim(&link, "another", (now, now + 1))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn the_history_says_how_it_went_and_a_failure_ends_no_schedule() {
    let scene = Scene::new().await;
    scene
        .site
        .answer("/a", Answer::Status(axum::http::StatusCode::BAD_GATEWAY));
    let mut plan = plan(&[scene.link("/a")], Duration::from_millis(HOUR));
    let start = scene.clock.now_ms();
    keep(&scene, &plan, 2).await;
    let run = run_of(&scene, "/a").await;
    assert!(
        run.has_failed && run.error.as_ref().unwrap().contains("502"),
        "{run:?}"
    );
    assert_eq!((run.every_seconds, run.counts.failed), (Some(3_600), 1));
    let next = run.next_ms.unwrap();
    assert!(
        (start + HOUR..=start + HOUR * 11 / 10).contains(&next),
        "{run:?}"
    );
    // What is watched no more has no next crawl.
    plan.watches.clear();
    let soon = async { tokio::task::yield_now().await };
    schedule::run(&scene.source, &scene.settings, &plan, soon)
        .await
        .unwrap();
    let run = run_of(&scene, "/a").await;
    assert_eq!((run.every_seconds, run.next_ms), (None, None));
}

#[tokio::test]
async fn a_host_that_asks_for_a_long_pause_puts_the_next_crawl_off() {
    let scene = Scene::new().await;
    let busy = axum::http::StatusCode::TOO_MANY_REQUESTS;
    scene
        .site
        .answer("/a", Answer::Busy(busy, (5 * 3_600).to_string()));
    let start = scene.clock.now_ms();
    let plan = plan(&[scene.link("/a")], Duration::from_millis(HOUR));
    keep(&scene, &plan, 2).await;
    let passed = scene.clock.now_ms() - start;
    assert!(passed >= 5 * HOUR, "{passed}");
    assert!(matches!(
        scene.try_crawl("/a").await,
        Err(Error::Later { .. })
    ));
}

/// Yields until the scene's time has come.
async fn until(scene: &Scene, at_ms: u64) {
    while scene.clock.now_ms() < at_ms {
        tokio::task::yield_now().await;
    }
}

async fn runs(scene: &Scene) -> Vec<Run> {
    scene.source.runs(Runs::After(None), 9).await.unwrap()
}

/// A folder of one page that is watched hourly, by its path.
fn watched() -> (tempfile::TempDir, std::path::PathBuf, Plan) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().canonicalize().unwrap().join("book");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.html"), html("T", "One.")).unwrap();
    let plan = plan(
        &[folder.to_str().unwrap().to_owned()],
        Duration::from_millis(HOUR),
    );
    (place, folder, plan)
}

#[tokio::test]
async fn a_folder_that_is_away_for_a_while_fails_at_its_interval_and_under_its_own_name() {
    let (scene, (place, folder, plan)) = (Scene::new().await, watched());
    let (link, away) = (
        named(&request(folder.to_str().unwrap())).await.unwrap(),
        place.path().join("away"),
    );
    let (start, seen) = (scene.clock.now_ms(), std::sync::Mutex::new(Vec::new()));
    let stop = async {
        until(&scene, start + HOUR / 2).await;
        std::fs::rename(&folder, &away).unwrap();
        until(&scene, start + HOUR * 3 / 2).await;
        let failed = runs(&scene).await;
        *seen.lock().unwrap() = failed;
        std::fs::rename(&away, &folder).unwrap();
        until(&scene, start + HOUR * 5 / 2).await;
    };
    schedule::run(&scene.source, &scene.settings, &plan, stop)
        .await
        .unwrap();
    let failed = seen.into_inner().unwrap();
    let [run] = &failed[..] else {
        panic!("{failed:?}")
    };
    assert!(run.has_failed && run.link == link, "{run:?}");
    assert!(run.next_ms >= Some(start + 2 * HOUR), "{run:?}");
    let back = runs(&scene).await;
    assert!(back.len() == 1 && !back[0].has_failed, "{back:?}");
    assert_eq!(scene.source.documents().len(), 1);
}

#[tokio::test]
async fn a_folder_that_comes_while_the_schedule_is_kept_is_watched_under_its_own_name() {
    let (scene, (place, folder, plan)) = (Scene::new().await, watched());
    let link = named(&request(folder.to_str().unwrap())).await.unwrap();
    let away = place.path().join("away");
    std::fs::rename(&folder, &away).unwrap();
    let start = scene.clock.now_ms();
    let stop = async {
        until(&scene, start + HOUR / 2).await;
        std::fs::rename(&away, &folder).unwrap();
        until(&scene, start + HOUR * 3 / 2).await;
    };
    schedule::run(&scene.source, &scene.settings, &plan, stop)
        .await
        .unwrap();
    let watched = runs(&scene).await.into_iter();
    let watched = watched.filter(|run| run.every_seconds.is_some());
    let links: Vec<_> = watched.map(|run| run.link).collect();
    assert_eq!(links, [link]);
    assert_eq!(scene.source.documents().len(), 1);
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_asked_again_after_a_pause_however_short_the_last_one_was()
{
    let scene = Scene::new().await;
    scene.site.page("/a", "One.", "");
    let plan = plan(&[scene.link("/a")], Duration::from_millis(HOUR));
    let start = scene.clock.now_ms();
    let run = Run {
        link: scene.link("/a"),
        every_seconds: Some(3_600),
        next_ms: Some(start + 1),
        ..Run::default()
    };
    scene.source.save_run(run).await.unwrap();
    let stop = async {
        until(&scene, start + 1).await;
        scene.source.silence(true);
        while scene.source.unheard() < 5 {
            tokio::task::yield_now().await;
        }
        scene.source.silence(false);
        while scene.site.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    schedule::run(&scene.source, &scene.settings, &plan, stop)
        .await
        .unwrap();
    assert!(scene.clock.now_ms() >= start + 4_000);
}
