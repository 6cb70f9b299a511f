//! How many documents of one type there are, and a digest of all of them in whatever order. Pure.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::token::hex;

/// Documents of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Their number.
    pub documents: u64,
    /// Bytes of their fields as JSON.
    pub bytes: u64,
    /// The SHA-256 of each, added up bit by bit without carry, in hexadecimal digits: equal for equal documents,
    /// whatever the order in which a side pages them. Empty without any.
    pub digest: String,
    #[serde(skip)]
    sum: [u8; 32],
}

impl Tally {
    /// Takes one document: its `_id` as canonical extended JSON, and its fields.
    pub fn add(&mut self, id: &str, fields: &str) {
        let mut hash = Sha256::new();
        // The length, so that no end of an id is the beginning of fields.
        hash.update((id.len() as u64).to_be_bytes());
        hash.update(id);
        hash.update(fields);
        for (sum, byte) in self.sum.iter_mut().zip(hash.finalize()) {
            *sum ^= byte;
        }
        self.documents += 1;
        self.bytes += fields.len() as u64;
        self.digest = hex(&self.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(documents: &[(&str, &str)]) -> Tally {
        let mut tally = Tally::default();
        for (id, fields) in documents {
            tally.add(id, fields);
        }
        tally
    }

    #[test]
    fn the_order_does_not_count_and_everything_else_does() {
        let (one, two) = (("\"1\"", "{\"a\":1}"), ("\"2\"", "{\"a\":2}"));
        assert_eq!(of(&[one, two]), of(&[two, one]));
        assert_ne!(of(&[one]).digest, of(&[(one.0, two.1)]).digest);
        assert_ne!(of(&[one]).digest, of(&[(two.0, one.1)]).digest);
        assert_ne!(of(&[("ab", "c")]).digest, of(&[("a", "bc")]).digest);
        assert_eq!(of(&[]).digest, "");
    }
}
