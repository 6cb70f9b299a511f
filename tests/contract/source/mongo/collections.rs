//! What happens to whole collections.

use lockstep::source::mongo::{MongoSource, MongoWatch, Scope};
use lockstep::source::{Body, Event, Source, Watch as _};
use mongodb::Database;
use mongodb::bson::{Document, doc};

use crate::contract::source::{article, edits};
use crate::support::mongo::Home;

/// What the log says about an event, without its fields.
fn told(event: &Event) -> String {
    match &event.body {
        Body::Edit { key, operation, .. } => format!("{operation:?} {key}"),
        Body::Dropped { kind } => format!("dropped {kind}"),
        Body::Replaced { kind } => format!("replaced {kind}"),
        Body::Idle => "idle".to_owned(),
    }
}

async fn heard(watch: &mut MongoWatch, count: usize) -> Vec<String> {
    edits(watch, count).await.iter().map(told).collect()
}

async fn opened(home: &Home) -> (MongoSource, MongoWatch, Database) {
    let source = home.open().await;
    Source::save(&source, vec![article("a", "1")])
        .await
        .unwrap();
    let watch = source.watch(None).await.unwrap();
    (source, watch, home.database().await)
}

async fn rename(database: &Database, from: &str, to: &str, replace: bool) {
    let name = database.name();
    let command = doc! {
        "renameCollection": format!("{name}.{from}"), "to": format!("{name}.{to}"),
        "dropTarget": replace,
    };
    let admin = database.client().database("admin");
    admin.run_command(command).await.unwrap();
}

#[tokio::test]
async fn a_dropped_collection_is_one_event() {
    let home = Home::new();
    let (source, mut watch, database) = opened(&home).await;
    database
        .collection::<Document>("articles")
        .drop()
        .await
        .unwrap();
    Source::save(&source, vec![article("b", "1")])
        .await
        .unwrap();
    assert_eq!(
        heard(&mut watch, 2).await,
        ["dropped articles", "Insert articles/b"]
    );
}

#[tokio::test]
async fn a_rename_drops_the_old_name_and_replaces_the_new_one_at_one_time() {
    let home = Home::new();
    let (_source, mut watch, database) = opened(&home).await;
    rename(&database, "articles", "posts", false).await;
    let events = edits(&mut watch, 2).await;
    let said: Vec<_> = events.iter().map(told).collect();
    assert_eq!(said, ["dropped articles", "replaced posts"]);
    assert_eq!(events[0].time, events[1].time);
    assert!(!events[0].complete);
}

#[tokio::test]
async fn a_reading_that_begins_between_the_two_events_of_a_rename_hears_both() {
    let home = Home::new();
    let (source, mut watch, database) = opened(&home).await;
    rename(&database, "articles", "posts", false).await;
    assert_eq!(heard(&mut watch, 1).await, ["dropped articles"]);
    let mut again = source.watch(Some(watch.here().0)).await.unwrap();
    let both = ["dropped articles", "replaced posts"];
    assert_eq!(heard(&mut again, 2).await, both);
    assert_eq!(heard(&mut watch, 1).await, both[1..]);
}

#[tokio::test]
async fn renames_across_the_edge_of_what_is_watched_are_half_heard() {
    let mut home = Home::new();
    home.settings.kinds = vec!["articles".into(), "posts".into()];
    let (source, mut watch, database) = opened(&home).await;
    rename(&database, "articles", "elsewhere", false).await;
    rename(&database, "elsewhere", "posts", false).await;
    Source::save(&source, vec![article("b", "1")])
        .await
        .unwrap();
    let expected = ["dropped articles", "replaced posts", "Insert articles/b"];
    assert_eq!(heard(&mut watch, 3).await, expected);
}

async fn a_dropped_database_is_heard(home: &Home) {
    let (source, mut watch, database) = opened(home).await;
    database.drop().await.unwrap();
    Source::save(&source, vec![article("b", "1")])
        .await
        .unwrap();
    assert_eq!(
        heard(&mut watch, 2).await,
        ["dropped articles", "Insert articles/b"]
    );
    // The place after the drop, before the stream's own end, is a place to begin at.
    Source::save(&source, vec![article("c", "1")])
        .await
        .unwrap();
    assert_eq!(heard(&mut watch, 1).await, ["Insert articles/c"]);
}

#[tokio::test]
async fn a_dropped_database_drops_each_type_and_the_stream_goes_on_without_a_gap() {
    a_dropped_database_is_heard(&Home::new()).await;
}

#[tokio::test]
async fn the_stream_of_the_cluster_hears_a_dropped_database_too() {
    let mut home = Home::new();
    home.settings.scope = Scope::Cluster;
    a_dropped_database_is_heard(&home).await;
}

#[tokio::test]
async fn a_place_before_the_end_of_a_stream_is_a_place_to_begin_at() {
    let home = Home::new();
    let (source, mut watch, database) = opened(&home).await;
    database.drop().await.unwrap();
    assert_eq!(heard(&mut watch, 1).await, ["dropped articles"]);
    let from = watch.here().0;
    Source::save(&source, vec![article("b", "1")])
        .await
        .unwrap();
    let mut again = source.watch(Some(from)).await.unwrap();
    // The drop of the database itself is after that place, and `articles` is there again.
    let expected = ["dropped articles", "Insert articles/b"];
    assert_eq!(heard(&mut again, 2).await, expected);
}

#[tokio::test]
async fn only_what_is_watched_is_heard_and_listed() {
    let mut home = Home::new();
    home.settings.kinds = vec!["posts".into()];
    for scope in [Scope::Database, Scope::Cluster] {
        home.settings.scope = scope;
        let source = home.open().await;
        let mut watch = source.watch(None).await.unwrap();
        let mut post = article("a", &format!("{scope:?}"));
        post.key.kind = "posts".into();
        Source::save(&source, vec![article("a", &format!("{scope:?}")), post])
            .await
            .unwrap();
        let other = home
            .database()
            .await
            .client()
            .database(&format!("{scope:?}"));
        other.collection("posts").insert_one(doc! {}).await.unwrap();
        assert!(heard(&mut watch, 1).await[0].ends_with(" posts/a"));
        assert_eq!(source.kinds().await.unwrap(), ["posts"]);
        let Body::Idle = watch.next(1).await.unwrap().remove(0).body else {
            panic!("a collection that is not watched was heard");
        };
    }
}
