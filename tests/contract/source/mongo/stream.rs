//! The change stream: transactions, lookups, large documents, interruptions.

use std::time::Duration;

use lockstep::change::{DocumentKey, Operation};
use lockstep::source::{Body, Event, Source, Watch as _};
use mongodb::bson::{Document, doc};

use crate::contract::source::{article, edits, said};
use crate::support::mongo::{Home, MongoServer};

#[tokio::test]
async fn the_events_of_a_transaction_share_a_time_and_no_position_lies_between_them() {
    let home = Home::new();
    let source = home.open().await;
    let mut watch = source.watch(None).await.unwrap();
    let database = home.database().await;
    let posts = database.collection::<Document>("posts");
    posts.insert_one(doc! { "_id": 0 }).await.unwrap();
    let mut session = database.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    for id in 1..4 {
        let insert = posts.insert_one(doc! { "_id": id });
        insert.session(&mut session).await.unwrap();
    }
    session.commit_transaction().await.unwrap();
    posts.insert_one(doc! { "_id": 4 }).await.unwrap();
    let events = edits(&mut watch, 5).await;
    let ids: Vec<_> = events.iter().map(|event| said(event).0).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4"]);
    let times: Vec<_> = events.iter().map(|event| event.time).collect();
    assert!(times[0] < times[1] && times[3] < times[4], "{times:?}");
    assert!(times[1] == times[2] && times[2] == times[3], "{times:?}");
    let complete: Vec<_> = events[..4].iter().map(|event| event.complete).collect();
    assert_eq!(complete[1..3], [false, false]);
}

#[tokio::test]
async fn an_update_is_sent_whole_and_one_that_was_deleted_since_without_fields() {
    let home = Home::new();
    let source = home.open().await;
    let mut watch = source.watch(None).await.unwrap();
    let posts = home.database().await.collection::<Document>("posts");
    for id in ["kept", "gone"] {
        let inserted = doc! { "_id": id, "a": 1, "b": [1, 2] };
        posts.insert_one(inserted).await.unwrap();
        let update = doc! { "$set": { "a": 2 }, "$push": { "b": 3 } };
        posts.update_one(doc! { "_id": id }, update).await.unwrap();
    }
    posts.delete_one(doc! { "_id": "gone" }).await.unwrap();
    let events: Vec<_> = edits(&mut watch, 5).await.iter().map(said).collect();
    let kept = serde_json::json!({"a": 2, "b": [1, 2, 3]});
    let kept = kept.as_object().cloned();
    assert_eq!(events[1], ("kept".into(), Operation::Update, kept));
    assert_eq!(events[3], ("gone".into(), Operation::Update, None));
    assert_eq!(events[4], ("gone".into(), Operation::Delete, None));
}

#[tokio::test]
async fn documents_of_many_megabytes_are_handed_out_a_few_at_a_time() {
    let home = Home::new();
    let source = home.open().await;
    let mut watch = source.watch(None).await.unwrap();
    let text = "x".repeat(5 << 20);
    for id in ["a", "b", "c", "d"] {
        Source::save(&source, vec![article(id, &text)])
            .await
            .unwrap();
    }
    let mut heard = Vec::new();
    while heard.len() < 4 {
        let events = watch.next(100).await.unwrap();
        let edits = events.iter().filter(|event| event.body != Body::Idle);
        let ids: Vec<_> = edits.map(|event| said(event).0).collect();
        assert!(ids.len() <= 1, "{ids:?}");
        heard.extend(ids);
    }
    assert_eq!(heard, ["a", "b", "c", "d"]);
    let (mut rows, mut after) = (0, None);
    loop {
        let page = source.page("articles", after, 100).await.unwrap().found;
        let Some(last) = page.last() else { break };
        after = Some(last.key.id.clone());
        assert!(page.len() <= 2, "{} documents of 5 MiB", page.len());
        rows += page.len();
    }
    assert_eq!(rows, 4);
}

#[tokio::test]
async fn an_idle_event_comes_about_once_a_second_and_never_goes_back() {
    let home = Home::new();
    let source = home.open().await;
    let mut watch = source.watch(None).await.unwrap();
    Source::save(&source, vec![article("a", "1")])
        .await
        .unwrap();
    let edit = edits(&mut watch, 1).await.remove(0);
    let other = home.database().await.client().database("elsewhere");
    let mut last = edit.time;
    for _ in 0..3 {
        // Others' writes let the time go on.
        other.collection("a").insert_one(doc! {}).await.unwrap();
        let idle = tokio::time::timeout(Duration::from_secs(30), watch.next(5)).await;
        let idle: Event = idle.unwrap().unwrap().remove(0);
        assert_eq!((&idle.body, idle.complete), (&Body::Idle, true));
        assert!(idle.time >= last);
        last = idle.time;
    }
    assert!(last > edit.time);
    let again = source.watch(Some(watch.here().0)).await.unwrap();
    assert_eq!(again.here(), watch.here());
}

#[tokio::test]
async fn a_cut_connection_is_mended_without_a_loss() {
    let server = MongoServer::start(&[]);
    let home = Home::on(&server);
    let source = home.open().await;
    let mut watch = source.watch(None).await.unwrap();
    Source::save(&source, vec![article("a", "1")])
        .await
        .unwrap();
    assert_eq!(said(&edits(&mut watch, 1).await[0]).0, "a");
    let cut = doc! { "failCommands": ["getMore"], "closeConnection": true };
    server.fail(&home.settings.database, 1, cut).await;
    for id in ["b", "c"] {
        Source::save(&source, vec![article(id, "1")]).await.unwrap();
    }
    let heard: Vec<_> = edits(&mut watch, 2).await.iter().map(said).collect();
    assert_eq!((heard[0].0.as_str(), heard[1].0.as_str()), ("b", "c"));
}

#[tokio::test]
async fn the_window_of_the_log_is_known() {
    let home = Home::new();
    let source = home.open().await;
    let position = source.watch(None).await.unwrap().here().0;
    assert!(source.oplog_window(&position).await.unwrap().is_some());
}

#[tokio::test]
async fn a_resync_of_keys_that_differ_in_type_only_reads_each() {
    let home = Home::new();
    let source = home.open().await;
    let posts = home.database().await.collection::<Document>("posts");
    posts
        .insert_one(doc! { "_id": 5.0, "v": "double" })
        .await
        .unwrap();
    let keys = [serde_json::json!(5), serde_json::json!(5.0)];
    let keys = keys.map(|id| DocumentKey::from_json("posts", &id).unwrap());
    let found = source.read(keys.to_vec()).await.unwrap().found;
    assert_eq!((found[0].is_some(), found[1].is_some()), (false, true));
    assert_eq!(source.delete(keys[..1].to_vec()).await.unwrap(), 0);
}
