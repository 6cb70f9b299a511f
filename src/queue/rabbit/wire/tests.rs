//! Round trips, and the vectors that another producer or consumer has to meet.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::change::{Act, Time};

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zé\"\\\\\n]{0,12}".prop_map(Value::from),
        any::<i32>().prop_map(|date| json!({"$date": date})),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let name = prop_oneof![Just("type".to_owned()), "[a-z_$]{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_fields() -> impl Strategy<Value = Vec<(String, Value)>> {
    let name = prop_oneof![
        Just("type".to_owned()),
        Just("entry_id".to_owned()),
        Just("lockstep_own".to_owned()),
        "[a-z_]{1,8}",
    ];
    prop::collection::vec((name, any_value()), 0..8)
}

fn any_change() -> impl Strategy<Value = Change> {
    let operation = prop_oneof![
        Just(Operation::Insert),
        Just(Operation::Update),
        Just(Operation::Replace),
        Just(Operation::Delete),
        Just(Operation::Snapshot),
        Just(Operation::Fill),
    ];
    let id = prop_oneof![
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!({"$oid": "65f0a1b2c3d4e5f6a7b8c9d0"})),
        Just(json!({"a": 1, "b": "two"})),
    ];
    let times = (any::<[u8; 16]>(), 0..u64::MAX / 2);
    (operation, id, any_fields(), times).prop_map(
        |(operation, id, fields, (version, committed))| {
            let key = DocumentKey::from_json("articles", &id).unwrap();
            let fields = (operation != Operation::Delete).then(|| fields.into_iter().collect());
            Change::new(
                key,
                Version::from_bytes(version),
                operation,
                fields,
                committed,
            )
        },
    )
}

proptest! {
    #[test]
    fn a_change_comes_back_as_it_was_and_in_its_order(change in any_change()) {
        let envelope = encode(&Message::Change(change.clone()), 0);
        let back = decode(&envelope.properties, &envelope.body).unwrap();
        let order = |change: &Change| {
            let fields = change.fields.clone().unwrap_or_default();
            fields.keys().cloned().collect::<Vec<_>>()
        };
        let Message::Change(found) = &back else { panic!("{back:?}") };
        prop_assert_eq!(order(found), order(&change));
        prop_assert_eq!(back, Message::Change(change));
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in any::<Vec<u8>>(), kind in "[a-z]{0,8}") {
        let properties = BasicProperties::default().with_type(kind.into());
        decode(&properties, &body).ok();
    }
}

/// Parsed by the quick rule of an earlier build, it came back as 0.22396926348940857.
#[test]
fn a_double_keeps_its_last_digit() {
    let key = DocumentKey::text("articles", "a");
    let share = 0.223_969_263_489_408_54_f64;
    let fields = json!({"share": share, "in": [{"deep": share}]});
    let fields = fields.as_object().cloned();
    let change = Change::new(key, Version::NONE, Operation::Insert, fields, 0);
    let envelope = encode(&Message::Change(change.clone()), 0);
    assert!(String::from_utf8_lossy(&envelope.body).contains("0.22396926348940854"));
    let back = decode(&envelope.properties, &envelope.body);
    assert_eq!(back, Ok(Message::Change(change)));
}

#[test]
fn a_barrier_comes_back_as_it_was() {
    let version = Version::read(1, Time::from_sequence(u64::MAX));
    let floor = Barrier::Floor {
        id: Uuid::from_u128(7),
        kind: "posts".to_owned(),
        version,
        act: Act::WhenPassed,
    };
    let end = Barrier::End {
        generation: 1,
        partitions: 4,
        next: 8,
    };
    let watermark = Barrier::watermark(3, Time::from_sequence(9), 12);
    for barrier in [floor, watermark, end] {
        let envelope = encode(&Message::Barrier(barrier.clone()), 0);
        assert!(is_barrier(&envelope.properties));
        let back = decode(&envelope.properties, &envelope.body);
        assert_eq!(back, Ok(Message::Barrier(barrier)));
    }
}

