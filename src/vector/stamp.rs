//! What orders the writes of one document in the index. Pure.
//!
//! ```text
//! version           a newer change of the document
//!   └─ revision     another content of that version, stored later
//!        └─ digest  two at once: the content itself decides
//! ```
//!
//! Versions alone do not order what is stored. A change whose document is looked up may be sent twice,
//! with one version and two contents, and messages without a version all share one. If neither of
//! two contents wins, the delayed sweep of one worker takes points that the manifest of another names.

use serde::{Deserialize, Serialize};

use crate::change::{Time, Version};

/// Says which of two stored contents of one document wins: the greater.
///
/// Equal stamps are equal contents: the same texts, metadata and ranks.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Stamp {
    /// The version of the change.
    #[serde(flatten)]
    pub version: Version,
    /// How many other contents were stored at this version before. Data from before there were
    /// revisions has none: 0.
    #[serde(default)]
    pub revision: u32,
    /// Of the content, so that a tie is decided by all alike; 0 where it is not known.
    #[serde(default)]
    pub digest: u32,
}

impl Stamp {
    /// The digest of every tombstone; no other content has it.
    pub const DIGEST_GONE: u32 = u32::MAX;

    /// The stamp of a content that is about to be stored over this one.
    ///
    /// The same content again has the same stamp. Another one of the same version has the next
    /// revision, so that what is stored later wins, as among messages without a version.
    pub fn over(stored: Option<Self>, version: Version, digest: u32) -> Self {
        let revision = match stored {
            Some(stored) if stored.version == version => {
                let other = stored.digest != digest;
                stored.revision.saturating_add(u32::from(other))
            }
            _ => 0,
        };
        Self {
            version,
            revision,
            digest,
        }
    }

    /// Above every content of the version: the stamp of what voids it.
    pub fn last(version: Version) -> Self {
        Self {
            version,
            revision: u32::MAX,
            digest: Self::DIGEST_GONE,
        }
    }

    /// Six numbers, most significant first.
    pub fn words(self) -> [u32; 6] {
        let Version { epoch, time, order } = self.version;
        let Time { seconds, increment } = time;
        [epoch, seconds, increment, order, self.revision, self.digest]
    }

    /// The inverse of [`Stamp::words`].
    pub fn from_words(words: [u32; 6]) -> Self {
        let [epoch, seconds, increment, order, revision, digest] = words;
        let time = Time { seconds, increment };
        Self {
            version: Version { epoch, time, order },
            revision,
            digest,
        }
    }

    /// The words, big-endian; byte order is the order of stamps. The bytes of the version alone
    /// are a prefix of them, and below them.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (slot, word) in bytes.chunks_exact_mut(4).zip(self.words()) {
            slot.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }
}

/// The first content of the version, of which nothing is known.
impl From<Version> for Stamp {
    fn from(version: Version) -> Self {
        Self {
            version,
            revision: 0,
            digest: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(sequence: u64) -> Version {
        Version::read(1, Time::from_sequence(sequence))
    }

    #[test]
    fn the_same_content_keeps_its_stamp_and_another_of_the_version_has_the_next_revision() {
        let first = Stamp::over(None, version(5), 7);
        assert_eq!((first.revision, first.digest), (0, 7));
        assert_eq!(Stamp::over(Some(first), version(5), 7), first);
        let second = Stamp::over(Some(first), version(5), 3);
        assert!(second > first, "what is stored later wins");
        assert_eq!(second.revision, 1);
        assert!(Stamp::over(Some(second), version(6), 1) > second);
        assert_eq!(Stamp::over(Some(second), version(4), 1).revision, 0);
    }

    #[test]
    fn nothing_of_a_version_is_above_what_voids_it() {
        let grave = Stamp::last(version(5));
        assert!(Stamp::over(Some(grave), version(5), 7) < grave);
        assert_eq!(
            Stamp::over(Some(grave), version(5), Stamp::DIGEST_GONE),
            grave
        );
        assert!(grave < Stamp::from(version(6)));
    }

    #[test]
    fn a_stamp_from_before_there_were_revisions_is_read() {
        let stored = serde_json::to_string(&version(5)).unwrap();
        let stamp: Stamp = serde_json::from_str(&stored).unwrap();
        assert_eq!(stamp, Stamp::from(version(5)));
    }

    proptest! {
        #[test]
        fn words_and_json_keep_a_stamp_and_bytes_keep_the_order(a: [u32; 6], b: [u32; 6]) {
            let stamp = Stamp::from_words(a);
            prop_assert_eq!(stamp.words(), a);
            let text = serde_json::to_string(&stamp).unwrap();
            prop_assert_eq!(serde_json::from_str::<Stamp>(&text).unwrap(), stamp);
            let other = Stamp::from_words(b);
            prop_assert_eq!(stamp.cmp(&other), stamp.to_bytes().cmp(&other.to_bytes()));
            prop_assert!(stamp.to_bytes().starts_with(&stamp.version.to_bytes()));
        }
    }
}
