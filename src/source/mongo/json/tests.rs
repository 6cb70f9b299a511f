use bson::oid::ObjectId;
use bson::{Decimal128, RawDocumentBuf, Timestamp, doc, rawdoc};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The text of an `_id`, by way of the server's bytes.
fn text_of(id: &Bson) -> String {
    let stored = bson::serialize_to_raw_document_buf(&doc! { "_id": id }).unwrap();
    id_text(stored.get("_id").unwrap().unwrap()).unwrap()
}

fn fields_of(stored: &BsonDocument) -> Value {
    let stored = bson::serialize_to_raw_document_buf(stored).unwrap();
    Value::Object(fields(&stored).unwrap())
}

#[test]
fn ids_read_as_the_rest_of_the_program_writes_them() {
    let hex = "65f0a1b2c3d4e5f6a7b8c9d0";
    let pairs: [(Bson, Value); 8] = [
        (5_i32.into(), json!(5)),
        ((1_i64 << 40).into(), json!(1_i64 << 40)),
        (5.5.into(), json!(5.5)),
        (5.0.into(), json!(5.0)),
        (1e300.into(), json!(1e300)),
        ("5".into(), json!("5")),
        (
            ObjectId::parse_str(hex).unwrap().into(),
            json!({"$oid": hex}),
        ),
        (Bson::Null, json!(null)),
    ];
    for (id, json) in pairs {
        let key = DocumentKey::from_json("posts", &json).unwrap();
        assert_eq!(text_of(&id), key.id);
    }
}

#[test]
fn ids_of_other_types_are_canonical_extended_json() {
    let bytes = vec![1, 2, 3];
    let (generic, uuid) = (BinarySubtype::Generic, BinarySubtype::Uuid);
    let binary = |subtype, bytes| Bson::Binary(Binary { subtype, bytes });
    let table: [(Bson, &str); 11] = [
        (5_i64.into(), r#"{"$numberLong":"5"}"#),
        (f64::NAN.into(), r#"{"$numberDouble":"NaN"}"#),
        (f64::NEG_INFINITY.into(), r#"{"$numberDouble":"-Infinity"}"#),
        (
            DateTime::from_millis(5).into(),
            r#"{"$date":{"$numberLong":"5"}}"#,
        ),
        (
            binary(generic, bytes),
            r#"{"$binary":{"base64":"AQID","subType":"00"}}"#,
        ),
        (
            binary(uuid, vec![0; 16]),
            r#"{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAAAA==","subType":"04"}}"#,
        ),
        (
            "1.50".parse::<Decimal128>().unwrap().into(),
            r#"{"$numberDecimal":"1.50"}"#,
        ),
        (
            Timestamp {
                time: 1,
                increment: 2,
            }
            .into(),
            r#"{"$timestamp":{"t":1,"i":2}}"#,
        ),
        (Bson::MinKey, r#"{"$minKey":1}"#),
        (Bson::MaxKey, r#"{"$maxKey":1}"#),
        (
            doc! { "b": 1, "a": { "c": [true, 2.5] } }.into(),
            r#"{"b":{"$numberInt":"1"},"a":{"c":[true,{"$numberDouble":"2.5"}]}}"#,
        ),
    ];
    for (id, text) in table {
        assert_eq!(text_of(&id), text);
        assert_eq!(text_of(&super::id(text).unwrap()), text);
    }
}

#[test]
fn fields_are_relaxed_and_in_their_order() {
    let stored = doc! {
        "_id": 1, "z": 1_i64, "a": [1.5, Bson::Null], "when": DateTime::from_millis(1_000),
        "before": DateTime::from_millis(-1), "more": { "nan": f64::NAN, "text": "x" },
    };
    let text = r#"{"z":1,"a":[1.5,null],"when":{"$date":"1970-01-01T00:00:01Z"},"before":{"$date":{"$numberLong":"-1"}},"more":{"nan":{"$numberDouble":"NaN"},"text":"x"}}"#;
    assert_eq!(fields_of(&stored).to_string(), text);
}

#[test]
fn text_that_is_not_utf8_is_read_with_replacement_characters() {
    let mut bytes = rawdoc! { "_id": 1, "a": "xyz", "b": { "c": "xyz" } }.into_bytes();
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(b"xyz") {
            bytes[at] = 0xff;
        }
    }
    let stored = RawDocumentBuf::from_bytes(bytes).unwrap();
    let read = Value::Object(fields(&stored).unwrap());
    assert_eq!(read, json!({"a": "\u{fffd}yz", "b": {"c": "\u{fffd}yz"}}));
}

#[test]
fn what_is_no_id_is_malformed() {
    assert!(matches!(id("{"), Err(Error::Malformed { .. })));
    assert!(matches!(
        id(r#"{"$oid":"5"}"#),
        Err(Error::Malformed { .. })
    ));
}

fn any_id() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![
        Just(Bson::Null),
        any::<bool>().prop_map(Bson::from),
        any::<i32>().prop_map(Bson::from),
        any::<i64>().prop_map(Bson::from),
        any::<f64>().prop_map(Bson::from),
        ".*".prop_map(Bson::from),
        any::<[u8; 12]>().prop_map(|bytes| ObjectId::from_bytes(bytes).into()),
        any::<i64>().prop_map(|at| DateTime::from_millis(at).into()),
        // Not every bit pattern: some that are equal have one text.
        (any::<i64>(), -500..500).prop_map(|(digits, exponent)| {
            let decimal: Decimal128 = format!("{digits}E{exponent}").parse().unwrap();
            decimal.into()
        }),
        any::<(u32, u32)>().prop_map(|(time, increment)| Timestamp { time, increment }.into()),
        any::<(u8, Vec<u8>)>().prop_map(|(subtype, bytes)| {
            // Subtype 2 repeats its length within, and 9 has a structure.
            let subtype = if matches!(subtype, 2 | 9) { 0 } else { subtype };
            let subtype = BinarySubtype::from(subtype);
            Bson::Binary(Binary { subtype, bytes })
        }),
        Just(Bson::MinKey),
        Just(Bson::MaxKey),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let fields = prop::collection::vec(("[a-z]{1,3}", inner.clone()), 0..4);
        prop_oneof![
            fields.prop_map(|fields| fields.into_iter().collect::<BsonDocument>().into()),
            prop::collection::vec(inner, 0..4).prop_map(|items| doc! { "a": items }.into()),
        ]
    })
}

proptest! {
    /// An `_id` is found again by its text, and its text is always the same.
    #[test]
    fn an_id_survives_its_text(id in any_id()) {
        let text = text_of(&id);
        let again = super::id(&text).unwrap();
        prop_assert_eq!(text_of(&again), text);
        let bytes = |id: &Bson| bson::serialize_to_vec(&doc! { "_id": id }).unwrap();
        // Not-a-numbers have many bit patterns and one text.
        if !text_of(&id).contains("NaN") {
            prop_assert_eq!(bytes(&again), bytes(&id));
        }
    }

    /// What people wrote as JSON comes back as it was.
    #[test]
    fn stored_fields_come_back(texts in prop::collection::vec(("[a-z/.]{1,8}", ".*"), 0..4), number in any::<i64>(), double in -1e300_f64..1e300) {
        let mut fields = serde_json::Map::new();
        fields.insert("n".into(), json!({"i": number, "d": double, "l": [null, true]}));
        fields.extend(texts.into_iter().map(|(name, text)| (name, text.into())));
        let key = DocumentKey::text("posts", "a");
        let stored = stored(&key, fields.clone()).unwrap();
        prop_assert_eq!(fields_of(&stored), Value::Object(fields));
    }
}
