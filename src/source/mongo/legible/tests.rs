use bson::{Binary, Document, doc, rawdoc};
use serde_json::json;

use super::*;

/// One value of every kind that holds text, and of some that hold none. This text ends each of the others.
fn every_kind(end: &str) -> RawDocumentBuf {
    let hex = "65f0a1b2c3d4e5f6a7b8c9d0";
    let values = json!({
        "_id": {"$oid": hex},
        "text~": "t~",
        "list": ["l~", {"in~": 1}],
        "code": {"$code": "c~"},
        "scope": {"$code": "s~", "$scope": {"n~": "v~"}},
        "symbol": {"$symbol": "y~"},
        "pattern": {"$regularExpression": {"pattern": "p~", "options": "i"}},
        "pointer": {"$dbPointer": {"$ref": "d~", "$id": {"$oid": hex}}},
        "bytes": {"$binary": {"base64": "fg==", "subType": "80"}},
        "decimal": {"$numberDecimal": "1.5"},
        "time": {"$timestamp": {"t": 1, "i": 2}},
        "no": false, "yes": true, "int": 5, "double": 2.5, "none": null,
        "least": {"$minKey": 1}, "most": {"$maxKey": 1}, "undefined": {"$undefined": true},
    });
    let values = values.to_string().replace('~', end);
    let values: Document = serde_json::from_str(&values).unwrap();
    RawDocumentBuf::try_from(values).unwrap()
}

/// These bytes with every `~` made a byte that no text has, but for the one in the binary.
fn garbled(stored: &RawDocument) -> RawDocumentBuf {
    let mut bytes = stored.as_bytes().to_vec();
    for at in 0..bytes.len() {
        if bytes[at] == b'~' && bytes.get(at + 1) == Some(&0) {
            bytes[at] = 0xff;
        }
    }
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

fn made_of(bytes: Vec<u8>) -> Legible {
    legible(&RawDocumentBuf::from_bytes(bytes).unwrap()).unwrap()
}

/// The document in which this value of one field, in bytes, is the only thing.
fn of_one(kind: ElementType, value: &[u8]) -> Vec<u8> {
    let length = i32::try_from(4 + 3 + value.len() + 1).unwrap();
    let parts = [
        &length.to_le_bytes()[..],
        &[kind as u8],
        b"a\0",
        value,
        &[0],
    ];
    parts.concat()
}

#[test]
fn what_is_legible_already_stays_as_it_is() {
    let stored = every_kind("~");
    let made = legible(&stored).unwrap();
    assert!(made.is_whole);
    assert_eq!(made.document, stored);
}

#[test]
fn text_that_is_no_utf8_is_replaced_wherever_text_can_stand() {
    let stored = garbled(&every_kind("~"));
    assert!(Document::try_from(&stored).is_err());
    let made = legible(&stored).unwrap();
    assert!(made.is_whole);
    assert_eq!(made.document, every_kind("\u{fffd}"));
}

#[test]
fn names_that_differ_in_what_is_replaced_stay_apart() {
    let mut stored = rawdoc! { "a?": 1, "a!": 2, "a\u{fffd}": 3 }.into_bytes();
    for (from, to) in [(b'?', 0xfe), (b'!', 0xff)] {
        let at = stored.iter().position(|byte| *byte == from).unwrap();
        stored[at] = to;
    }
    let read = Document::try_from(made_of(stored).document).unwrap();
    let expected = doc! { "a\u{fffd}\u{fffd}": 1, "a\u{fffd}\u{fffd}\u{fffd}": 2, "a\u{fffd}": 3 };
    assert_eq!(read, expected);
}

#[test]
fn values_that_cannot_be_become_what_they_can_only_mean() {
    let truth = made_of(of_one(ElementType::Boolean, &[2])).document;
    assert_eq!(truth, rawdoc! { "a": true });
    // An old binary of two bytes that says that it has nine.
    let old = [&6_i32.to_le_bytes()[..], &[2], &9_i32.to_le_bytes(), b"xy"].concat();
    let bytes = made_of(of_one(ElementType::Binary, &old)).document;
    let expected = Binary {
        subtype: BinarySubtype::Generic,
        bytes: b"\x09\0\0\0xy".to_vec(),
    };
    assert_eq!(bytes, rawdoc! { "a": expected });
}

#[test]
fn a_document_ends_where_it_is_damaged_and_what_holds_it_goes_on() {
    let broken: [(ElementType, &[u8]); 5] = [
        (ElementType::String, &[9, 0, 0, 0, b'x', 0]),
        (ElementType::String, &[0, 0, 0, 0]),
        (ElementType::EmbeddedDocument, &[4, 0, 0, 0]),
        (ElementType::RegularExpression, b"x"),
        (ElementType::Int64, &[1]),
    ];
    for (kind, value) in broken {
        let inner = RawDocumentBuf::from_bytes(of_one(kind, value)).unwrap();
        let made = legible(&rawdoc! { "in": inner, "after": 1 }).unwrap();
        assert!(!made.is_whole, "{kind:?}");
        assert_eq!(made.document, rawdoc! { "in": {}, "after": 1 }, "{kind:?}");
    }
}

#[test]
fn a_field_alone_has_its_own_bytes() {
    let stored = garbled(&rawdoc! { "more~": "x~", "_id": "caf~", "after": 1 });
    let found = alone(&stored, "_id").unwrap();
    assert_eq!(found, garbled(&rawdoc! { "_id": "caf~" }));
    assert!(alone(&stored, "id").is_none());
}
