//! Markdown-like prose to units: headings, sentences of paragraphs and items, rows, lines of code.

use std::mem;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::layout::{Layout, strength};
use super::lines::{Line, LineKind, lines};

/// The most bytes of a heading that a prefix repeats.
const HEADING_BYTES_MAX: usize = 200;

/// Reads prose; every character but whitespace is in exactly one unit.
pub(super) fn prose(text: &str) -> Layout {
    let lines = lines(text);
    let mut reader = Reader {
        text,
        title: title(&lines),
        layout: Layout::default(),
        open: Vec::new(),
        block: None,
        before: None,
        blank: false,
    };
    for (index, line) in lines.iter().enumerate() {
        reader.line(index, line);
    }
    reader.end_block();
    reader.layout
}

/// The line of the document's own title: the only heading of the first level, when it comes first.
fn title(lines: &[Line]) -> Option<usize> {
    let first = lines.iter().position(|line| line.kind != LineKind::Blank)?;
    let mut tops = lines
        .iter()
        .filter(|line| line.kind == LineKind::Heading(1));
    (lines[first].kind == LineKind::Heading(1) && tops.nth(1).is_none()).then_some(first)
}

struct Reader<'a> {
    text: &'a str,
    title: Option<usize>,
    layout: Layout,
    /// The headings above, with their levels.
    open: Vec<(u8, String)>,
    /// A paragraph or an item that may go on, and the strength of the boundary before it.
    block: Option<(Range<usize>, u8)>,
    before: Option<LineKind>,
    blank: bool,
}

impl Reader<'_> {
    fn line(&mut self, index: usize, line: &Line) {
        let range = line.range.clone();
        let goes_on = line.kind == LineKind::Text && self.block.is_some();
        if !goes_on {
            self.end_block();
        }
        let text = &self.text[range.clone()];
        if text.trim().is_empty() {
            self.blank = true;
            return;
        }
        let blank = mem::take(&mut self.blank);
        let before = self.before.replace(line.kind);
        let kept = match before {
            Some(LineKind::Heading(_) | LineKind::FenceOpen) => strength::KEPT,
            _ => u8::MAX,
        };
        match line.kind {
            LineKind::Blank => {}
            LineKind::Heading(level) => self.heading(range, level, Some(index) == self.title),
            LineKind::FenceOpen => self.layout.push(range, strength::FENCE.min(kept)),
            LineKind::Code if blank => self
                .layout
                .push(range, strength::CODE_AFTER_BLANK.min(kept)),
            LineKind::Code => self.layout.push(range, strength::CODE.min(kept)),
            LineKind::Row if before == Some(LineKind::Row) => {
                self.layout.push(range, strength::ROW);
            }
            LineKind::Row => self.layout.push(range, strength::BLOCK.min(kept)),
            LineKind::Item => self.block = Some((range, strength::ITEM.min(kept))),
            LineKind::Text => {
                let strength = strength::BLOCK.min(kept);
                let (block, _) = self.block.get_or_insert((range.clone(), strength));
                block.end = range.end;
            }
        }
    }

    fn heading(&mut self, range: Range<usize>, level: u8, title: bool) {
        while self.open.last().is_some_and(|(open, _)| *open >= level) {
            self.open.pop();
        }
        self.enter();
        let text = self.text[range.clone()].trim();
        let name = text.trim_start_matches('#').trim_end_matches('#').trim();
        self.layout.push(range, strength::heading(level));
        if !title && !name.is_empty() {
            let end = name.floor_char_boundary(HEADING_BYTES_MAX);
            self.open.push((level, name[..end].trim_end().to_owned()));
        }
        self.enter();
    }

    fn enter(&mut self) {
        let names = self.open.iter().map(|(_, name)| name.clone());
        self.layout.enter(names.collect());
    }

    fn end_block(&mut self) {
        let Some((block, mut strength)) = self.block.take() else {
            return;
        };
        for (offset, sentence) in self.text[block.clone()].split_sentence_bound_indices() {
            if sentence.trim().is_empty() {
                continue;
            }
            let start = block.start + offset;
            self.layout.push(start..start + sentence.len(), strength);
            strength = strength::SENTENCE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_know_the_headings_above_them() {
        let text =
            "# Title\n\nIntro. More.\n\n## A\n\n- one\n  two\n- three\n\n### B\nb\n\n## C\nc";
        let layout = prose(text);
        let units: Vec<_> = layout
            .units
            .iter()
            .map(|unit| {
                let above = layout.contexts[unit.context].join(" > ");
                (text[unit.range.clone()].trim(), unit.strength, above)
            })
            .collect();
        let unit = |text, strength, above: &str| (text, strength, above.to_owned());
        assert_eq!(
            units,
            [
                unit("# Title", strength::heading(1), ""),
                unit("Intro.", strength::KEPT, ""),
                unit("More.", strength::SENTENCE, ""),
                unit("## A", strength::heading(2), ""),
                unit("- one", strength::KEPT, "A"),
                unit("two", strength::SENTENCE, "A"),
                unit("- three", strength::ITEM, "A"),
                unit("### B", strength::heading(3), "A"),
                unit("b", strength::KEPT, "A > B"),
                unit("## C", strength::heading(2), ""),
                unit("c", strength::KEPT, "C"),
            ]
        );
    }

    #[test]
    fn a_second_top_heading_makes_the_first_one_a_section() {
        let layout = prose("# One\na\n# Two\nb");
        let above = layout
            .units
            .iter()
            .map(|unit| layout.contexts[unit.context].join(" > "));
        assert_eq!(above.collect::<Vec<_>>(), ["", "One", "", "Two"]);
    }
}
