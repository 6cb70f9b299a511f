use bson::oid::ObjectId;
use bson::raw::cstr;
use bson::spec::BinarySubtype;
use bson::{
    Binary, DateTime, Decimal128, Document as BsonDocument, JavaScriptCodeWithScope, Timestamp,
    rawdoc,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The document of an `_id`, in the server's bytes.
fn alone(id: &Bson) -> RawDocumentBuf {
    RawDocumentBuf::try_from(doc! { "_id": id }).unwrap()
}

/// The text of an `_id`, by way of the server's bytes.
fn text_of(id: &Bson) -> String {
    key("posts", &alone(id)).unwrap().id
}

/// How a document is found again whose `_id` is in these bytes.
fn found_by(stored: &RawDocument) -> Id {
    id(&key("posts", stored).unwrap().id).unwrap()
}

/// These bytes with every `~` made a byte that no text has.
fn garbled(stored: RawDocumentBuf) -> RawDocumentBuf {
    let bytes = stored.into_bytes().into_iter();
    let bytes = bytes.map(|byte| if byte == b'~' { 0xe9 } else { byte });
    RawDocumentBuf::from_bytes(bytes.collect()).unwrap()
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
    let table: [(Bson, &str); 15] = [
        (5_i64.into(), r#"{"$numberLong":"5"}"#),
        (f64::NAN.into(), r#"{"$numberDouble":"NaN"}"#),
        (f64::NEG_INFINITY.into(), r#"{"$numberDouble":"-Infinity"}"#),
        (
            DateTime::from_millis(5).into(),
            r#"{"$date":{"$numberLong":"5"}}"#,
        ),
        (
            DateTime::from_millis(i64::MAX).into(),
            r#"{"$date":{"$numberLong":"9223372036854775807"}}"#,
        ),
        (
            binary(generic, bytes),
            r#"{"$binary":{"base64":"AQID","subType":"00"}}"#,
        ),
        (
            binary(BinarySubtype::BinaryOld, vec![1, 2, 3]),
            r#"{"$binary":{"base64":"AQID","subType":"02"}}"#,
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
            "NaN".parse::<Decimal128>().unwrap().into(),
            r#"{"$numberDecimal":"NaN"}"#,
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
        (Bson::Symbol("a".into()), r#"{"$symbol":"a"}"#),
        (
            doc! { "b": 1, "a": { "c": [true, 2.5] } }.into(),
            r#"{"b":{"$numberInt":"1"},"a":{"c":[true,{"$numberDouble":"2.5"}]}}"#,
        ),
    ];
    for (id, text) in table {
        assert_eq!(text_of(&id), text);
        assert_eq!(text_of(&value(text).unwrap()), text);
    }
}

#[test]
fn the_numbers_of_a_scope_keep_their_types() {
    let scope = doc! { "int": 5, "long": 5_i64, "double": 5.0 };
    let code = "f()".to_owned();
    let id: Bson = JavaScriptCodeWithScope { code, scope }.into();
    assert_eq!(found_by(&alone(&id)), Id::Value(id));
}

#[test]
fn an_id_is_found_among_other_fields_whatever_these_hold() {
    let fields = garbled(rawdoc! { "~": "~", "more": { "~": 1 }, "_id": 5 });
    assert_eq!(key("posts", &fields).unwrap().id, r#"{"$numberInt":"5"}"#);
    assert!(matches!(
        key("posts", &rawdoc! { "id": 5 }),
        Err(Error::Malformed { .. })
    ));
}

#[test]
fn an_id_that_is_no_utf8_goes_by_its_bytes_and_two_of_them_stay_two() {
    let nested = rawdoc! { "_id": { "caf~": 1, "more": "caf~" } };
    for stored in [garbled(rawdoc! { "_id": "caf~" }), garbled(nested)] {
        assert_eq!(found_by(&stored), Id::Bytes(stored));
    }
    let two = [b'~', b'^'].map(|byte| {
        let mut bytes = rawdoc! { "_id": "caf?" }.into_bytes();
        for at in &mut bytes {
            *at = if *at == b'?' { byte | 0x80 } else { *at };
        }
        let stored = RawDocumentBuf::from_bytes(bytes).unwrap();
        key("posts", &stored).unwrap()
    });
    assert_ne!(two[0], two[1]);
}

#[test]
fn an_id_that_its_text_would_not_lead_back_to_goes_by_its_bytes() {
    let mut deep = doc! { "a": 1 };
    for _ in 0..150 {
        deep = doc! { "a": deep };
    }
    let regex = json!({"$regularExpression": {"pattern": ".", "options": ""}});
    let undefined = json!({"$undefined": true});
    let parsed = |json| serde_json::from_value::<Bson>(json).unwrap();
    let ids: [Bson; 6] = [
        deep.into(),
        // Its text is that of a number.
        doc! { "$numberInt": "5" }.into(),
        // Its text is none at all.
        doc! { "a": { "$oid": "5" } }.into(),
        // Queries take these for operators, patterns, nothing.
        doc! { "$gt": 5 }.into(),
        parsed(regex),
        parsed(undefined),
    ];
    for id in ids {
        let stored = alone(&id);
        assert_eq!(found_by(&stored), Id::Bytes(stored), "{id:?}");
    }
    let mut twice = rawdoc! { "a": 1 };
    twice.append(cstr!("a"), 1);
    let twice = rawdoc! { "_id": twice };
    assert_eq!(found_by(&twice), Id::Bytes(twice));
}

#[test]
fn what_goes_by_its_bytes_is_not_written() {
    let stored = garbled(rawdoc! { "_id": "caf~" });
    let error = value(&key("posts", &stored).unwrap().id).unwrap_err();
    assert!(error.to_string().contains("MongoDB's own tools"), "{error}");
}

#[test]
fn what_is_no_id_is_malformed() {
    let bytes = |bytes: &[u8]| json!({ BYTES: json::bytes(bytes).unwrap() }).to_string();
    let two = rawdoc! { "_id": 5, "a": 6 };
    let other = rawdoc! { "id": 5 };
    for text in [
        "{",
        r#"{"$oid":"5"}"#,
        &bytes(b"5"),
        &bytes(two.as_bytes()),
        &bytes(other.as_bytes()),
    ] {
        assert!(matches!(id(text), Err(Error::Malformed { .. })), "{text}");
    }
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
        any::<[u8; 16]>().prop_map(|bytes| Decimal128::from_bytes(bytes).into()),
        (any::<i64>(), -500..500).prop_map(|(digits, exponent)| {
            let decimal: Decimal128 = format!("{digits}E{exponent}").parse().unwrap();
            decimal.into()
        }),
        any::<(u32, u32)>().prop_map(|(time, increment)| Timestamp { time, increment }.into()),
        any::<(u8, Vec<u8>)>().prop_map(|(subtype, bytes)| {
            let subtype = BinarySubtype::from(subtype);
            Bson::Binary(Binary { subtype, bytes })
        }),
        Just(Bson::MinKey),
        Just(Bson::MaxKey),
        Just(Bson::Undefined),
        ".*".prop_map(Bson::Symbol),
        ".*".prop_map(Bson::JavaScriptCode),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let fields = prop::collection::vec(("[a-z$]{0,3}", inner.clone()), 0..4);
        prop_oneof![
            fields.prop_map(|fields| fields.into_iter().collect::<BsonDocument>().into()),
            prop::collection::vec(inner, 0..4).prop_map(|items| doc! { "a": items }.into()),
        ]
    })
}

proptest! {
    /// An `_id` is found again by its text, exactly, and its text is always the same.
    #[test]
    fn an_id_survives_its_text(id in any_id()) {
        let stored = alone(&id);
        let text = text_of(&id);
        let again = match super::id(&text).unwrap() {
            Id::Value(value) => alone(&value),
            Id::Bytes(bytes) => bytes,
        };
        prop_assert_eq!(&key("posts", &again).unwrap().id, &text);
        // Not-a-numbers have many bit patterns and one text.
        if !matches!(id, Bson::Double(double) if double.is_nan()) {
            prop_assert_eq!(again, stored);
        }
    }
}
