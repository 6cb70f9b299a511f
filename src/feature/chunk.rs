//! A cleaned text to chunks that an embedder reads whole.
//!
//! ```text
//! text ──prose, code──> units (sentences, items, lines) under contexts (headings, signatures)
//!      ──gauge────────> the tokens of each unit, counted once; over-long units in words
//!      ──cut──────────> runs of units that fit, cut where the structure is strongest
//!      ──fit──────────> prefix + run, counted again as a whole
//! ```
//!
//! A chunk is its prefix (path and headings above its first unit) and a slice of the text, so that
//! the slices together are the text, nothing lost and nothing doubled.
//!
//! Where to cut is decided by what stands at the place, not by counting from the start: an edit
//! changes the chunks that it touches, and at times their neighbours, but not what comes after.

mod code;
mod cut;
mod gauge;
mod layout;
pub(crate) mod lines;
mod prose;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::feature::clean::Section;
use crate::feature::prepare::Limits;
use crate::{Error, Result};

use cut::Cutter;
use gauge::Gauge;
use layout::Layout;

/// A chunk of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The path and headings above it; may be empty.
    pub(crate) prefix: String,
    /// Its bytes in the section's text.
    pub(crate) range: Range<usize>,
}

impl Chunk {
    /// The exact text to embed.
    pub(crate) fn text(&self, section: &Section) -> String {
        let body = section.text[self.range.clone()].trim_end();
        match self.prefix.as_str() {
            "" => body.to_owned(),
            prefix => format!("{prefix}\n\n{body}"),
        }
    }
}

/// Cuts a section; every chunk's text is within the limits.
///
/// # Errors
/// [`Error::Config`] where even one character is over the token limit.
pub(crate) fn chunk(
    section: &Section,
    limits: Limits,
    count: &impl Fn(&str) -> usize,
) -> Result<Vec<Chunk>> {
    let gauge = Gauge::new(limits, count);
    let layout = if section.code {
        code::code(&section.text)
    } else {
        prose::prose(&section.text)
    };
    let Layout { units, contexts } = layout;
    let units = gauge.refine(&section.text, units);
    let mut cutter = Cutter::new(section, &gauge, &units, &contexts);
    let mut chunks = Vec::new();
    for run in cutter.runs() {
        let chunk = Chunk {
            prefix: cutter.prefix(run.start).to_owned(),
            range: units[run.start].unit.range.start..units[run.end - 1].unit.range.end,
        };
        fit(chunk, section, &gauge, &mut chunks)?;
    }
    Ok(chunks)
}

/// Counts the chunk as a whole. Tokens are additive over words, so that it nearly always fits; a
/// tokenizer that disagrees gets halves of it.
fn fit(chunk: Chunk, section: &Section, gauge: &Gauge<'_>, chunks: &mut Vec<Chunk>) -> Result<()> {
    let mut rest = vec![chunk];
    while let Some(mut chunk) = rest.pop() {
        if gauge.fits(&chunk.text(section)) {
            chunks.push(chunk);
            continue;
        }
        let body = &section.text[chunk.range.clone()];
        if let Some(middle) = gauge::middle(body) {
            let middle = chunk.range.start + middle;
            let half = |range| Chunk {
                prefix: chunk.prefix.clone(),
                range,
            };
            rest.push(half(middle..chunk.range.end));
            rest.push(half(chunk.range.start..middle));
        } else if chunk.prefix.is_empty() {
            let why = "a single character has more tokens than the model reads".to_owned();
            let setting = "token_max".to_owned();
            return Err(Error::Config { setting, why });
        } else {
            chunk.prefix.clear();
            rest.push(chunk);
        }
    }
    Ok(())
}
