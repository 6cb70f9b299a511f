//! Passages with what stands beside them, as one text each. Pure.
//!
//! ```text
//! chunks of a document    . . 3 4 . . . 8 .      found: 3, 4, 8
//! with their neighbours   . [2 3 4 5] . [7 8 9]  two passages
//! ```

use std::ops::Range;

/// Neighbours on each side.
const REACH: usize = 1;
/// Between headings and text, and between texts that are not together in the document.
const BLANK: &str = "\n\n";
/// Longest path of a file that is looked for between two chunks.
const PATH_BYTES_MAX: usize = 4096;
/// Bytes that looking for the first chunk may cost: some times what the largest document has.
const LOOKS_BYTES_MAX: usize = 32 << 20;
/// What one look costs beside its own text.
const LOOK_BYTES: usize = 64;

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
/// A chunk is the headings above it on one line, a blank line, and a slice of the text (or the slice alone). Which
/// part is the slice shows by its being there in the text, right behind the chunk before it. The text of the first
/// may stand elsewhere too: there something else follows.
pub(super) fn join(whole: &str, chunks: &[&str]) -> String {
    let [first, rest @ ..] = chunks else {
        return String::new();
    };
    let found = splits(first).find_map(|(prefix, body)| {
        let mut starts = occurrences(whole, body);
        let range = starts.find_map(|start| {
            let mut rest = rest.iter();
            let end = rest.try_fold(start + body.len(), |end, chunk| follow(whole, end, chunk))?;
            Some(start..end)
        })?;
        Some((prefix, whole.get(range)?))
    });
    match found {
        None => chunks.join(BLANK),
        Some(("", body)) => body.to_owned(),
        Some((prefix, body)) => format!("{prefix}{BLANK}{body}"),
    }
}

/// What may be the headings of a chunk and the slice of the text below them: most of it first.
fn splits(chunk: &str) -> impl Iterator<Item = (&str, &str)> {
    let headed = chunk.split_once(BLANK);
    let headed = headed.filter(|(prefix, _)| !prefix.contains('\n'));
    let both = [Some(("", chunk)), headed].into_iter().flatten();
    both.filter(|(_, body)| !body.trim().is_empty())
}

/// Where the body begins in the text, also where it overlaps itself; not more often than can be looked at.
fn occurrences(whole: &str, body: &str) -> impl Iterator<Item = usize> {
    let mut from = 0;
    let next = move || {
        let at = from + whole.get(from..)?.find(body)?;
        from = whole.ceil_char_boundary(at + 1);
        Some(at)
    };
    std::iter::from_fn(next).take(LOOKS_BYTES_MAX / (LOOK_BYTES + body.len()))
}

/// Where the chunk ends that begins right behind this place: white space alone stands between two chunks, and
/// before the first one of a file its path.
fn follow(whole: &str, end: usize, chunk: &str) -> Option<usize> {
    let text = whole.get(end..)?.trim_start();
    let left = splits(chunk).find_map(|(prefix, body)| {
        let body = body.trim_start();
        let below = || below_path(text, prefix)?.strip_prefix(body);
        text.strip_prefix(body).or_else(below)
    })?;
    Some(whole.len() - left.len())
}

/// The text below the path that it begins with; of a long path the headings have the end alone.
fn below_path<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() {
        return None;
    }
    let head = text.get(..text.floor_char_boundary(PATH_BYTES_MAX))?;
    let (path, rest) = head.split_once('\n')?;
    let is_path = path.ends_with(prefix) && rest.starts_with('\n');
    text.get(path.len()..)
        .filter(|_| is_path)
        .map(str::trim_start)
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
    fn a_file_that_is_there_twice_but_for_a_part_of_it_is_told_by_what_follows() {
        let file = |path: &str, middle: &str| {
            let many = "fn much() {}\n".repeat(99);
            format!("{path}\n\nuse all;\n\nfn first() {{}}\n\n{middle}\n\nfn last() {{}}\n\n{many}")
        };
        let (old, new) = (
            file("v1/api.rs", "fn old() {}"),
            file("v2/api.rs", "fn new() {}"),
        );
        let whole = format!("{old}\n{new}");
        let chunks = [
            "v2/api.rs\n\nfn first() {}",
            "v2/api.rs\n\nfn new() {}",
            "v2/api.rs\n\nfn last() {}",
        ];
        assert_eq!(
            join(&whole, &chunks),
            "v2/api.rs\n\nfn first() {}\n\nfn new() {}\n\nfn last() {}"
        );
        // Nowhere does the one follow the other.
        let apart = [chunks[0], chunks[2]];
        assert_eq!(join(&whole, &apart), apart.join("\n\n"));
    }

    #[test]
    fn the_path_of_the_next_file_stands_between_and_its_end_may_be_all_that_is_known() {
        let whole = "docs/a.md\n\nOne.\n\nfar/away/docs/b.md\n\nTwo.\n\nThree.";
        let chunks = [
            "docs/a.md\n\nOne.",
            "away/docs/b.md\n\nTwo.",
            "away/docs/b.md\n\nThree.",
        ];
        assert_eq!(join(whole, &chunks), whole);
        // No line but a path is between two chunks.
        let whole = "One.\n\nElse.\n\nTwo. One.\n\nTwo.";
        assert_eq!(join(whole, &["One.", "Head\n\nTwo."]), "One.\n\nTwo.");
    }

    #[test]
    fn a_text_that_overlaps_itself_is_found_at_every_place_and_within_bounds() {
        let whole = "ab\nab\nab\nc";
        assert_eq!(join(whole, &["ab\nab", "c"]), "ab\nab\nc");
        let endless = "=".repeat(1 << 20);
        let chunks = [&endless[..100], "?"];
        assert_eq!(join(&endless, &chunks), chunks.join("\n\n"));
    }

    #[test]
    fn chunks_that_are_not_in_the_text_are_put_one_below_the_other() {
        assert_eq!(join("another text", &["a", "b"]), "a\n\nb");
        assert_eq!(join(WHOLE, &["Six.", "One two."]), "Six.\n\nOne two.");
        assert_eq!(join(WHOLE, &[]), "");
    }
}
