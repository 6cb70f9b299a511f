//! What the crawl remembers where documents live in a database.

use super::Place;
use crate::crawling::Served;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_and_a_schedule_are_kept_on_services() {
    let served = Served::start().await;
    let mut place = Place::new();
    let allowed = ("LOCKSTEP_CRAWL_ALLOW_HOSTS", "127.0.0.1".to_owned());
    place.settings.push(allowed);
    let capture = place.start(&["capture"]);
    let worker = place.start(&["feature"]);
    worker.until(&["working"]).await;
    // A data folder holds nothing else.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("links.txt");
    let text = format!("{}\n{}\n", served.link("/one"), served.link("/two"));
    std::fs::write(&path, text).unwrap();
    let list = [
        "crawl",
        "--links",
        path.to_str().unwrap(),
        "--author",
        "Ada",
    ];
    let ended = place.run(&list);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("(2 written, 0 unchanged"), "{ended:?}");
    let again = place.run(&list);
    assert!(again.out.contains("(0 written, 2 unchanged"), "{again:?}");
    let file = format!(
        "[[crawl.watch]]\nlink = \"{}\"\nauthor = \"Ada\"\nevery = \"1d\"\n",
        served.link("/three")
    );
    std::fs::write(place.data().join("lockstep.toml"), file).unwrap();
    let schedule = place.start(&["crawl", "--schedule"]);
    schedule.until(&["crawled by the schedule"]).await;
    let history = place.ask(&["crawl", "--list"]);
    let crawls = history["crawls"].as_array().unwrap();
    assert_eq!(crawls.len(), 3, "{history}");
    let three = crawls.iter().find(|run| run["every_seconds"] == 86_400);
    assert_eq!(three.unwrap()["counts"]["written"], 1, "{history}");
    schedule.stop();
    worker.stop();
    capture.stop();
}
