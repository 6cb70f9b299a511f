//! A message as it travels: AMQP properties, headers, and a body of the seed's shape. No IO.
//!
//! ```text
//! Change ──encode──> type, message_id, timestamp │ lockstep-key, -version, … │ fields, type, entry_id
//! Change <─decode──  ours: headers decide        │ a seed producer's: the body alone (body.rs)
//! ```

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use uuid::Uuid;

use super::body;
use crate::change::{Barrier, Change, DocumentKey, Message, Operation, Version};
use crate::queue::Unreadable;

/// The headers' layout; raised when an older reader would misread it.
const SCHEMA: i64 = 1;

const KEY_HEADER: &str = "lockstep-key";
const VERSION_HEADER: &str = "lockstep-version";
const SCHEMA_HEADER: &str = "lockstep-schema";
/// AMQP's own timestamp has seconds only.
const COMMITTED_HEADER: &str = "lockstep-committed-ms";
/// Says that the body keeps fields of the document's own under [`body::OWN`].
const OWN_HEADER: &str = "lockstep-own";

const BARRIER_KIND: &str = "barrier";

/// What is handed to the broker.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Envelope {
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

impl Envelope {
    /// A persistent message of this `type`, with an id.
    pub(super) fn new(kind: &str, id: Uuid, headers: FieldTable, body: Vec<u8>) -> Self {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("application/json".into())
            .with_message_id(id.to_string().into())
            .with_type(kind.into())
            .with_headers(headers);
        Self { properties, body }
    }

    /// Roughly what it takes in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + 1_024
    }
}

/// How often the broker gave it to a consumer, this time included; versions differ in which they count.
pub(super) fn attempt(message: &Delivery) -> u32 {
    let count = |name| {
        let counted = header(&message.properties, name).and_then(integer);
        counted
            .and_then(|counted| u32::try_from(counted).ok())
            .unwrap_or(0)
    };
    let before = count("x-delivery-count").max(count("x-acquired-count"));
    before.max(u32::from(message.redelivered)).saturating_add(1)
}

/// A message for the broker; `size` is about how many bytes its body will have.
pub(super) fn encode(message: &Message, size: usize) -> Envelope {
    match message {
        Message::Change(change) => encode_change(change, size),
        Message::Barrier(barrier) => encode_barrier(barrier),
    }
}

/// Bytes of a key as JSON. All headers of a message go into one frame of the protocol, which a broker refuses
/// together with the whole connection where it is longer than was agreed on, and a parked record has a key, too.
const KEY_BYTES_MAX: usize = 8 << 10;

/// Why a document of this key cannot be sent, in words; none for nearly all of them.
pub(super) fn unsendable(key: &DocumentKey) -> Option<String> {
    // JSON makes six bytes of one at most, so that nearly every key is known to fit without being written.
    if 6 * (key.kind.len() + key.id.len()) < KEY_BYTES_MAX / 2 {
        return None;
    }
    let bytes = key_text(key).len();
    (bytes > KEY_BYTES_MAX).then(|| {
        let begins: String = key.to_string().chars().take(80).collect();
        format!(
            "a document whose type and _id take {bytes} bytes as JSON, where a message holds {KEY_BYTES_MAX}: {begins}…"
        )
    })
}

fn key_text(key: &DocumentKey) -> String {
    serde_json::to_string(key).expect("a key should be JSON: it is two texts")
}

fn encode_change(change: &Change, size: usize) -> Envelope {
    let (body, own) = body::encode(&change.key, change.fields.as_ref(), size);
    let mut headers = FieldTable::default();
    let committed_ms = i64::try_from(change.committed_ms).unwrap_or(i64::MAX);
    headers.insert(KEY_HEADER.into(), text(key_text(&change.key)));
    headers.insert(VERSION_HEADER.into(), text(change.version.to_string()));
    headers.insert(SCHEMA_HEADER.into(), AMQPValue::LongLongInt(SCHEMA));
    headers.insert(
        COMMITTED_HEADER.into(),
        AMQPValue::LongLongInt(committed_ms),
    );
    if own {
        headers.insert(OWN_HEADER.into(), AMQPValue::Boolean(true));
    }
    let kind = operation_name(change.operation);
    let mut envelope = Envelope::new(kind, change.message_id, headers, body);
    let seconds = change.committed_ms / 1_000;
    envelope.properties = envelope.properties.with_timestamp(seconds);
    envelope
}

fn encode_barrier(barrier: &Barrier) -> Envelope {
    let body = serde_json::to_vec(barrier).unwrap_or_default();
    let mut headers = FieldTable::default();
    headers.insert(SCHEMA_HEADER.into(), AMQPValue::LongLongInt(SCHEMA));
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &body);
    Envelope::new(BARRIER_KIND, id, headers, body)
}

