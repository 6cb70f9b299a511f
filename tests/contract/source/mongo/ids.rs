//! `_id` of every type, mixed in one collection.

use futures_util::TryStreamExt as _;
use lockstep::change::DocumentKey;
use lockstep::source::Source as _;
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, Timestamp, doc};

use crate::contract::source::{edits, said};
use crate::support::mongo::Home;

/// One of each type, and some that only look alike.
fn ids() -> Vec<Bson> {
    let binary = |subtype, bytes: &[u8]| {
        let bytes = bytes.to_vec();
        Bson::Binary(Binary { subtype, bytes })
    };
    vec![
        Bson::MaxKey,
        5.into(),
        "5".into(),
        (1_i64 << 40).into(),
        5.5.into(),
        f64::NEG_INFINITY.into(),
        "1.25".parse::<Decimal128>().unwrap().into(),
        Bson::Null,
        true.into(),
        "65f0a1b2c3d4e5f6a7b8c9d0".into(),
        ObjectId::parse_str("65f0a1b2c3d4e5f6a7b8c9d0")
            .unwrap()
            .into(),
        DateTime::from_millis(5).into(),
        DateTime::from_millis(-5).into(),
        binary(BinarySubtype::Generic, b"5"),
        binary(BinarySubtype::Uuid, &[5; 16]),
        doc! { "b": 5, "a": 6 }.into(),
        doc! { "a": 6, "b": 5 }.into(),
        Timestamp {
            time: 5,
            increment: 5,
        }
        .into(),
        Bson::MinKey,
        "".into(),
    ]
}

async fn filled(home: &Home) {
    let posts = home.database().await.collection::<Document>("posts");
    let documents = ids().into_iter().map(|id| doc! { "_id": id, "v": 1 });
    posts.insert_many(documents).await.unwrap();
}

async fn keys_in_pages_of(home: &Home, limit: usize) -> Vec<DocumentKey> {
    let source = home.open().await;
    let (mut keys, mut after) = (Vec::<DocumentKey>::new(), None);
    loop {
        let page = source.page("posts", after, limit).await.unwrap();
        let Some(last) = page.found.last() else {
            return keys;
        };
        after = Some(last.key.id.clone());
        keys.extend(page.found.into_iter().map(|row| row.key));
        assert!(keys.len() <= ids().len(), "{keys:?}");
    }
}

#[tokio::test]
async fn pages_pass_every_type_of_id_in_the_servers_own_order() {
    let home = Home::new();
    filled(&home).await;
    let whole = keys_in_pages_of(&home, 100).await;
    assert_eq!(whole.len(), ids().len());
    assert_eq!(keys_in_pages_of(&home, 1).await, whole);
    assert_eq!(keys_in_pages_of(&home, 3).await, whole);
}

#[tokio::test]
async fn an_id_of_every_type_is_heard_read_and_deleted() {
    let home = Home::new();
    let source = home.open().await;
    let mut watch = source.watch(None).await.unwrap();
    filled(&home).await;
    let heard = edits(&mut watch, ids().len()).await;
    let keys = keys_in_pages_of(&home, 100).await;
    let mut heard: Vec<_> = heard.iter().map(|event| said(event).0).collect();
    let mut shown: Vec<_> = keys.iter().map(DocumentKey::entry_id).collect();
    heard.sort();
    shown.sort();
    assert_eq!(heard, shown);
    let reading = source.read(keys.clone()).await.unwrap();
    assert!(reading.found.iter().all(Option::is_some), "{reading:?}");
    assert_eq!(source.delete(keys.clone()).await.unwrap(), keys.len());
}

#[tokio::test]
async fn what_is_given_to_a_document_leaves_its_other_values_as_they_are() {
    let home = Home::new();
    filled(&home).await;
    let source = home.open().await;
    let posts = home.database().await.collection::<Document>("posts");
    let exact = doc! {
        "long": 5_i64, "double": 5.0, "decimal": "1.50".parse::<Decimal128>().unwrap(), "a.b": 1,
    };
    let whole = doc! { "$set": { "exact": exact.clone() } };
    posts.update_many(doc! {}, whole).await.unwrap();
    let given = |key| lockstep::document::Document {
        key,
        fields: [("author".to_owned(), "Ada".into())].into_iter().collect(),
    };
    let keys = keys_in_pages_of(&home, 100).await;
    let batch = keys.into_iter().map(given).collect();
    source.amend(batch).await.unwrap();
    let asked = posts.find(doc! {}).await.unwrap();
    let found: Vec<Document> = asked.try_collect().await.unwrap();
    assert_eq!(found.len(), ids().len());
    for document in found {
        assert_eq!(document.get_str("author").unwrap(), "Ada", "{document}");
        assert_eq!(
            document.get_document("exact").unwrap(),
            &exact,
            "{document}"
        );
        assert_eq!(document.get_i32("v").unwrap(), 1);
    }
}

#[tokio::test]
async fn an_id_that_is_not_written_from_here_keeps_no_other_from_being_changed_or_deleted() {
    let home = Home::new();
    let source = home.open().await;
    let posts = home.database().await.collection::<Document>("posts");
    let deep = (0..130).fold(doc! { "x": 1 }, |inner, _| doc! { "x": inner });
    let both = [doc! { "_id": deep }, doc! { "_id": "plain" }];
    posts.insert_many(both).await.unwrap();
    let keys = keys_in_pages_of(&home, 100).await;
    assert_eq!(keys.len(), 2);
    let given = |key: &DocumentKey| lockstep::document::Document {
        key: key.clone(),
        fields: [("author".to_owned(), "Ada".into())].into_iter().collect(),
    };
    for keys in [keys.clone(), keys.into_iter().rev().collect()] {
        let refused = source.amend(keys.iter().map(given).collect()).await;
        assert!(refused.unwrap_err().to_string().contains("own tools"));
        assert_eq!(changed(&posts).await, 1);
        let refused = source.delete(keys).await;
        assert!(refused.unwrap_err().to_string().contains("own tools"));
        assert_eq!(changed(&posts).await, 0);
        posts.insert_one(doc! { "_id": "plain" }).await.unwrap();
    }
}

async fn changed(posts: &Collection<Document>) -> u64 {
    posts
        .count_documents(doc! { "author": "Ada" })
        .await
        .unwrap()
}
