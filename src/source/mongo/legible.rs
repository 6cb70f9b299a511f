//! Stored bytes that readers of BSON do not take, made legible. Pure.
//!
//! ```text
//! text that is no UTF-8 ──────> replacement characters     in names, strings, code, patterns
//! a value that cannot be ─────> what it can only mean      a boolean of 2, an old binary of another length
//! no BSON from here on ───────> the document ends here     and is said not to be whole
//! ```
//!
//! A server looks at little more than the lengths in what it is given, and keeps what programs wrote that took any
//! bytes for text. One such document must not stop every other.

use std::borrow::Cow;
use std::collections::HashSet;

use bson::spec::{BinarySubtype, ElementType};
use bson::{RawDocument, RawDocumentBuf};

/// Bytes of a length as BSON writes it.
const LENGTH_BYTES: usize = 4;
const OBJECT_ID_BYTES: usize = 12;

/// A document that can be read.
#[derive(Debug)]
pub(super) struct Legible {
    pub(super) document: RawDocumentBuf,
    /// False where something is left out that could not be told apart.
    pub(super) is_whole: bool,
}

/// The document with all that can be read of it.
///
/// # Errors
/// Only for a document that has become larger than BSON can say.
pub(super) fn legible(document: &RawDocument) -> Result<Legible, bson::error::Error> {
    let mut writer = Writer::default();
    writer.document(document.as_bytes());
    Ok(Legible {
        document: RawDocumentBuf::from_bytes(writer.bytes)?,
        is_whole: !writer.is_damaged,
    })
}

/// The first field of this name, alone in a document and in its own bytes, legible or not.
pub(super) fn alone(document: &RawDocument, name: &str) -> Option<RawDocumentBuf> {
    let mut elements = Elements::of(document.as_bytes());
    let found = elements.find(|element| element.name == name.as_bytes())?;
    let mut writer = Writer::default();
    let start = writer.open();
    writer.bytes.push(found.kind as u8);
    writer.terminated(found.name);
    writer.terminated(found.value);
    writer.count(start, start);
    RawDocumentBuf::from_bytes(writer.bytes).ok()
}

/// Writes BSON.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    is_damaged: bool,
}

impl Writer {
    fn document(&mut self, document: &[u8]) {
        let start = self.open();
        let names = Elements::of(document).map(|element| std::str::from_utf8(element.name));
        let mut taken: HashSet<_> = names.filter_map(Result::ok).map(Cow::Borrowed).collect();
        let mut elements = Elements::of(document);
        for element in elements.by_ref() {
            self.bytes.push(element.kind as u8);
            self.terminated(name(element.name, &mut taken).as_bytes());
            self.value(element.kind, element.value);
        }
        self.is_damaged |= elements.is_damaged;
        self.bytes.push(0);
        self.count(start, start);
    }

    fn value(&mut self, kind: ElementType, value: &[u8]) {
        match kind {
            ElementType::String | ElementType::JavaScriptCode | ElementType::Symbol => {
                self.text(value);
            }
            ElementType::DbPointer => {
                let (namespace, id) = value.split_at(value.len().saturating_sub(OBJECT_ID_BYTES));
                self.text(namespace);
                self.bytes.extend_from_slice(id);
            }
            ElementType::EmbeddedDocument | ElementType::Array => self.document(value),
            ElementType::JavaScriptCodeWithScope => self.code(value),
            ElementType::RegularExpression => self.pattern(value),
            ElementType::Boolean => self.bytes.push(u8::from(value != [0])),
            ElementType::Binary => self.binary(value),
            _ => self.bytes.extend_from_slice(value),
        }
    }

    /// A string with its length before it.
    fn text(&mut self, counted: &[u8]) {
        let text = counted.get(LENGTH_BYTES..).unwrap_or_default();
        let text = String::from_utf8_lossy(text.strip_suffix(&[0]).unwrap_or(text));
        let start = self.open();
        self.terminated(text.as_bytes());
        self.count(start, start + LENGTH_BYTES);
    }

    /// Code, and the document of what it knows.
    fn code(&mut self, value: &[u8]) {
        let parts = value.get(LENGTH_BYTES..).unwrap_or_default();
        let code = size(ElementType::JavaScriptCode, parts);
        let parts = code.and_then(|size| parts.split_at_checked(size));
        let (code, scope) = parts.unwrap_or_default();
        let start = self.open();
        self.text(code);
        self.document(scope);
        self.count(start, start);
    }

    /// A pattern and its options.
    fn pattern(&mut self, value: &[u8]) {
        let mut rest = value;
        for _ in 0..2 {
            let (text, after) = terminated(rest).unwrap_or_default();
            self.terminated(String::from_utf8_lossy(text).as_bytes());
            rest = after;
        }
    }

