//! Words of a text as a sparse vector, so that a search finds a name or a number that no meaning
//! carries. Pure: the same text gives the same vector on every machine.
//!
//! ```text
//! text ──> words ──> lower case ──> no stop words ──> stems ──> 32-bit ids, with BM25's weights
//! ```
//!
//! These are the rules of `FastEmbed`'s model `Qdrant/bm25` for English
//! (<https://github.com/qdrant/fastembed>, `fastembed/sparse/bm25.py`), so that a client that asks with
//! that model finds what is stored here. A stored weight is BM25's share of the text alone: how often a
//! word is in it, against its length. How rare the word is in the whole collection (IDF) is the
//! server's share, which it adds at each search. The stemmer is Snowball's English one; what it does to
//! other languages is wrong in the same way for a text and a question, so that equal words still meet.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use qdrant_rust_stemmers::{Algorithm, Stemmer};

/// How soon more of the same word stops counting; `FastEmbed`'s default.
const SATURATION: f32 = 1.2;
/// How much a long text is held against its words; `FastEmbed`'s default.
const LENGTH_SHARE: f32 = 0.75;
/// Words of an ordinary text: a chunk of 256 tokens without its stop words. `FastEmbed`'s default, 256, is that of
/// longer texts, and finds worse (docs/benchmarks.md). Constant, because a weight must not depend on the other
/// texts.
const LENGTH_ORDINARY: f32 = 100.0;
/// Longer words are hashes, encoded data, or a script without spaces.
const WORD_CHARACTERS_MAX: usize = 40;

/// Word ids and their weights, by ascending id, which is how servers keep them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Words {
    /// Ids of the stems.
    pub ids: Vec<u32>,
    /// Their weights.
    pub weights: Vec<f32>,
}

impl Words {
    /// Whether there is nothing to find the text by.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn weight(&self, id: u32) -> f32 {
        let at = self.ids.binary_search(&id).ok();
        at.and_then(|at| self.weights.get(at))
            .copied()
            .unwrap_or(0.0)
    }
}

/// The words of a text that is stored.
pub fn of_text(text: &str) -> Words {
    let (counts, length) = counts(text);
    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond 16 million words the last digit does not matter"
    )]
    let relative = length as f32 / LENGTH_ORDINARY;
    let damping = SATURATION * (1.0 - LENGTH_SHARE + LENGTH_SHARE * relative);
    counts
        .into_iter()
        .map(|(id, count)| (id, count * (SATURATION + 1.0) / (count + damping)))
        .collect()
}

/// The words of a question: each counts as often as it is said, which in a long one tells what it is about.
pub fn of_question(text: &str) -> Words {
    counts(text).0.into_iter().collect()
}

/// What each of these texts scores for the question, where they are all that there is: the sum over the
/// words that they share of the stored weight times IDF. What a server does, for stores in memory.
pub fn scores(question: &Words, texts: &[Words]) -> Vec<f32> {
    #[expect(clippy::cast_precision_loss, reason = "a store in memory is small")]
    let rarity = |id: &u32| {
        let having = texts.iter().filter(|text| text.weight(*id) > 0.0).count() as f32;
        let all = texts.iter().filter(|text| !text.is_empty()).count() as f32;
        ((all - having + 0.5) / (having + 0.5) + 1.0).ln()
    };
    let rarities: Vec<f32> = question.ids.iter().map(rarity).collect();
    let score = |text: &Words| {
        let words = question.ids.iter().zip(&question.weights).zip(&rarities);
        words
            .map(|((id, weight), rarity)| weight * rarity * text.weight(*id))
            .sum()
    };
    texts.iter().map(score).collect()
}

impl FromIterator<(u32, f32)> for Words {
    fn from_iter<I: IntoIterator<Item = (u32, f32)>>(pairs: I) -> Self {
        let (ids, weights) = pairs.into_iter().unzip();
        Self { ids, weights }
    }
}

/// How often each stem is there, and how many words there are.
fn counts(text: &str) -> (BTreeMap<u32, f32>, usize) {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut counts = BTreeMap::new();
    let mut length = 0;
    let lower = text.to_lowercase();
    let words = lower
        .split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty() && word.chars().count() <= WORD_CHARACTERS_MAX)
        .filter(|word| STOP_WORDS.binary_search(word).is_err());
    for word in words {
        length += 1;
        match counts.entry(id(&stemmer.stem(word))) {
            Entry::Vacant(entry) => {
                entry.insert(1.0);
            }
            Entry::Occupied(mut entry) => *entry.get_mut() += 1.0,
        }
    }
    (counts, length)
}