/// The message in these bytes, whoever sent it.
pub(super) fn decode(properties: &BasicProperties, body: &[u8]) -> Result<Message, Unreadable> {
    let schema = header(properties, SCHEMA_HEADER).and_then(integer);
    match schema {
        None => decode_seed(properties, body).map(Message::Change),
        Some(SCHEMA) if is_barrier(properties) => {
            let barrier = serde_json::from_slice(body);
            barrier
                .map(Message::Barrier)
                .map_err(|error| unreadable(error.to_string()))
        }
        Some(SCHEMA) => decode_change(properties, body).map(Message::Change),
        Some(other) => Err(unreadable(format!(
            "it has schema {other}, and this version reads {SCHEMA}: update this program"
        ))),
    }
}

/// True for a barrier, whatever its body holds.
pub(super) fn is_barrier(properties: &BasicProperties) -> bool {
    let kind = properties.kind().as_ref();
    kind.is_some_and(|kind| kind.as_str() == BARRIER_KIND)
        && header(properties, SCHEMA_HEADER).is_some()
}

fn decode_change(properties: &BasicProperties, body: &[u8]) -> Result<Change, Unreadable> {
    let operation = operation(properties).ok_or_else(|| unreadable("its type is none of ours"))?;
    let key = required(properties, KEY_HEADER)?;
    let key: DocumentKey =
        serde_json::from_str(&key).map_err(|error| unreadable(format!("{KEY_HEADER}: {error}")))?;
    let version: Version = required(properties, VERSION_HEADER)?
        .parse()
        .map_err(|error: crate::Error| unreadable(error.to_string()))?;
    let committed = header(properties, COMMITTED_HEADER).and_then(integer);
    let committed_ms = committed.and_then(|ms| u64::try_from(ms).ok());
    let own = header(properties, OWN_HEADER).is_some();
    let fields = body::decode(body, own)?;
    Ok(Change {
        message_id: message_id(properties, body),
        key,
        version,
        operation,
        fields: (operation != Operation::Delete).then_some(fields),
        committed_ms: committed_ms
            .or_else(|| timestamp_ms(properties))
            .unwrap_or(0),
    })
}

/// A seed producer's message: no headers, so no version either.
fn decode_seed(properties: &BasicProperties, body: &[u8]) -> Result<Change, Unreadable> {
    let (key, fields) = body::decode_seed(body)?;
    let operation = operation(properties).unwrap_or(Operation::Insert);
    Ok(Change {
        message_id: message_id(properties, body),
        key,
        version: Version::NONE,
        operation,
        fields: (operation != Operation::Delete).then_some(fields),
        committed_ms: timestamp_ms(properties).unwrap_or(0),
    })
}

/// The id that was sent, otherwise one that follows from the bytes, so that a repeat is recognised.
pub(super) fn message_id(properties: &BasicProperties, body: &[u8]) -> Uuid {
    let sent = properties.message_id().as_ref();
    let sent = sent.and_then(|id| Uuid::parse_str(id.as_str()).ok());
    sent.unwrap_or_else(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, body))
}

/// A header of this name.
pub(super) fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

/// An integer of whatever width.
pub(super) fn integer(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(value) => Some(value.into()),
        AMQPValue::ShortShortUInt(value) => Some(value.into()),
        AMQPValue::ShortInt(value) => Some(value.into()),
        AMQPValue::ShortUInt(value) => Some(value.into()),
        AMQPValue::LongInt(value) => Some(value.into()),
        AMQPValue::LongUInt(value) => Some(value.into()),
        AMQPValue::LongLongInt(value) => Some(value),
        AMQPValue::Timestamp(value) => i64::try_from(value).ok(),
        _ => None,
    }
}

/// A text as a header has it.
pub(super) fn text(text: impl Into<String>) -> AMQPValue {
    AMQPValue::LongString(text.into().into())
}

/// A text header; none where it is of another type.
pub(super) fn text_header(properties: &BasicProperties, name: &str) -> Option<String> {
    let value = header(properties, name)?;
    value.as_long_string().map(ToString::to_string)
}

fn required(properties: &BasicProperties, name: &str) -> Result<String, Unreadable> {
    text_header(properties, name).ok_or_else(|| unreadable(format!("it has no {name}")))
}

fn timestamp_ms(properties: &BasicProperties) -> Option<u64> {
    let seconds = *properties.timestamp();
    seconds.map(|seconds| seconds.saturating_mul(1_000))
}

fn operation(properties: &BasicProperties) -> Option<Operation> {
    let all = [
        Operation::Insert,
        Operation::Update,
        Operation::Replace,
        Operation::Delete,
        Operation::Snapshot,
        Operation::Fill,
    ];
    let kind = properties.kind().as_ref()?;
    all.into_iter()
        .find(|one| operation_name(*one) == kind.as_str())
}

fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Insert => "insert",
        Operation::Update => "update",
        Operation::Replace => "replace",
        Operation::Delete => "delete",
        Operation::Snapshot => "snapshot",
        Operation::Fill => "fill",
    }
}

pub(super) fn unreadable(why: impl Into<String>) -> Unreadable {
    Unreadable { why: why.into() }
}

#[cfg(test)]
mod tests;
