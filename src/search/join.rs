//! Passages with what stands beside them, as one text each. Pure.
//!
//! ```text
//! chunks of a document    . . 3 4 . . . 8 .      found: 3, 4, 8
//! with their neighbours   . [2 3 4 5] . [7 8 9]  two passages
//! ```

use std::ops::Range;

/// Neighbours on each side.
const REACH: usize = 1;

/// The places of these chunks, of so many, each with its neighbours; what touches is one. In the order of the
/// first of each: the best one's comes first.
pub(super) fn spans(best: &[usize], total: usize) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for at in best {
        let mut span = at.saturating_sub(REACH)..(at + REACH + 1).min(total);
        // What it touches may touch each other through it.
        let touches = |one: &Range<usize>, other: &Range<usize>| {
            one.start <= other.end && other.start <= one.end
        };
        let first = spans.iter().position(|other| touches(other, &span));
        while let Some(place) = spans.iter().position(|other| touches(other, &span)) {
            let other = spans.remove(place);
            span = span.start.min(other.start)..span.end.max(other.end);
        }
        spans.insert(first.unwrap_or(spans.len()), span);
    }
    spans
}

/// Chunks that follow each other, as one text: a slice of the document from the first to the last, behind the
/// headings of the first. What all of them repeat stands there once.
///
/// A chunk is the headings above it, a blank line, and a slice of the text (or the slice alone). Which part is
/// the slice shows by its being there in the text, behind the chunk before it.
pub(super) fn join(whole: &str, chunks: &[&str]) -> String {
    let [first, rest @ ..] = chunks else {
        return String::new();
    };
    let Some((prefix, start, mut end)) = place(whole, first, 0) else {
        return chunks.join("\n\n");
    };
    for chunk in rest {
        let Some((_, at, chunk_end)) = place(whole, chunk, end) else {
            return chunks.join("\n\n");
        };
        debug_assert!(at >= end, "looked for behind the last one");
        end = chunk_end;
    }
    let body = whole.get(start..end).unwrap_or_default();
    match prefix {
        "" => body.to_owned(),
        prefix => format!("{prefix}\n\n{body}"),
    }
}

/// The headings of a chunk, and where in the text the rest of it begins and ends; the most of it that is there.
fn place<'a>(whole: &str, chunk: &'a str, from: usize) -> Option<(&'a str, usize, usize)> {
    let rest = whole.get(from..)?;
    let starts = chunk
        .match_indices("\n\n")
        .map(|(at, blank)| (at, at + blank.len()));
    let mut splits = [(0, 0)].into_iter().chain(starts);
    splits.find_map(|(prefix_end, body_start)| {
        let (prefix, body) = (chunk.get(..prefix_end)?, chunk.get(body_start..)?);
        let at = from + rest.find(body).filter(|_| !body.is_empty())?;
        Some((prefix, at, at + body.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined_and_what_touches_is_one() {
        assert_eq!(spans(&[5], 9), vec![4..7; 1]);
        assert_eq!(spans(&[0], 1), vec![0..1; 1]);
        assert_eq!(spans(&[8, 3, 4], 9), [7..9, 2..6]);
        // The third brings the first two together, at the place of the first.
        assert_eq!(spans(&[2, 6, 4], 9), vec![1..8; 1]);
        assert_eq!(spans(&[0, 8], 9), [0..2, 7..9]);
        assert!(spans(&[], 9).is_empty());
    }

    const WHOLE: &str = "One two.\n\nThree four.\nFive.\n\nSix.";

    #[test]
    fn what_chunks_repeat_stands_there_once() {
        let chunks = [
            "Guide > Basics\n\nOne two.",
            "Guide > Basics\n\nThree four.",
            "Guide > Basics\n\nFive.",
        ];
        assert_eq!(
            join(WHOLE, &chunks),
            "Guide > Basics\n\nOne two.\n\nThree four.\nFive."
        );
        assert_eq!(
            join(WHOLE, &chunks[1..]),
            "Guide > Basics\n\nThree four.\nFive."
        );
        assert_eq!(
            join(WHOLE, &["Three four.\nFive.", "Head\n\nSix."]),
            "Three four.\nFive.\n\nSix."
        );
    }

    #[test]
    fn a_chunk_with_a_blank_line_of_its_own_is_kept_whole() {
        let chunk = "One two.\n\nThree four.";
        assert_eq!(
            join(WHOLE, &[chunk, "Five."]),
            "One two.\n\nThree four.\nFive."
        );
        let under = format!("Head\n\n{chunk}");
        assert_eq!(
            join(WHOLE, &[&under, "Head\n\nFive."]),
            "Head\n\nOne two.\n\nThree four.\nFive."
        );
    }

    #[test]
    fn a_text_that_comes_twice_is_found_behind_the_one_before() {
        let whole = "again\n\nmiddle\n\nagain";
        assert_eq!(join(whole, &["again", "middle", "again"]), whole);
    }

    #[test]
    fn chunks_that_are_not_in_the_text_are_put_one_below_the_other() {
        assert_eq!(join("another text", &["a", "b"]), "a\n\nb");
        assert_eq!(join(WHOLE, &["Six.", "One two."]), "Six.\n\nOne two.");
        assert_eq!(join(WHOLE, &[]), "");
    }
}
