//! The order of keys in a store that orders by numbers alone. Pure.
//!
//! A server hands points out by their ids, which are hashes, or by one number each. So the first 36
//! bytes of a key's place in the order stand beside it as six numbers of 48 bits, which a 64-bit float
//! holds exactly. A page is read by walking them like the letters of a dictionary:
//!
//! ```text
//! after "key": same six words ─> same five, sixth above ─> ... ─> first above
//!              (sorted here)     (ordered by the sixth)           (ordered by the first)
//! ```
//!
//! Where more of one word follow than fit into a page, that word is walked into.

/// Numbers a key.
pub(super) const WORDS: usize = 6;
/// The fields that hold them.
pub(super) const FIELDS: [&str; WORDS] = [
    "order_1", "order_2", "order_3", "order_4", "order_5", "order_6",
];
/// Bytes a number: 48 bits.
const WORD_BYTES: usize = 6;

/// How the ids of nearly all documents begin, sorted. They say nothing, so each is one byte of the
/// order instead.
const BEGINNINGS: [&str; 5] = [
    "\"",
    "{\"$numberDouble\":\"",
    "{\"$numberInt\":\"",
    "{\"$numberLong\":\"",
    "{\"$oid\":\"",
];

/// The numbers of a key's `_id`. They order as the ids do, as far as they reach.
pub(super) fn words(id: &str) -> [i64; WORDS] {
    let (class, rest) = class(id);
    let mut bytes = [0; WORDS * WORD_BYTES];
    let all = [class].into_iter().chain(rest.bytes());
    for (slot, byte) in bytes.iter_mut().zip(all) {
        *slot = byte;
    }
    let (chunks, _) = bytes.as_chunks::<WORD_BYTES>();
    let mut words = [0; WORDS];
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = chunk
            .iter()
            .fold(0, |word, byte| word << 8 | i64::from(*byte));
    }
    words
}

/// Ids with one beginning stand together in the order: they are class `2n + 1`, what stands between
/// them and the next is class `2n + 2`.
fn class(id: &str) -> (u8, &str) {
    let mut class = 0;
    for beginning in BEGINNINGS {
        if let Some(rest) = id.strip_prefix(beginning) {
            return (class + 1, rest);
        }
        if id < beginning {
            break;
        }
        class += 2;
    }
    (class, id)
}

/// Keys that stand together: their first words are these, and their next is above that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region {
    /// The words that they share.
    pub(super) fixed: Vec<i64>,
    /// What their next word is above; none for any.
    pub(super) above: Option<i64>,
}

impl Region {
    /// The field of the next word; none where all words are shared.
    pub(super) fn next_field(&self) -> Option<&'static str> {
        FIELDS.get(self.fixed.len()).copied()
    }

    /// What follows in this region after the word, and what shares the word: to be read second, and
    /// first.
    pub(super) fn split(self, word: i64) -> [Self; 2] {
        let mut within = self.fixed.clone();
        within.push(word);
        let behind = Self {
            fixed: self.fixed,
            above: Some(word),
        };
        let within = Self {
            fixed: within,
            above: None,
        };
        [behind, within]
    }
}

/// The regions that hold every key after this one (and those that share its words), the last to be
/// read first.
pub(super) fn regions(after: Option<&str>) -> Vec<Region> {
    let Some(after) = after else {
        let everything = Region {
            fixed: Vec::new(),
            above: None,
        };
        return vec![everything];
    };
    let words = words(after);
    let mut regions: Vec<_> = words
        .iter()
        .enumerate()
        .map(|(at, word)| Region {
            fixed: words.iter().take(at).copied().collect(),
            above: Some(*word),
        })
        .collect();
    regions.push(Region {
        fixed: words.to_vec(),
        above: None,
    });
    regions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> impl Strategy<Value = String> {
        let beginning = prop_oneof![
            prop::sample::select(&BEGINNINGS[..]).prop_map(str::to_owned),
            prop::sample::select(&["", "{", "{\"$", "{\"$numberInt", "{\"$oie\":\"", "}"][..])
                .prop_map(str::to_owned),
        ];
        (beginning, "[ -~é]{0,44}").prop_map(|(beginning, rest)| beginning + &rest)
    }

    proptest! {
        #[test]
        fn words_order_as_the_ids_do(a in id(), b in id()) {
            let (first, second) = (words(&a), words(&b));
            if first != second {
                prop_assert_eq!(first.cmp(&second), a.cmp(&b), "{} {}", a, b);
            }
            for word in first {
                prop_assert!((0..1 << 48).contains(&word));
            }
        }

        /// Every id that follows is in exactly one region, and an earlier region holds the lower ids.
        #[test]
        fn regions_hold_what_follows_once_and_in_order(after in id(), other in id()) {
            let holds = |region: &Region, words: &[i64; WORDS]| {
                words.starts_with(&region.fixed)
                    && words.get(region.fixed.len()).is_none_or(|word| Some(*word) > region.above)
            };
            let (regions, given) = (regions(Some(&after)), words(&other));
            let found = regions.iter().filter(|region| holds(region, &given)).count();
            prop_assert_eq!(found, usize::from(given >= words(&after)));
        }
    }

    #[test]
    fn ids_of_the_usual_sorts_are_told_apart_by_their_words() {
        let oid = |last: char| words(&format!("{{\"$oid\":\"65f0a1b2c3d4e5f6a7b8c9d{last}\"}}"));
        assert_ne!(oid('0'), oid('1'));
        assert_ne!(words("\"\""), words("\"a\""));
        let long = "https://example.org/a/rather/long/path/";
        assert_eq!(
            words(&format!("\"{long}a\"")),
            words(&format!("\"{long}b\""))
        );
    }
}
