//! A capture that stands by while the source is away.

use mongodb::bson::doc;

use super::Place;
use crate::support::mongo::MongoServer;

/// The connections of this client end when it asks who captures, and then each time that it asks for the lease,
/// for a while. Its first question is that of its start.
async fn outage(server: &MongoServer, client: &str) {
    let fail = doc! {
        "configureFailPoint": "failCommand",
        "mode": { "skip": 1, "times": 5 },
        "data": {
            "failCommands": ["find", "findAndModify"],
            "closeConnection": true,
            "appName": client,
        },
    };
    let admin = server.client().await.database("admin");
    admin.run_command(fail).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_by_lives_through_an_outage_of_the_source_and_takes_over_after_it() {
    // Its own, since a server has one fail point at a time.
    let server = MongoServer::start(&[]);
    let mut place = Place::new();
    let lease = ("LOCKSTEP_SOURCE_LEASE_SECONDS", "2".to_owned());
    let source = ("LOCKSTEP_SOURCE_URL", server.url("active"));
    place.settings.extend([lease, source]);
    let active = place.start(&["capture"]);
    active.until(&["capture is ours"]).await;
    outage(&server, "standby").await;
    let source = ("LOCKSTEP_SOURCE_URL", server.url("standby"));
    place.settings.push(source);
    let mut standby = place.start(&["capture"]);
    standby.until(&["waiting for the lease"]).await;
    let said = standby.said();
    assert!(
        !said.contains("standing by"),
        "it heard who captures: {said}"
    );
    active.stop();
    standby.until(&["capture is ours"]).await;
    standby.assert_running();
    standby.stop();
}
