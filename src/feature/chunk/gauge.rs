//! How large units, prefixes and chunks are and may be.

use crate::feature::prepare::Limits;

use super::layout::{Unit, strength};

/// Text of more bytes a token than this weighs as if it had more tokens. No language does; encoded
/// data does, where a tokenizer gives one unknown token for a word of any length.
const TOKEN_BYTES_MAX: usize = 16;

/// Between the names of a prefix.
const STEP: &str = " > ";

/// The sizes of a chunk's parts, in tokens without the special ones, and the counter behind them.
pub(super) struct Gauge<'a> {
    count: &'a dyn Fn(&str) -> usize,
    special: usize,
    /// A whole chunk, prefix included, at most.
    pub(super) most: usize,
}

/// A unit and its weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weighed {
    /// The unit.
    pub(super) unit: Unit,
    /// Its tokens, or more, if it has many bytes a token.
    pub(super) weight: usize,
}

impl<'a> Gauge<'a> {
    pub(super) fn new(limits: Limits, count: &'a dyn Fn(&str) -> usize) -> Self {
        let special = count("");
        let most = limits.token_max.saturating_sub(special).max(4);
        Self {
            count,
            special,
            most,
        }
    }

    /// What a chunk should have at least, and a unit and a prefix at most. As quarters, they leave
    /// a legal place to cut in everything that is too large for one chunk.
    pub(super) fn quarter(&self) -> usize {
        self.most / 4
    }

    /// Whether a whole text is within the limit.
    pub(super) fn fits(&self, text: &str) -> bool {
        (self.count)(text).saturating_sub(self.special) <= self.most
    }

    /// How much of a chunk the text takes.
    pub(super) fn weight(&self, text: &str) -> usize {
        let tokens = (self.count)(text).saturating_sub(self.special);
        tokens.max(text.len().div_ceil(TOKEN_BYTES_MAX))
    }

    /// Weighs units; one that is too large becomes words, and such a word pieces.
    pub(super) fn refine(&self, text: &str, units: Vec<Unit>) -> Vec<Weighed> {
        let mut weighed = Vec::with_capacity(units.len());
        for unit in units {
            let weight = self.weight(&text[unit.range.clone()]);
            if weight <= self.quarter() {
                weighed.push(Weighed { unit, weight });
                continue;
            }
            let mut strength = unit.strength;
            for word in words(&text[unit.range.clone()]) {
                let range = unit.range.start + word.start..unit.range.start + word.end;
                let word = Unit {
                    range,
                    strength,
                    context: unit.context,
                };
                self.pieces(text, word, &mut weighed);
                strength = strength::WORD;
            }
        }
        weighed
    }

    /// Halves a word until its pieces are small enough.
    fn pieces(&self, text: &str, word: Unit, weighed: &mut Vec<Weighed>) {
        let mut rest = vec![word];
        while let Some(unit) = rest.pop() {
            let piece = &text[unit.range.clone()];
            let weight = self.weight(piece);
            match middle(piece).filter(|_| weight > self.quarter()) {
                None => weighed.push(Weighed { unit, weight }),
                Some(middle) => {
                    let middle = unit.range.start + middle;
                    rest.push(Unit {
                        range: middle..unit.range.end,
                        strength: strength::PIECE,
                        ..unit
                    });
                    rest.push(Unit {
                        range: unit.range.start..middle,
                        ..unit
                    });
                }
            }
        }
    }

    /// The names as one line of at most a quarter: the path stays, then the innermost names.
    pub(super) fn prefix(&self, path: &str, names: &[String]) -> String {
        let mut path = path;
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        loop {
            let parts = Vec::from_iter((!path.is_empty()).then_some(path));
            let text = [parts, names.clone()].concat().join(STEP);
            if self.weight(&text) <= self.quarter() {
                return text;
            }
            // The end of a path says more than its beginning, the beginning of a heading more
            // than its end.
            match names.as_mut_slice() {
                [_, _, ..] => drop(names.remove(0)),
                [name] if name.len() > path.len() => *name = &name[..middle(name).unwrap_or(0)],
                _ => path = &path[middle(path).unwrap_or(path.len())..],
            }
            names.retain(|name| !name.is_empty());
        }
    }
}

/// The words with the whitespace after each; together they are the text.
fn words(text: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut end = 0;
    text.split_inclusive(char::is_whitespace)
        .filter_map(move |word| {
            let start = end;
            end += word.len();
            (!word.trim().is_empty()).then_some(start..end)
        })
}

/// A place near the middle of a text that leaves something visible on both sides.
pub(super) fn middle(text: &str) -> Option<usize> {
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    let half = start + end.saturating_sub(start) / 2;
    let before = text.floor_char_boundary(half);
    let after = text.ceil_char_boundary(half + 1);
    [before, after]
        .into_iter()
        .find(|at| start < *at && *at < end && !text[*at..end].trim().is_empty())
}
