//! `_id` of every type, mixed in one collection.

use lockstep::change::DocumentKey;
use lockstep::source::Source as _;
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