/// `MurmurHash3`, 32 bits, seed 0, its sign dropped: `abs(mmh3.hash(word))` of Python. Two words in a
/// hundred thousand share an id with another; that costs a little order, never a result.
fn id(stem: &str) -> u32 {
    let mut hash: u32 = 0;
    let mix = |part: u32| {
        part.wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    };
    let bytes = stem.as_bytes();
    let (blocks, rest) = bytes.as_chunks::<4>();
    for block in blocks {
        hash ^= mix(u32::from_le_bytes(*block));
        hash = hash
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    if !rest.is_empty() {
        let tail = rest
            .iter()
            .rev()
            .fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash ^= mix(tail);
    }
    // Nothing that has a stem is longer than 40 characters.
    hash ^= u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    (hash ^ (hash >> 16)).cast_signed().unsigned_abs()
}

/// Words that are in every English text, sorted: those of NLTK without an apostrophe, which is no part
/// of a word here.
const STOP_WORDS: [&str; 153] = [
    "a",
    "about",
    "above",
    "after",
    "again",
    "against",
    "ain",
    "all",
    "am",
    "an",
    "and",
    "any",
    "are",
    "aren",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "below",
    "between",
    "both",
    "but",
    "by",
    "can",
    "couldn",
    "d",
    "did",
    "didn",
    "do",
    "does",
    "doesn",
    "doing",
    "don",
    "down",
    "during",
    "each",
    "few",
    "for",
    "from",
    "further",
    "had",
    "hadn",
    "has",
    "hasn",
    "have",
    "haven",
    "having",
    "he",
    "her",
    "here",
    "hers",
    "herself",
    "him",
    "himself",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "isn",
    "it",
    "its",
    "itself",
    "just",
    "ll",
    "m",
    "ma",
    "me",
    "mightn",
    "more",
    "most",
    "mustn",
    "my",
    "myself",
    "needn",
    "no",
    "nor",
    "not",
    "now",
    "o",
    "of",
    "off",
    "on",
    "once",
    "only",
    "or",
    "other",
    "our",
    "ours",
    "ourselves",
    "out",
    "over",
    "own",
    "re",
    "s",
    "same",
    "shan",
    "she",
    "should",
    "shouldn",
    "so",
    "some",
    "such",
    "t",
    "than",
    "that",
    "the",
    "their",
    "theirs",
    "them",
    "themselves",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "through",
    "to",
    "too",
    "under",
    "until",
    "up",
    "ve",
    "very",
    "was",
    "wasn",
    "we",
    "were",
    "weren",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "whom",
    "why",
    "will",
    "with",
    "won",
    "wouldn",
    "y",
    "you",
    "your",
    "yours",
    "yourself",
    "yourselves",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// From the description of the hash (its reference implementation's test values).
    #[test]
    fn ids_are_those_of_murmur3() {
        assert_eq!(id(""), 0);
        assert_eq!(id("test"), 0xba6b_d213_u32.cast_signed().unsigned_abs());
        assert_eq!(
            id("Hello, world!"),
            0xc036_3e43_u32.cast_signed().unsigned_abs()
        );
        assert_eq!(
            id("The quick brown fox jumps over the lazy dog"),
            0x2e4f_f723
        );
    }

    #[test]
    fn stop_words_are_sorted_so_that_each_is_found() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn forms_of_a_word_meet_and_stop_words_do_not_count() {
        assert_eq!(
            of_question("The Queues, a queue"),
            of_question("queue, and the queueing")
        );
        assert_eq!(of_question("queue queueing").weights, [2.0]);
        assert!(of_text("The, and of").is_empty());
        assert_eq!(of_text("queue the queue"), of_text("queues queue"));
    }

    #[test]
    fn more_of_a_word_weighs_more_but_never_without_bound() {
        let weight = |text: &str| of_text(text).weights[0];
        assert!(weight("queue queue") > weight("queue"));
        assert!(weight(&"queue ".repeat(500)) < SATURATION + 1.0);
        // In a longer text one word says less.
        let long = format!("queue {}", "word ".repeat(300));
        let of_queue = of_question("queue").ids[0];
        let words = of_text(&long);
        let at = words.ids.iter().position(|id| *id == of_queue).unwrap();
        assert!(words.weights[at] < weight("queue"));
    }

    #[test]
    fn a_rare_word_counts_more_than_a_common_one() {
        let texts = ["tide and queue", "queue and moon", "queue alone", ""].map(of_text);
        let scores = scores(&of_question("a tide in the queue"), &texts);
        assert!(scores[0] > 2.0 * scores[1]);
        assert!(scores[1] > 0.0 && scores[2] > 0.0 && scores[3] == 0.0);
    }

    #[test]
    fn what_is_no_word_gives_nothing_and_every_script_gives_words() {
        assert!(of_text("").is_empty());
        assert!(of_text("\u{0}--!\u{1F980}").is_empty());
        assert!(of_text(&"x".repeat(41)).is_empty());
        assert_eq!(of_text("Größe Ёлка 東京 65f0a1").ids.len(), 4);
        assert!(of_text("b a c").ids.is_sorted());
    }
}