#[test]
fn the_wire_form_is_pinned() {
    let id = json!({"$oid": "65f0a1b2c3d4e5f6a7b8c9d0"});
    let key = DocumentKey::from_json("articles", &id).unwrap();
    let version = "2.1700000000.3.0".parse().unwrap();
    let fields = json!({"type": "essay", "link": "https://example.org/a"});
    let fields = fields.as_object().cloned();
    let change = Change::new(key, version, Operation::Update, fields, 1_700_000_000_123);
    let Envelope { properties, body } = encode(&Message::Change(change), 0);
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"type":"articles","link":"https://example.org/a","entry_id":"65f0a1b2c3d4e5f6a7b8c9d0","lockstep_own":{"type":"essay"}}"#
    );
    let of = |name| header(&properties, name).cloned().unwrap();
    let key = r#"{"type":"articles","id":"{\"$oid\":\"65f0a1b2c3d4e5f6a7b8c9d0\"}"}"#;
    assert_eq!(of("lockstep-key"), text(key));
    assert_eq!(of("lockstep-version"), text("2.1700000000.3.0"));
    assert_eq!(of("lockstep-schema"), AMQPValue::LongLongInt(1));
    assert_eq!(
        of("lockstep-committed-ms"),
        AMQPValue::LongLongInt(1_700_000_000_123)
    );
    assert_eq!(*properties.timestamp(), Some(1_700_000_000));
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(properties.kind().as_ref().unwrap().as_str(), "update");
    let kind = properties.content_type().as_ref().unwrap();
    assert_eq!(kind.as_str(), "application/json");
}

#[test]
fn a_delete_holds_only_what_names_the_document() {
    let key = DocumentKey::text("posts", "a");
    let change = Change::new(key, Version::NONE, Operation::Delete, None, 0);
    let envelope = encode(&Message::Change(change), 0);
    assert_eq!(envelope.body, br#"{"type":"posts","entry_id":"a"}"#);
}

fn seed(body: &Value) -> Result<Message, Unreadable> {
    decode(&BasicProperties::default(), body.to_string().as_bytes())
}

fn seed_change(body: &Value) -> Change {
    match seed(body) {
        Ok(Message::Change(change)) => change,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_seed_producers_message_is_taken_without_a_version() {
    let body = json!({
        "platform": "medium", "content": {"Title": "T"}, "when": {"$date": 1_700_000_000_123_i64},
        "type": "articles", "entry_id": "65f0a1b2c3d4e5f6a7b8c9d0",
    });
    let change = seed_change(&body);
    assert_eq!(change.key.id, r#"{"$oid":"65f0a1b2c3d4e5f6a7b8c9d0"}"#);
    assert_eq!(
        (change.version, change.operation),
        (Version::NONE, Operation::Insert)
    );
    let fields = json!({
        "platform": "medium", "content": {"Title": "T"},
        "when": {"$date": "2023-11-14T22:13:20.123Z"},
    });
    assert_eq!(change.fields, fields.as_object().cloned());
    assert_eq!(
        seed_change(&body).message_id,
        change.message_id,
        "a repeat is recognised"
    );
}

#[test]
fn a_seed_producers_id_is_read_in_each_of_its_forms() {
    let id = |body: Value| seed_change(&body).key.id;
    assert_eq!(
        id(json!({"type": "posts", "entry_id": "my-post"})),
        "\"my-post\""
    );
    assert_eq!(
        id(json!({"type": "posts", "_id": 5, "entry_id": "5"})),
        r#"{"$numberInt":"5"}"#
    );
    let oid = json!({"$oid": "65f0a1b2c3d4e5f6a7b8c9d0"});
    assert_eq!(id(json!({"type": "posts", "_id": oid})), oid.to_string());
}

#[test]
fn what_is_no_message_says_why() {
    let why = |body: &[u8]| decode(&BasicProperties::default(), body).unwrap_err().why;
    assert!(why(b"{\"change\": 5").contains("no JSON"));
    assert!(why(b"[1]").contains("no JSON object"));
    assert!(why(br#"{"entry_id": "a"}"#).contains("type"));
    assert!(why(br#"{"type": "posts", "entry_id": 5}"#).contains("entry_id"));
    let mut headers = FieldTable::default();
    headers.insert(SCHEMA_HEADER.into(), AMQPValue::LongInt(2));
    let newer = BasicProperties::default().with_headers(headers);
    assert!(decode(&newer, b"{}").unwrap_err().why.contains("schema 2"));
}
