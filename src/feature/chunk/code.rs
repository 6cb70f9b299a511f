//! Code of any language to units, by layout alone: lines, blank lines and indentation.
//!
//! What starts at the left margin after a blank line is a new item; the deeper a line is indented,
//! the weaker the boundary before it. The last named line at the margin (a signature) is the
//! context of the lines indented below it. Syntax trees are not used.

use super::layout::{Layout, strength};
use super::lines::ranges;

/// The most bytes of a signature that a prefix repeats.
const SIGNATURE_BYTES_MAX: usize = 100;

/// Reads code; every character but whitespace is in exactly one unit.
pub(super) fn code(text: &str) -> Layout {
    let mut layout = Layout::default();
    let mut signature: Option<&str> = None;
    let mut blank = false;
    for range in ranges(text) {
        let line = text[range.clone()].trim_end();
        let content = line.trim_start();
        if content.is_empty() {
            blank = true;
            continue;
        }
        let level = level(&line[..line.len() - content.len()]);
        layout.enter(match signature {
            Some(signature) if level > 0 => vec![signature.to_owned()],
            _ => Vec::new(),
        });
        layout.push(range, strength(level, content, blank));
        if level == 0 && content.starts_with(|first: char| first.is_alphabetic() || first == '_') {
            let cut = &line[..line.floor_char_boundary(SIGNATURE_BYTES_MAX)];
            signature = Some(cut.trim_end_matches(['{', ' ', '\t']));
        }
        blank = false;
    }
    layout
}

/// How deep a line is indented, in steps of two columns; the first column counts as one step.
fn level(indentation: &str) -> u8 {
    let columns: usize = indentation
        .chars()
        .map(|space| if space == '\t' { 4 } else { 1 })
        .sum();
    u8::try_from(columns.div_ceil(2).min(8)).unwrap_or(8)
}

fn strength(level: u8, content: &str, blank: bool) -> u8 {
    match (level, blank) {
        // What closes stays with what it closes.
        _ if content.starts_with(['}', ')', ']']) => strength::KEPT,
        (0, true) => strength::TOP_AFTER_BLANK,
        (level, true) => strength::INDENTED_AFTER_BLANK - level,
        (0, false) => strength::TOP,
        (level, false) => strength::INDENTED - level.min(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_know_their_signature_and_how_well_they_begin_a_chunk() {
        let text = "use a;\n\nimpl B {\n    fn c() {\n        d();\n\n        e();\n    }\n\n    \
                    fn f() {}\n}\n\n#[test]\nfn g() {}";
        let layout = code(text);
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
                unit("use a;", strength::TOP, ""),
                unit("impl B {", strength::TOP_AFTER_BLANK, ""),
                unit("fn c() {", strength::INDENTED - 2, "impl B"),
                unit("d();", strength::INDENTED - 4, "impl B"),
                unit("e();", strength::INDENTED_AFTER_BLANK - 4, "impl B"),
                unit("}", strength::KEPT, "impl B"),
                unit("fn f() {}", strength::INDENTED_AFTER_BLANK - 2, "impl B"),
                unit("}", strength::KEPT, ""),
                unit("#[test]", strength::TOP_AFTER_BLANK, ""),
                unit("fn g() {}", strength::TOP, ""),
            ]
        );
    }
}
