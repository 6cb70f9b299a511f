//! The smallest parts of a text that a chunk is made of, and what stands above them.

use std::ops::Range;

/// A part of a text that is kept whole where it fits: a heading, a sentence, a line, a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// Its bytes, perhaps with whitespace at the ends; never blank.
    pub(super) range: Range<usize>,
    /// How well a chunk begins here; see [`strength`].
    pub(super) strength: u8,
    /// Which of the layout's contexts stands above it.
    pub(super) context: usize,
}

/// The units of a text in order, and their contexts.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The units.
    pub(super) units: Vec<Unit>,
    /// Headings or signatures that stand above units, the outermost first.
    pub(super) contexts: Vec<Vec<String>>,
}

impl Layout {
    /// Says what stands above the units that follow.
    pub(super) fn enter(&mut self, names: Vec<String>) {
        if self.contexts.last() != Some(&names) {
            self.contexts.push(names);
        }
    }

    /// Appends a unit under the last context.
    pub(super) fn push(&mut self, range: Range<usize>, strength: u8) {
        if self.contexts.is_empty() {
            self.contexts.push(Vec::new());
        }
        self.units.push(Unit {
            range,
            strength,
            context: self.contexts.len() - 1,
        });
    }
}

/// How well a chunk begins at a unit; more is better.
pub(super) mod strength {
    /// In the middle of a word.
    pub(in crate::feature::chunk) const PIECE: u8 = 1;
    /// At a word.
    pub(in crate::feature::chunk) const WORD: u8 = 2;
    /// At what belongs to the unit before it.
    pub(in crate::feature::chunk) const KEPT: u8 = 3;
    /// At a line of a file of code, less its depth (1 to 4).
    pub(in crate::feature::chunk) const INDENTED: u8 = 8;
    /// At a line of fenced code.
    pub(in crate::feature::chunk) const CODE: u8 = 5;
    /// At a row of a table.
    pub(in crate::feature::chunk) const ROW: u8 = 6;
    /// At a line of fenced code after a blank one.
    pub(in crate::feature::chunk) const CODE_AFTER_BLANK: u8 = 7;
    /// At a sentence.
    pub(in crate::feature::chunk) const SENTENCE: u8 = 8;
    /// At a line at the left margin of a file of code.
    pub(in crate::feature::chunk) const TOP: u8 = 9;
    /// At fenced code, which the paragraph before it often announces.
    pub(in crate::feature::chunk) const FENCE: u8 = 10;
    /// At an item of a list.
    pub(in crate::feature::chunk) const ITEM: u8 = 11;
    /// At a paragraph.
    pub(in crate::feature::chunk) const BLOCK: u8 = 12;
    /// At a line of a file of code after a blank one, less its depth (1 to 8).
    pub(in crate::feature::chunk) const INDENTED_AFTER_BLANK: u8 = 20;
    /// At the left margin of a file of code after a blank line.
    pub(in crate::feature::chunk) const TOP_AFTER_BLANK: u8 = 20;
    /// From here on a chunk begins even where it need not.
    pub(in crate::feature::chunk) const SECTION: u8 = 30;

    /// At a heading of this level.
    pub(in crate::feature::chunk) fn heading(level: u8) -> u8 {
        SECTION + 6 - level.min(6)
    }
}
