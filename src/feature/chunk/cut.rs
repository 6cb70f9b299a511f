//! Where a row of units is cut into runs.
//!
//! A row that is too large is cut in two at its strongest boundary, and so on with the halves, as
//! long as no half is smaller than a quarter of a chunk. Among boundaries of equal strength a hash
//! of the text right after each decides; this makes the choice random to the eye, the same every
//! time, and indifferent to all that stands elsewhere. Headings are cut at even where it fits.

use std::ops::{Range, RangeInclusive};

use sha2::{Digest, Sha256};

use crate::feature::clean::Section;

use super::gauge::{Gauge, Weighed};
use super::layout::strength;

/// How much of the text after a boundary is hashed, in bytes.
const WINDOW_BYTES: usize = 64;

/// Cuts the units of one section.
pub(super) struct Cutter<'a> {
    section: &'a Section,
    gauge: &'a Gauge<'a>,
    units: &'a [Weighed],
    contexts: &'a [Vec<String>],
    /// The weight of all units before each, and of all.
    before: Vec<usize>,
    /// Strength and hash of the boundary before each unit.
    ranks: Vec<(u8, u64)>,
    /// The prefix of each context with its weight, once it was asked for.
    prefixes: Vec<Option<(String, usize)>>,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(
        section: &'a Section,
        gauge: &'a Gauge<'a>,
        units: &'a [Weighed],
        contexts: &'a [Vec<String>],
    ) -> Self {
        let mut before = Vec::with_capacity(units.len() + 1);
        let mut sum = 0;
        before.push(sum);
        for unit in units {
            sum += unit.weight;
            before.push(sum);
        }
        let rank = |unit: &Weighed| {
            let hash = window_hash(&section.text[unit.unit.range.start..]);
            (unit.unit.strength, hash)
        };
        Self {
            section,
            gauge,
            units,
            contexts,
            before,
            ranks: units.iter().map(rank).collect(),
            prefixes: vec![None; contexts.len()],
        }
    }

    /// The runs in order; together they are all units.
    pub(super) fn runs(&mut self) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut rest = Vec::from_iter((!self.units.is_empty()).then_some(0..self.units.len()));
        while let Some(row) = rest.pop() {
            match self.boundary(&row) {
                Some(at) => {
                    rest.push(at..row.end);
                    rest.push(row.start..at);
                }
                None => runs.push(row),
            }
        }
        runs
    }

    /// The prefix of a chunk that begins with this unit.
    pub(super) fn prefix(&mut self, unit: usize) -> &str {
        &self.weighed_prefix(unit).0
    }

    fn weighed_prefix(&mut self, unit: usize) -> &(String, usize) {
        let context = self.units[unit].unit.context;
        self.prefixes[context].get_or_insert_with(|| {
            let prefix = self
                .gauge
                .prefix(&self.section.path, &self.contexts[context]);
            let weight = self.gauge.weight(&prefix);
            (prefix, weight)
        })
    }

    /// Where to cut a row, if at all.
    fn boundary(&mut self, row: &Range<usize>) -> Option<usize> {
        let room = self.gauge.most - self.weighed_prefix(row.start).1;
        let size = self.before[row.end] - self.before[row.start];
        let least = self.gauge.quarter();
        let strongest = self.strongest(row, least..=size.saturating_sub(least));
        let is_section = |at: usize| self.ranks[at].0 >= strength::SECTION;
        if size <= room {
            return strongest.filter(|at| is_section(*at));
        }
        // Two chunks rather than three, where that costs nothing in structure.
        let from = size.saturating_sub(room).max(least);
        let even = self.strongest(row, from..=room.min(size.saturating_sub(least)));
        match (strongest, even) {
            (Some(strong), Some(even)) if self.ranks[even].0 == self.ranks[strong].0 => Some(even),
            (Some(strong), _) => Some(strong),
            (None, _) => self.nearest(row, size / 2),
        }
    }

    /// The strongest boundary that leaves so much on its left; among equals, nearest the middle.
    fn strongest(&self, row: &Range<usize>, left: RangeInclusive<usize>) -> Option<usize> {
        let start = self.before[row.start];
        let middle = start + (self.before[row.end] - start) / 2;
        let inner = row.start + 1..row.end;
        let sums = &self.before[inner.clone()];
        let from = inner.start + sums.partition_point(|sum| sum - start < *left.start());
        let to = inner.start + sums.partition_point(|sum| sum - start <= *left.end());
        (from..to).max_by_key(|at| {
            let far = self.before[*at].abs_diff(middle);
            (self.ranks[*at], std::cmp::Reverse(far))
        })
    }

    /// The boundary nearest to this size from the left; none in a single unit.
    fn nearest(&self, row: &Range<usize>, left: usize) -> Option<usize> {
        let target = self.before[row.start] + left;
        (row.start + 1..row.end).min_by_key(|at| self.before[*at].abs_diff(target))
    }
}

fn window_hash(text: &str) -> u64 {
    let window = text.floor_char_boundary(WINDOW_BYTES);
    let digest = Sha256::digest(&text.as_bytes()[..window]);
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}
