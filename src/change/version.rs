//! Which of two changes is newer, and where in the source's log we are.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place on the source's own clock: MongoDB's cluster time, or `SQLite`'s 64-bit sequence split in
/// two. Never a wall clock.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time {
    /// The high half: seconds of a cluster time.
    pub seconds: u32,
    /// The low half: the increment within that second.
    pub increment: u32,
}

impl Time {
    /// The time of a 64-bit sequence number.
    pub fn from_sequence(sequence: u64) -> Self {
        Self {
            seconds: (sequence >> 32) as u32,
            increment: (sequence & 0xffff_ffff) as u32,
        }
    }

    /// The 64-bit sequence number of this time.
    pub fn sequence(self) -> u64 {
        u64::from(self.seconds) << 32 | u64::from(self.increment)
    }
}

/// Says which of two changes of one key is newer: epoch, then time, then order.
///
/// The default, all zeros, belongs to a message that carries no version: it loses against any
/// real one, and among such messages arrival decides, because equal versions are stored again.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Version {
    /// Raised when a source is replaced, restored or migrated; 1 at first.
    pub epoch: u32,
    /// When the source committed the change.
    #[serde(flatten)]
    pub time: Time,
    /// The ordinal among the events of one time; [`Version::ORDER_READ`] for a row that was read.
    pub order: u32,
}

impl Version {
    /// The version of a message that has none.
    pub const NONE: Self = Self {
        epoch: 0,
        time: Time {
            seconds: 0,
            increment: 0,
        },
        order: 0,
    };
    /// A row read at a time contains every event of that time.
    pub const ORDER_READ: u32 = u32::MAX;

    /// The version of a row that was read at `time`.
    pub fn read(epoch: u32, time: Time) -> Self {
        Self {
            epoch,
            time,
            order: Self::ORDER_READ,
        }
    }

    /// The floor of a snapshot that starts at `time`: just below a row read at that very time.
    pub fn floor(epoch: u32, time: Time) -> Self {
        Self {
            epoch,
            time,
            order: Self::ORDER_READ - 1,
        }
    }

    /// False for a message without our headers.
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }

    /// Four big-endian words; byte order is version order.
    pub fn to_bytes(self) -> [u8; 16] {
        let words = [
            self.epoch,
            self.time.seconds,
            self.time.increment,
            self.order,
        ];
        let mut bytes = [0; 16];
        for (slot, word) in bytes.chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// The inverse of [`Version::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(bytes.get(at..at + 4).unwrap_or(&[0; 4]));
            u32::from_be_bytes(word)
        };
        let time = Time {
            seconds: word(4),
            increment: word(8),
        };
        Self {
            epoch: word(0),
            time,
            order: word(12),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}.{}",
            self.epoch, self.time.seconds, self.time.increment, self.order
        )
    }
}

impl std::str::FromStr for Version {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad =
            || crate::Error::malformed(format!("version {text:?}"), "want four numbers a.b.c.d");
        let words: Vec<u32> = text
            .split('.')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| bad())?;
        let [epoch, seconds, increment, order] = words[..] else {
            return Err(bad());
        };
        Ok(Self {
            epoch,
            time: Time { seconds, increment },
            order,
        })
    }
}

/// A place in the source's change log; opaque to everyone but the source that made it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(pub Vec<u8>);

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Position(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_version() -> impl Strategy<Value = Version> {
        let word = || prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()];
        (word(), word(), word(), word()).prop_map(|(epoch, seconds, increment, order)| Version {
            epoch,
            time: Time { seconds, increment },
            order,
        })
    }

    proptest! {
        #[test]
        fn bytes_and_text_keep_a_version_and_bytes_keep_the_order(a in any_version(), b in any_version()) {
            prop_assert_eq!(Version::from_bytes(a.to_bytes()), a);
            prop_assert_eq!(a.to_string().parse::<Version>().unwrap(), a);
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        }
    }

    #[test]
    fn a_row_read_at_the_floors_own_time_is_above_it() {
        let time = Time::from_sequence(7);
        assert!(Version::read(1, time) > Version::floor(1, time));
        assert!(
            Version {
                epoch: 1,
                time,
                order: 3
            } < Version::floor(1, time)
        );
    }

    #[test]
    fn a_message_without_a_version_loses_against_any_other() {
        assert!(
            Version::NONE
                < Version {
                    epoch: 1,
                    ..Version::NONE
                }
        );
    }
}
