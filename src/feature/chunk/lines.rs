//! The lines of Markdown-like text and what each is; any text has a reading.
//!
//! A fence that is never closed is ordinary text, so that one stray line does not turn the rest of
//! a page into code. Setext headings and indented code are read as text.

use std::ops::Range;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    /// Nothing but whitespace, outside of code.
    Blank,
    /// `#` to `######`: its level.
    Heading(u8),
    /// The line that opens a block of code.
    FenceOpen,
    /// Inside a block of code, or the line that closes it.
    Code,
    /// Starts an item of a list.
    Item,
    /// A row of a table.
    Row,
    /// Anything else.
    Text,
}

/// A line, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its bytes.
    pub(crate) range: Range<usize>,
    /// What it is.
    pub(crate) kind: LineKind,
}

/// Reads prose; every byte but the line feeds is in exactly one line.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    let ranges = ranges(text);
    let mut lines = Vec::with_capacity(ranges.len());
    let mut unclosed = [usize::MAX; 2];
    while lines.len() < ranges.len() {
        let at = lines.len();
        let line = &text[ranges[at].clone()];
        let closing = fence(line).and_then(|fence| {
            let never = &mut unclosed[usize::from(fence.tilde)];
            let closing = (fence.length < *never)
                .then(|| closing(text, &ranges[at + 1..], &fence))
                .flatten();
            if closing.is_none() {
                *never = fence.length.min(*never);
            }
            closing
        });
        let Some(closing) = closing else {
            let kind = kind(line);
            lines.push(Line {
                range: ranges[at].clone(),
                kind,
            });
            continue;
        };
        for (index, range) in ranges[at..=at + 1 + closing].iter().enumerate() {
            let kind = match index {
                0 => LineKind::FenceOpen,
                _ => LineKind::Code,
            };
            lines.push(Line {
                range: range.clone(),
                kind,
            });
        }
    }
    lines
}

/// The ranges of all lines, without their line feeds.
pub(crate) fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    text.split('\n')
        .map(|line| {
            let range = start..start + line.len();
            start = range.end + 1;
            range
        })
        .collect()
}

struct Fence {
    tilde: bool,
    length: usize,
}

fn fence(line: &str) -> Option<Fence> {
    let line = line.trim_start();
    let mark = line
        .chars()
        .next()
        .filter(|mark| matches!(mark, '`' | '~'))?;
    let length = line.len() - line.trim_start_matches(mark).len();
    let tilde = mark == '~';
    // A line such as ```` ```x``` ```` is code within a line.
    let inline = !tilde && line[length..].contains('`');
    (length >= 3 && !inline).then_some(Fence { tilde, length })
}

fn closing(text: &str, rest: &[Range<usize>], open: &Fence) -> Option<usize> {
    let mark = if open.tilde { '~' } else { '`' };
    rest.iter().position(|range| {
        let line = text[range.clone()].trim();
        line.len() >= open.length && line.bytes().all(|byte| byte == mark as u8)
    })
}

fn kind(line: &str) -> LineKind {
    let line = line.trim();
    if line.is_empty() {
        return LineKind::Blank;
    }
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    if (1..=6).contains(&level) && line[level..].starts_with([' ', '\t']) {
        return LineKind::Heading(u8::try_from(level).unwrap_or(6));
    }
    if line.starts_with('|') {
        return LineKind::Row;
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let marked = match digits {
        0 => line.starts_with(['-', '*', '+', '•']),
        1..=9 => line[digits..].starts_with(['.', ')']),
        _ => false,
    };
    let after = line.char_indices().nth(digits + 1);
    match after {
        Some((_, ' ' | '\t')) if marked => LineKind::Item,
        _ => LineKind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<LineKind> {
        lines(text).into_iter().map(|line| line.kind).collect()
    }

    #[test]
    fn each_line_is_what_it_looks_like() {
        use LineKind::{Blank, Code, FenceOpen, Heading, Item, Row, Text};
        let text = "# One\n\n#not\n- a\n12. b\n• c\n| d |\n```rust\n# code\n\n```\n-x\n*bold* y\n####### z";
        let expected = [
            Heading(1),
            Blank,
            Text,
            Item,
            Item,
            Item,
            Row,
            FenceOpen,
            Code,
            Code,
            Code,
            Text,
            Text,
            Text,
        ];
        assert_eq!(kinds(text), expected);
    }

    #[test]
    fn a_fence_that_is_never_closed_is_text() {
        use LineKind::{Code, FenceOpen, Heading, Text};
        assert_eq!(
            kinds("```\n# a\n~~~\n# b"),
            [Text, Heading(1), Text, Heading(1)]
        );
        assert_eq!(kinds("````\n```\nx\n````"), [FenceOpen, Code, Code, Code]);
        assert_eq!(kinds("````\n```\nx\n```"), [Text, FenceOpen, Code, Code]);
    }

    #[test]
    fn many_open_fences_take_linear_time() {
        let text = "```x\n".repeat(200_000);
        assert!(kinds(&text).iter().all(|kind| *kind != LineKind::Code));
    }
}