    /// The old kind of binary says its length twice. Where both differ, all of it is taken for bytes.
    fn binary(&mut self, value: &[u8]) {
        let subtype_at = self.bytes.len() + LENGTH_BYTES;
        self.bytes.extend_from_slice(value);
        let is_old = value.get(LENGTH_BYTES) == Some(&u8::from(BinarySubtype::BinaryOld));
        let data = value.get(LENGTH_BYTES + 1..).unwrap_or_default();
        let said = length(data).and_then(|length| length.checked_add(LENGTH_BYTES));
        if is_old
            && said != Some(data.len())
            && let Some(subtype) = self.bytes.get_mut(subtype_at)
        {
            *subtype = BinarySubtype::Generic.into();
        }
    }

    fn terminated(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.bytes.push(0);
    }

    /// Leaves room for a length; returns where.
    fn open(&mut self) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        start
    }

    /// Says there how many bytes have come since.
    fn count(&mut self, start: usize, since: usize) {
        let count = i32::try_from(self.bytes.len() - since).unwrap_or(i32::MAX);
        if let Some(length) = self.bytes.get_mut(start..start + LENGTH_BYTES) {
            length.copy_from_slice(&count.to_le_bytes());
        }
    }
}

/// A name that no other field of its document has: two that differ stay two.
fn name<'a>(name: &'a [u8], taken: &mut HashSet<Cow<'a, str>>) -> Cow<'a, str> {
    let mut legible = String::from_utf8_lossy(name);
    if let Cow::Owned(text) = &mut legible {
        while !taken.insert(Cow::Owned(text.clone())) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    legible
}

/// A field, in bytes.
struct Element<'a> {
    kind: ElementType,
    name: &'a [u8],
    value: &'a [u8],
}

/// The fields of a document, as far as they can be told apart.
struct Elements<'a> {
    rest: &'a [u8],
    is_damaged: bool,
}

impl<'a> Elements<'a> {
    fn of(document: &'a [u8]) -> Self {
        let end = document.len().checked_sub(1);
        let inner = end.and_then(|end| document.get(LENGTH_BYTES..end));
        Self {
            rest: inner.unwrap_or_default(),
            is_damaged: inner.is_none(),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let found = element(self.rest);
        self.is_damaged |= found.is_none();
        let (element, rest) = found?;
        self.rest = rest;
        Some(element)
    }
}

/// The field that begins here, and what follows it.
fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let kind = ElementType::from(*kind)?;
    let (name, rest) = terminated(rest)?;
    let (value, rest) = rest.split_at_checked(size(kind, rest)?)?;
    Some((Element { kind, name, value }, rest))
}

/// The bytes before the next zero, and those behind it.
fn terminated(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// How many bytes a value of this kind takes that begins here.
fn size(kind: ElementType, bytes: &[u8]) -> Option<usize> {
    let counted = |least: usize, besides: usize| {
        let count = length(bytes).filter(|count| *count >= least)?;
        count.checked_add(besides)
    };
    match kind {
        ElementType::Null | ElementType::Undefined | ElementType::MinKey | ElementType::MaxKey => {
            Some(0)
        }
        ElementType::Boolean => Some(1),
        ElementType::Int32 => Some(4),
        ElementType::Int64
        | ElementType::Double
        | ElementType::DateTime
        | ElementType::Timestamp => Some(8),
        ElementType::ObjectId => Some(OBJECT_ID_BYTES),
        ElementType::Decimal128 => Some(16),
        ElementType::String | ElementType::JavaScriptCode | ElementType::Symbol => {
            counted(1, LENGTH_BYTES)
        }
        ElementType::DbPointer => counted(1, LENGTH_BYTES + OBJECT_ID_BYTES),
        ElementType::Binary => counted(0, LENGTH_BYTES + 1),
        ElementType::EmbeddedDocument | ElementType::Array => counted(LENGTH_BYTES + 1, 0),
        // Its own length, the code's with the zero behind it, and an empty document.
        ElementType::JavaScriptCodeWithScope => counted(LENGTH_BYTES + 5 + 5, 0),
        ElementType::RegularExpression => {
            let (_, options) = terminated(bytes)?;
            let (_, after) = terminated(options)?;
            Some(bytes.len() - after.len())
        }
    }
}

/// The length that is written here.
fn length(bytes: &[u8]) -> Option<usize> {
    let (length, _) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    usize::try_from(i32::from_le_bytes(*length)).ok()
}

#[cfg(test)]
mod tests;
