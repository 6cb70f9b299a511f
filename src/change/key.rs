//! The identity of a document, of its points, and the partition it belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Error, Result};

/// The namespace of every point id; pinned, since a change would orphan every stored point.
const POINT_NAMESPACE: Uuid = Uuid::from_u128(0x6c6f_636b_7374_6570_9f1d_3c52_70a1_0001);

/// Type (collection) and `_id` of a document.
///
/// The `_id` is canonical extended JSON, so that `5`, `"5"`, an `ObjectId` and its hex text stay four
/// documents: `{"$numberInt":"5"}`, `"5"`, `{"$oid":"…"}`, `"…"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocumentKey {
    /// The type: the collection that holds the document.
    #[serde(rename = "type")]
    pub kind: String,
    /// The `_id` as canonical extended JSON.
    pub id: String,
}

impl DocumentKey {
    /// The key of a document whose `_id` is a string.
    pub fn text(kind: impl Into<String>, id: &str) -> Self {
        Self {
            kind: kind.into(),
            id: Value::from(id).to_string(),
        }
    }

    /// The key of a document whose `_id` is this extended JSON; plain integers become canonical.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an array, which MongoDB refuses as `_id` too.
    pub fn from_json(kind: impl Into<String>, id: &Value) -> Result<Self> {
        let id = match id {
            Value::Array(_) => return Err(Error::malformed("_id", "it is an array")),
            Value::Number(number) => canonical_number(number).to_string(),
            other => other.to_string(),
        };
        Ok(Self {
            kind: kind.into(),
            id,
        })
    }

    /// The `_id` for people and for the seed's consumers: hex, the string itself, or relaxed JSON.
    pub fn entry_id(&self) -> String {
        // What MongoDB itself gives; hex digits have nothing to unescape.
        let hex = self.id.strip_prefix("{\"$oid\":\"");
        if let Some(hex) = hex.and_then(|rest| rest.strip_suffix("\"}"))
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return hex.to_owned();
        }
        match serde_json::from_str(&self.id) {
            Ok(Value::String(text)) => text,
            Ok(Value::Object(fields)) if fields.len() == 1 => {
                match fields
                    .iter()
                    .next()
                    .map(|(name, value)| (name.as_str(), value))
                {
                    Some((
                        "$oid" | "$numberInt" | "$numberLong" | "$numberDouble",
                        Value::String(text),
                    )) => text.clone(),
                    _ => self.id.clone(),
                }
            }
            _ => self.id.clone(),
        }
    }

    /// The key's 64-bit hash: the first eight bytes, big-endian, of SHA-256 over type, a zero byte
    /// and `_id`. Pinned by test vectors, since every producer must agree on it.
    pub fn hash(&self) -> u64 {
        let digest = Sha256::new()
            .chain_update(self.kind.as_bytes())
            .chain_update([0])
            .chain_update(self.id.as_bytes())
            .finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }

    /// The partition of this key among `partitions`.
    pub fn partition(&self, partitions: u32) -> u32 {
        let partition = self.hash() % u64::from(partitions.max(1));
        u32::try_from(partition).unwrap_or(u32::MAX)
    }
}

/// Relaxed JSON numbers as canonical extended JSON: 32-bit, then 64-bit integers, then doubles.
fn canonical_number(number: &serde_json::Number) -> Value {
    let name = match number.as_i64() {
        Some(integer) if i32::try_from(integer).is_ok() => "$numberInt",
        Some(_) => "$numberLong",
        None => "$numberDouble",
    };
    serde_json::json!({ name: number.to_string() })
}

impl fmt::Display for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.entry_id())
    }
}

/// The id of a stored vector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PointId(pub Uuid);

impl PointId {
    /// `UUIDv5` of (key, hash of the exact text that was embedded, occurrence among equals).
    ///
    /// Two documents may share a paragraph, and a moved paragraph keeps its point.
    pub fn new(key: &DocumentKey, text: &str, occurrence: u32) -> Self {
        let mut name = Vec::with_capacity(key.kind.len() + key.id.len() + 38);
        name.extend_from_slice(key.kind.as_bytes());
        name.push(0);
        name.extend_from_slice(key.id.as_bytes());
        name.push(0);
        name.extend_from_slice(&Sha256::digest(text.as_bytes()));
        name.extend_from_slice(&occurrence.to_be_bytes());
        Self(Uuid::new_v5(&POINT_NAMESPACE, &name))
    }
}

impl fmt::Debug for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_that_look_alike_stay_apart() {
        let hex = "65f0a1b2c3d4e5f6a7b8c9d0";
        let ids = [
            json!(5),
            json!("5"),
            json!({"$oid": hex}),
            json!(hex),
            json!(5.5),
        ];
        let keys: Vec<_> = ids
            .iter()
            .map(|id| DocumentKey::from_json("posts", id).unwrap())
            .collect();
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        let shown: Vec<_> = keys.iter().map(DocumentKey::entry_id).collect();
        assert_eq!(shown, ["5", "5", hex, hex, "5.5"]);
    }

    #[test]
    fn an_array_is_no_id() {
        assert!(DocumentKey::from_json("posts", &json!([1])).is_err());
    }

    /// The vectors that another producer has to meet.
    #[test]
    fn the_partition_hash_is_pinned() {
        let key = DocumentKey::text("articles", "https://example.org/a");
        assert_eq!(key.hash(), PINNED_HASH);
        assert_eq!(u64::from(key.partition(4)), PINNED_HASH % 4);
    }
    const PINNED_HASH: u64 = 0x8e36_79c2_13eb_ecaf;

    #[test]
    fn equal_texts_get_points_of_their_own_and_documents_never_share_one() {
        let (a, b) = (
            DocumentKey::text("posts", "a"),
            DocumentKey::text("posts", "b"),
        );
        assert_ne!(PointId::new(&a, "same", 0), PointId::new(&a, "same", 1));
        assert_ne!(PointId::new(&a, "same", 0), PointId::new(&b, "same", 0));
        assert_eq!(PointId::new(&a, "same", 0), PointId::new(&a, "same", 0));
    }
}
