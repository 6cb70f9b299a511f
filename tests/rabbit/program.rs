//! The same with pika and pymongo themselves, in processes of their own.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::*;
use crate::support::mongo::python;

const COUNT: usize = 3;

/// Runs a script of `tests/rabbit/seed` over a queue and gives what it printed.
fn run(script: &str, url: &str, queue: &str) -> String {
    let folder = Path::new("tests/rabbit/seed");
    let done = Command::new(python())
        .arg(folder.join(script))
        .args([url, queue, &COUNT.to_string()])
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn what_pika_sends_to_a_plain_queue_comes_to_our_consumer() {
    let settings = settings();
    let queue = open(&settings).await;
    let name = format!("{}-default", settings.name);
    run("producer.py", &settings.url, &name);
    let mut consumer = queue.consume((0..PARTITIONS).collect()).await.unwrap();
    let mut got = Vec::new();
    let receive = async {
        while got.len() < COUNT {
            for delivery in consumer.receive(COUNT).await.unwrap() {
                let Ok(Message::Change(change)) = delivery.message else {
                    panic!("{delivery:?}")
                };
                got.push(change);
            }
        }
    };
    tokio::select! {
        moved = queue.take_in(&name, |_| {}, std::future::pending()) => panic!("{moved:?}"),
        () = receive => {}
    }
    got.sort_by(|a, b| a.key.cmp(&b.key));
    for (number, change) in got.iter().enumerate() {
        let id = json!({"$oid": format!("{number:024x}")});
        assert_eq!(change.key, DocumentKey::from_json("articles", &id).unwrap());
        assert_eq!(change.version, Version::NONE);
        let expected = json!({
            "platform": "medium",
            "content": {"Title": format!("Title {number}"), "Content": "Text with ünïcode."},
            "link": format!("https://example.org/{number}"),
            "author_id": {"$oid": "65f0a1b2c3d4e5f6a7b8c9d1"},
            "published_at": {"$date": "2024-01-02T03:04:05.678Z"},
        });
        assert_eq!(Value::from(change.fields.clone().unwrap()), expected);
    }
}

#[tokio::test]
async fn pika_understands_our_messages_from_the_body_alone() {
    let mut settings = settings();
    let name = format!("{}-default", settings.name);
    settings.seed_consumers = Some(name.clone());
    let queue = open(&settings).await;
    let documents = [
        (
            "articles",
            json!({"platform": "medium", "content": {"Title": "A"}, "link": "l", "author_id": "u"}),
        ),
        (
            "posts",
            json!({"platform": "linkedin", "content": {"text": "P"}, "author_id": "u"}),
        ),
        (
            "repositories",
            json!({"name": "r", "content": {"a.rs": "fn"}, "link": "l", "owner_id": "u"}),
        ),
    ];
    let mut batch = Vec::new();
    for (number, (kind, fields)) in documents.iter().enumerate() {
        let id = json!({"$oid": format!("{number:024x}")});
        let key = DocumentKey::from_json(*kind, &id).unwrap();
        let version = Version::read(1, Time::from_sequence(number as u64));
        let fields = fields.as_object().cloned();
        let change = Change::new(key, version, Operation::Insert, fields, 0);
        batch.push(Outgoing::change(change, Lane::Live, PARTITIONS));
    }
    let confirms = publish(&queue, batch).await.unwrap();
    assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
    let printed = run("consumer.py", &settings.url, &name);
    let understood: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = documents
        .iter()
        .enumerate()
        .map(|(number, (kind, fields))| {
            let mut message = fields.clone();
            message["type"] = json!(kind);
            message["entry_id"] = json!(format!("{number:024x}"));
            message
        });
    assert_eq!(understood, expected.collect::<Vec<_>>());
}
