//! One link under several spellings, and what is on record of it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn two_spellings_in_a_list_are_one_link_and_are_crawled_once() {
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    let link = served.link("/one");
    let (_folder, path) = list(&format!("{link}\n{link}?utm_source=news\n{link}#part\n"));
    for _ in 0..2 {
        let ended = crawl_list(data.path(), &path, &["--json"]);
        let told = lines(&ended);
        let wanted = [(1, "done"), (2, "bad_line"), (3, "bad_line")];
        assert_eq!(
            outcomes(&told),
            wanted.map(|(line, word)| (line, word.to_owned()))
        );
        assert_eq!(told[0]["error"], "it is the same as line 1");
        assert_eq!(served.asked("/one"), 1);
    }
    assert_eq!(history(data.path()).crawls.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_a_list_is_done_before_however_it_was_spelled_then() {
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path());
    config.crawl.allow_hosts = vec!["127.0.0.1".to_owned()];
    let app = App::start_with(config).await;
    let what = |path: &str, author: &str| crawl::Request {
        target: served.link(path),
        author: author.to_owned(),
        ..crawl::Request::default()
    };
    let was_done = async |path: &str, author: &str| {
        let what = what(path, author);
        let asked = Request::CrawlLink { what, since_ms: 1 };
        match app.ask(asked).await.unwrap() {
            Answer::CrawlLink(linked) => linked.was_done,
            other => panic!("{other:?}"),
        }
    };
    assert!(!was_done("/looms?utm_source=news", "Ada").await);
    assert!(was_done("/looms", "Ada").await);
    assert!(was_done("/looms?utm_source=news", "Ada").await);
    assert_eq!(served.asked("/looms"), 1);
    assert!(!was_done("/looms", "Charles").await, "it was not for him");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_crawls_of_a_link_are_on_record_and_told_by_any_of_its_spellings() {
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    let link = served.link("/one");
    let crawl = |link: &str| {
        let arguments = ["crawl", link, "--author", "Ada"];
        run_with(data.path(), &arguments, &allowed()).code
    };
    assert_eq!(crawl(&link), Some(0));
    served.remove("/one");
    crawl(&link);
    crawl(&served.link("/two"));
    let spelled = format!("{link}?utm_source=news");
    let told = run(data.path(), &["crawl", "--list", &spelled, "--json"]);
    let told: History = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.crawls.len(), told.is_of_one), (1, true));
    let ended = &told.crawls[0].ended;
    let counts: Vec<_> = ended
        .iter()
        .map(|one| (one.counts.written, one.has_failed))
        .collect();
    assert_eq!(counts, [(0, true), (1, false)], "the newest first");
    assert!(
        ended[0].error.as_ref().unwrap().contains("it is gone"),
        "{ended:?}"
    );
    assert!(ended[0].started_ms >= ended[1].finished_ms);
    let shown = run(data.path(), &["crawl", "--list", &spelled]).out;
    assert!(
        shown.contains("  1 written, 0 unchanged, 0 deleted, 0 failed\n"),
        "{shown}"
    );
    assert!(!shown.contains("/two"), "{shown}");
    let all = run(data.path(), &["crawl", "--list"]).out;
    assert_eq!(all.matches(" deleted, ").count(), 2, "a line a link: {all}");
    let unknown = run(data.path(), &["crawl", "--list", "https://a.example/never"]);
    assert_eq!(unknown.code, Some(3), "{unknown:?}");
    assert!(
        unknown
            .error
            .contains("a crawl of https://a.example/never is not known here")
    );
}
