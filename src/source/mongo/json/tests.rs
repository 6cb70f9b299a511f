use bson::oid::ObjectId;
use bson::raw::cstr;
use bson::{Decimal128, RawDocumentBuf, doc, rawdoc};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn a_key() -> DocumentKey {
    DocumentKey::text("posts", "a")
}

fn read(stored: &RawDocument) -> Value {
    Value::Object(fields(&a_key(), stored).unwrap())
}

fn fields_of(stored: &BsonDocument) -> Value {
    read(&RawDocumentBuf::try_from(stored).unwrap())
}

/// A document of these bytes with every `~` made a byte that no text has.
fn garbled(stored: RawDocumentBuf) -> RawDocumentBuf {
    let bytes = stored.into_bytes().into_iter();
    let bytes = bytes.map(|byte| if byte == b'~' { 0xff } else { byte });
    RawDocumentBuf::from_bytes(bytes.collect()).unwrap()
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

/// Whatever a server may hold is carried in the form that extended JSON has for it.
#[test]
fn values_of_every_type_are_carried() {
    let hex = "65f0a1b2c3d4e5f6a7b8c9d0";
    let values = json!({
        "undefined": {"$undefined": true},
        "symbol": {"$symbol": "s"},
        "code": {"$code": "f()"},
        "scope": {"$code": "f()", "$scope": {"n": 5, "nan": {"$numberDouble": "NaN"}}},
        "pointer": {"$dbPointer": {"$ref": "db.c", "$id": {"$oid": hex}}},
        "pattern": {"$regularExpression": {"pattern": "^a", "options": "im"}},
        "least": {"$minKey": 1},
        "most": {"$maxKey": 1},
        "decimal": {"$numberDecimal": "NaN"},
        "endless": {"$numberDecimal": "-Infinity"},
        "far": {"$date": {"$numberLong": "9223372036854775807"}},
        "long ago": {"$date": {"$numberLong": "-9223372036854775808"}},
        "time": {"$timestamp": {"t": 4_294_967_295_u32, "i": 0}},
        "old": {"$binary": {"base64": "AQID", "subType": "02"}},
        "vector": {"$binary": {"base64": "JwAA", "subType": "09"}},
        "other": {"$binary": {"base64": "AQID", "subType": "ff"}},
        "": {"": "a\u{0}b"},
    });
    let mut stored: BsonDocument = serde_json::from_value(values.clone()).unwrap();
    let mut expected = values;
    // Names that mean something elsewhere.
    let oid = ObjectId::parse_str(hex).unwrap();
    stored.insert("a.b", doc! { "$set": 1, "$oid": oid });
    expected["a.b"] = json!({"$set": 1, "$oid": {"$oid": hex}});
    assert_eq!(fields_of(&stored).to_string(), expected.to_string());
}

#[test]
fn any_bits_are_a_decimal() {
    for bits in [[0xff; 16], [0x7f; 16], [0x6f; 16], [0; 16]] {
        let read = fields_of(&doc! { "a": Decimal128::from_bytes(bits) });
        assert!(read["a"]["$numberDecimal"].is_string(), "{read}");
    }
}

#[test]
fn of_two_fields_of_one_name_the_later_one_counts() {
    let mut stored = rawdoc! { "_id": 1, "a": 1, "b": 2 };
    stored.append(cstr!("a"), 3);
    assert_eq!(read(&stored).to_string(), r#"{"a":3,"b":2}"#);
}

#[test]
fn text_that_is_not_utf8_is_read_with_replacement_characters() {
    let stored = rawdoc! { "_id": "~", "a": "~yz", "b~": { "~": ["~yz", { "c~": "~" }] }, "d": 5 };
    let text = r#"{"a":"?yz","b?":{"?":["?yz",{"c?":"?"}]},"d":5}"#;
    let text = text.replace('?', "\u{fffd}");
    assert_eq!(read(&garbled(stored)).to_string(), text);
}

/// What readers of JSON would give up at arrives as text, and they take all of the document.
#[test]
fn what_is_nested_too_deep_for_json_is_carried_as_text() {
    let levels = |count: usize| {
        let mut stored = rawdoc! { "leaf": "found" };
        for level in 1..count {
            // Every other one is a list.
            let inner = std::mem::take(&mut stored);
            stored = if level % 2 == 0 {
                rawdoc! { "a": [inner] }
            } else {
                rawdoc! { "a": inner }
            };
        }
        stored
    };
    let whole = read(&rawdoc! { "a": levels(60) }).to_string();
    assert!(!whole.contains('\\'), "{whole}");
    for count in [80, 110, 115] {
        let stored = rawdoc! { "deep": levels(count), "beside": "kept" };
        let read = read(&stored).to_string();
        let again: Value = serde_json::from_str(&read).unwrap();
        assert_eq!(again["beside"], "kept");
        assert!(read.contains("leaf") && read.contains("found"), "{read}");
        // The quotes of the text within are escaped.
        assert!(read.contains('\\'), "{read}");
    }
}

#[test]
fn a_hundred_levels_stay_as_they_are() {
    let mut stored = rawdoc! { "leaf": DateTime::from_millis(0) };
    for _ in 1..100 {
        stored = rawdoc! { "a": stored };
    }
    let text = read(&stored).to_string();
    assert!(!text.contains('\\'), "{text}");
    serde_json::from_str::<Value>(&text).unwrap();
    let deeper = read(&rawdoc! { "a": stored }).to_string();
    assert!(deeper.contains('\\'), "{deeper}");
}

#[test]
fn a_damaged_document_is_carried_up_to_the_damage() {
    let mut bytes = rawdoc! { "_id": 1, "a": 1, "b": { "c": 2, "d": 3 }, "e": 4 }.into_bytes();
    let at = bytes.windows(3).position(|it| it == b"\x10d\0").unwrap();
    // No type of BSON.
    bytes[at] = 0x20;
    let stored = RawDocumentBuf::from_bytes(bytes).unwrap();
    assert_eq!(read(&stored), json!({"a": 1, "b": {"c": 2}, "e": 4}));
}

proptest! {
    /// What people wrote as JSON comes back as it was.
    #[test]
    fn stored_fields_come_back(texts in prop::collection::vec(("[a-z/.]{1,8}", ".*"), 0..4), number in any::<i64>(), double in -1e300_f64..1e300) {
        let mut fields = serde_json::Map::new();
        fields.insert("n".into(), json!({"i": number, "d": double, "l": [null, true]}));
        fields.extend(texts.into_iter().map(|(name, text)| (name, text.into())));
        let stored = stored(&a_key(), fields.clone()).unwrap();
        prop_assert_eq!(fields_of(&stored), Value::Object(fields));
    }

    /// Whatever bytes a document has between its first and its last, it is read.
    #[test]
    fn no_bytes_stop_a_reading(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
        let mut bytes = rawdoc! {
            "_id": 1, "a": "text", "b": { "c": [1_i64, "x", { "d": true }] }, "e": 2.5, "f": null,
            "g": Binary { subtype: BinarySubtype::BinaryOld, bytes: vec![1] },
        }
        .into_bytes();
        let inner = bytes.len() - 5;
        for (at, byte) in changes {
            bytes[4 + at.index(inner)] = byte;
        }
        let stored = RawDocumentBuf::from_bytes(bytes).unwrap();
        let read = read(&stored).to_string();
        prop_assert!(serde_json::from_str::<Value>(&read).is_ok());
    }
}
