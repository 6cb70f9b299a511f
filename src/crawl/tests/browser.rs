//! Pages whose text is built by a script, in a real Chromium. `make setup-test` installs it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::scene::{Answer, DAY, Scene};
use super::web::{Server, allowed, fetch, refusal, serve, typed};
use super::*;
use crate::Error;
use crate::crawl::Browser;

const HTML: &str = "text/html; charset=utf-8";

/// A page that is nothing until its script has run.
fn built(script: &str) -> String {
    format!(
        "<html lang=en><head><title>App</title></head><body><main id=root></main><script>{script}</script></body></html>"
    )
}

/// A script that adds paragraphs, named by number.
fn paragraphs(count: usize) -> String {
    format!(
        "const root = document.getElementById('root');\
         const add = at => {{ const p = document.createElement('p'); p.textContent = 'Part ' + at + '. {LONG}'; p.style.height = '200px'; root.append(p); }};\
         for (let at = 0; at < {count}; at++) add(at);"
    )
}

async fn site<const N: usize>(pages: [(&'static str, String); N]) -> Server {
    let router = pages
        .into_iter()
        .fold(Router::new(), |router, (path, html)| {
            router.route(path, get(async move || typed(HTML, html.into_bytes())))
        });
    serve(router).await
}

fn always() -> Settings {
    Settings {
        browser: Browser::Always,
        ..allowed()
    }
}

#[tokio::test]
async fn text_that_a_script_builds_is_seen_without_being_asked_for() {
    let server = site([("/app", built(&paragraphs(4)))]).await;
    let link = format!("{}/app", server.origin);
    let never = Settings {
        browser: Browser::Never,
        ..allowed()
    };
    let source = Memory::default();
    let report = fetch(&source, &link, &never).await.unwrap();
    assert_eq!(why(&report, "/app"), "it has no main text");
    let report = fetch(&source, &link, &allowed()).await.unwrap();
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
    let document = source.documents().remove(0);
    assert!(content(&document, "Content").contains("Part 3."));
    assert_eq!(document.fields["link"], link);
}

#[tokio::test]
async fn what_a_page_has_for_readers_without_scripts_is_not_heeded_in_a_browser_either() {
    let hidden = "<head><noscript><meta http-equiv=refresh content='0; url=/plain'>\
        <meta name=robots content=noindex></noscript>";
    let page = built(&paragraphs(4)).replace("<head>", hidden);
    let server = site([("/app", page)]).await;
    let link = format!("{}/app", server.origin);
    for settings in [always(), allowed()] {
        let source = Memory::default();
        let report = fetch(&source, &link, &settings).await.unwrap();
        assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
        let document = source.documents().remove(0);
        assert_eq!(document.fields["link"], link);
        assert!(content(&document, "Content").contains("Part 3."));
    }
}

#[tokio::test]
async fn a_page_that_was_read_without_a_browser_is_opened_as_soon_as_one_may_be_used() {
    let mut scene = Scene::new().await;
    let loading = "<main id=root><p>Loading, one moment, please.</p>";
    let page = built(&paragraphs(4)).replace("<main id=root>", loading);
    scene.site.answer("/app", Answer::Plain(HTML, page));
    scene.settings.browser = Browser::Never;
    assert_eq!(counts(&scene.crawl("/app").await), (1, 0, 0));
    scene.settings.browser = Browser::Auto;
    assert_eq!(counts(&scene.crawl("/app").await), (1, 0, 0));
    let text = content(&scene.source.documents()[0], "Content");
    assert!(text.contains("Part 3."), "{text}");
}

#[tokio::test]
async fn a_page_that_grows_while_it_is_scrolled_is_scrolled_to_its_end() {
    let grows = paragraphs(20)
        + "let more = 3; addEventListener('scroll', () => { if (more-- > 0) for (let at = 0; at < 20; at++) \
           add('more-' + more + '-' + at); });";
    let server = site([("/feed", built(&grows))]).await;
    let source = Memory::default();
    fetch(&source, &format!("{}/feed", server.origin), &always())
        .await
        .unwrap();
    let text = content(&source.documents()[0], "Content");
    for part in ["Part 19.", "Part more-2-0.", "Part more-0-19."] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Counts who connects to a private address that nobody allowed.
async fn private() -> (u16, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let (port, came) = (
        listener.local_addr().unwrap().port(),
        Arc::new(AtomicUsize::new(0)),
    );
    let count = Arc::clone(&came);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (port, came, serving)
}

#[tokio::test]
async fn what_a_page_loads_in_the_browser_passes_the_same_guard() {
    let (port, came, _serving) = private().await;
    let inside = format!("http://127.0.0.2:{port}/secret");
    let loads = format!(
        "fetch('{inside}', {{mode: 'no-cors'}}); new WebSocket('ws://127.0.0.2:{port}/');\
         fetch('http://localhost:{port}/'); fetch('https://127.0.0.2:{port}/');\
         navigator.sendBeacon('{inside}', 'x'); fetch('/redirect', {{mode: 'no-cors'}});\
         for (const [tag, at] of [['iframe', 'src'], ['script', 'src'], ['link', 'href'], ['img', 'src'], ['embed', 'src']]) {{\
           const one = document.createElement(tag); one.rel = 'stylesheet'; one[at] = '{inside}'; document.head.append(one); }}"
    );
    let page = built(&(paragraphs(4) + &loads));
    let to = inside.clone();
    let router = Router::new()
        .route("/app", get(async move || typed(HTML, page.into_bytes())))
        .route("/redirect", get(async move || Redirect::temporary(&to)));
    let server = serve(router).await;
    let source = Memory::default();
    fetch(&source, &format!("{}/app", server.origin), &always())
        .await
        .unwrap();
    assert!(content(&source.documents()[0], "Content").contains("Part 3."));
    assert_eq!(came.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_script_cannot_lead_the_browser_inside() {
    let (port, came, _serving) = private().await;
    let to = format!("http://127.0.0.2:{port}/secret");
    let server = site([
        ("/script", built(&format!("location.href = '{to}'"))),
        ("/file", built("location.href = 'file:///etc/passwd'")),
    ])
    .await;
    let said = refusal(&format!("{}/script", server.origin), &always()).await;
    assert!(said.contains("127.0.0.2 is a private address"), "{said}");
    let source = Memory::default();
    fetch(&source, &format!("{}/file", server.origin), &always())
        .await
        .ok();
    assert!(source.documents().is_empty(), "{:?}", source.documents());
    assert_eq!(came.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_page_that_keeps_the_browser_busy_ends_in_time_and_the_next_is_read() {
    let settings = Settings {
        fetch_seconds_max: 10,
        ..always()
    };
    let server = site([
        ("/p/busy", built("while (true) {}")),
        ("/p/next", built(&paragraphs(4))),
    ])
    .await;
    let fetcher = crate::crawl::fetch::Fetcher::new(&settings).unwrap();
    let url = |path: &str| url::Url::parse(&format!("{}{path}", server.origin)).unwrap();
    let said = fetcher.window.open(&url("/p/busy")).await.unwrap_err();
    assert!(said.to_string().contains("was not done in 10 s"), "{said}");
    let page = fetcher.window.open(&url("/p/next")).await.unwrap();
    assert!(String::from_utf8(page.bytes).unwrap().contains("Part 3."));
}

#[tokio::test]
async fn what_a_server_answers_means_in_a_browser_what_it_means_without_one() {
    let mut scene = Scene::crawled("/a", "").await;
    scene.settings.browser = Browser::Always;
    let missing = Answer::Plain("text/html", html("Not found", "There is nothing here."));
    for answer in [
        Answer::Status(StatusCode::GONE),
        Answer::Refused(StatusCode::NOT_FOUND, Box::new(missing)),
    ] {
        scene.site.answer("/never", answer.clone());
        let gone = scene.try_crawl("/never").await;
        assert!(matches!(gone, Err(Error::Gone { .. })), "{gone:?}");
        scene.site.answer("/a", answer);
        assert_eq!(counts(&scene.crawl("/a").await), (0, 0, 0));
    }
    let failure = Answer::Status(StatusCode::SERVICE_UNAVAILABLE);
    scene.site.answer("/a", failure);
    let failed = scene.try_crawl("/a").await;
    assert!(matches!(failed, Err(Error::Fetch { .. })), "{failed:?}");
    for status in [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ] {
        let until = scene.clock.now_ms() + 120_000;
        let busy = Answer::Busy(status, "120".to_owned());
        scene.site.answer("/a", busy);
        for _ in 0..2 {
            let later = scene.try_crawl("/a").await;
            let is_later = matches!(later, Err(Error::Later { until_ms, .. }) if until_ms == until);
            assert!(is_later, "{later:?}");
        }
        scene.clock.advance(120_000);
    }
    scene.clock.advance(DAY);
    scene.site.answer("/a", Answer::Status(StatusCode::GONE));
    assert_eq!(counts(&scene.crawl("/a").await), (0, 0, 1));
}

#[tokio::test]
async fn without_a_browser_the_command_that_installs_it_is_told() {
    let settings = Settings {
        browser_path: Some(PathBuf::from("/nowhere/chromium")),
        ..allowed()
    };
    let server = site([("/app", built(&paragraphs(4)))]).await;
    let link = format!("{}/app", server.origin);
    let report = fetch(&Memory::default(), &link, &settings).await.unwrap();
    let said = why(&report, "/app");
    assert!(
        said.contains("it has no main text") && said.contains("apt-get install chromium"),
        "{said}"
    );
    let asked = Settings {
        browser: Browser::Always,
        ..settings
    };
    let said = refusal(&link, &asked).await;
    assert!(said.contains("/nowhere/chromium is no program"), "{said}");
}

#[tokio::test]
async fn nothing_is_left_of_a_browser_that_is_not_needed_any_more() {
    let server = site([("/app", built(&paragraphs(4)))]).await;
    let home = tempfile::tempdir().unwrap();
    // On services it is made when something is put there.
    let tmp = home.path().join("tmp");
    let settings = Settings {
        tmp: tmp.clone(),
        ..always()
    };
    let fetcher = crate::crawl::fetch::Fetcher::new(&settings).unwrap();
    let url = url::Url::parse(&format!("{}/app", server.origin)).unwrap();
    fetcher.window.open(&url).await.unwrap();
    let running = processes(&tmp);
    assert!(!running.is_empty(), "it runs until then");
    drop(fetcher);
    for process in running {
        ended(process).await;
    }
}

/// The processes that were started with a profile in this folder.
fn processes(folder: &Path) -> Vec<u32> {
    let own = |id: u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(folder.to_str().unwrap())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|one| one.file_name().to_str()?.parse().ok());
    ids.filter(|id| own(*id)).collect()
}

/// Waits for the end of a process that is none of our children.
async fn ended(process: u32) {
    let id = process.to_string();
    let waited = tokio::process::Command::new("tail")
        .args(["--pid", &id, "-f", "/dev/null"])
        .status();
    let waited = tokio::time::timeout(std::time::Duration::from_mins(1), waited).await;
    assert!(
        waited.is_ok_and(|status| status.unwrap().success()),
        "{process} goes on"
    );
}
