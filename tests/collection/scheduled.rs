//! What the schedule keeps where documents live in a database.

use super::repository::{TOKEN, repository, server};
use crate::support::mongo::Home;
use crate::support::process::Process;

/// Else a repository would be fetched whole each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_watched_on_services_is_kept_for_its_next_crawl() {
    let Some(folder) = repository() else {
        return;
    };
    let server = server(folder.path()).await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let watch = format!(
        "[[crawl.watch]]\nlink = \"{}/ada/loom\"\nas = \"github\"\nauthor = \"Ada\"\nevery = \"1d\"\n",
        server.origin
    );
    std::fs::write(data.join("lockstep.toml"), watch).unwrap();
    let home = Home::new().settings;
    let settings = [
        ("LOCKSTEP_SOURCE_URL", home.url),
        ("LOCKSTEP_SOURCE_DATABASE", home.database),
        ("LOCKSTEP_SOURCE_STATE_DATABASE", home.state_database),
        // Services are named both or none; the schedule asks this one for nothing.
        ("LOCKSTEP_QUEUE_URL", "amqp://127.0.0.1:1".to_owned()),
        ("LOCKSTEP_CRAWL_ALLOW_HOSTS", "127.0.0.1".to_owned()),
        ("LOCKSTEP_CRAWL_GITHUB_URL", server.origin.clone()),
        ("LOCKSTEP_CRAWL_GITHUB_TOKEN", TOKEN.to_owned()),
    ];
    let schedule = Process::start(data, &["crawl", "--schedule"], &settings);
    let ends = ["crawled by the schedule", "a watched link was not crawled"];
    schedule.until(&ends).await;
    let kept = std::fs::read_dir(data.join("clones"));
    let kept = kept.map_or(0, Iterator::count);
    assert_eq!(kept, 1, "{}", schedule.said());
    schedule.stop();
}
