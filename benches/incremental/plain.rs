//! The plain recursive splitter, as the well-known one works: the first separator that is there, the
//! pieces packed from the start up to the size, each chunk beginning with the end of the one before.
//!
//! Written after its published behaviour: separators "\n\n", "\n", " ", "", kept at the start of what
//! follows; a piece that is too large is split by the next separator; blank ends are cut off.

use std::collections::VecDeque;
use std::ops::Range;

const SEPARATORS: [&str; 4] = ["\n\n", "\n", " ", ""];

/// How large a chunk and what it repeats of the one before may be, in what `length` counts.
pub(crate) struct Plain<'a> {
    pub(crate) size: usize,
    pub(crate) overlap: usize,
    pub(crate) length: &'a dyn Fn(&str) -> usize,
}

impl Plain<'_> {
    /// The chunks as ranges of the text.
    pub(crate) fn split(&self, text: &str) -> Vec<Range<usize>> {
        let mut chunks = Vec::new();
        self.recurse(text, 0..text.len(), &SEPARATORS, &mut chunks);
        chunks
    }

    fn recurse(
        &self,
        text: &str,
        range: Range<usize>,
        separators: &[&str],
        chunks: &mut Vec<Range<usize>>,
    ) {
        let part = &text[range.clone()];
        let at = separators
            .iter()
            .position(|separator| part.contains(separator));
        let (separator, weaker) = match at {
            Some(at) => (separators[at], &separators[at + 1..]),
            None => ("", &[][..]),
        };
        let mut good = Vec::new();
        for piece in pieces(part, separator) {
            let piece = range.start + piece.start..range.start + piece.end;
            if (self.length)(&text[piece.clone()]) < self.size {
                good.push(piece);
                continue;
            }
            self.merge(text, std::mem::take(&mut good), chunks);
            if weaker.is_empty() {
                chunks.push(piece);
            } else {
                self.recurse(text, piece, weaker, chunks);
            }
        }
        self.merge(text, good, chunks);
    }

    /// Packs pieces that follow each other.
    fn merge(&self, text: &str, pieces: Vec<Range<usize>>, chunks: &mut Vec<Range<usize>>) {
        let mut current: VecDeque<(Range<usize>, usize)> = VecDeque::new();
        let mut total = 0;
        for piece in pieces {
            let length = (self.length)(&text[piece.clone()]);
            if total + length > self.size {
                chunks.extend(joined(text, &current));
                while total > self.overlap || (total + length > self.size && total > 0) {
                    total -= current.pop_front().map_or(total, |(_, length)| length);
                }
            }
            current.push_back((piece, length));
            total += length;
        }
        chunks.extend(joined(text, &current));
    }
}

fn joined(text: &str, pieces: &VecDeque<(Range<usize>, usize)>) -> Option<Range<usize>> {
    let start = pieces.front()?.0.start;
    let whole = &text[start..pieces.back()?.0.end];
    let body = whole.trim();
    let start = start + whole.len() - whole.trim_start().len();
    (!body.is_empty()).then(|| start..start + body.len())
}

/// Splits before each separator; by characters where it is empty.
fn pieces(part: &str, separator: &str) -> Vec<Range<usize>> {
    let mut starts: Vec<usize> = match separator {
        "" => part.char_indices().map(|(at, _)| at).collect(),
        _ => part.match_indices(separator).map(|(at, _)| at).collect(),
    };
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([part.len()]);
    let ranges = starts.iter().copied().zip(ends);
    ranges
        .map(|(start, end)| start..end)
        .filter(|range| !range.is_empty())
        .collect()
}
