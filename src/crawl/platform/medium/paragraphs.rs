//! Paragraphs of Medium's state as Markdown. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::text;

/// Paragraphs in their order; a first heading that only repeats the title is left out.
pub(super) fn markdown<'a>(
    paragraphs: impl Iterator<Item = &'a Value>,
    title: Option<&str>,
) -> String {
    let mut out = String::new();
    let mut before = "";
    let mut number = 0;
    for (at, paragraph) in paragraphs.enumerate() {
        let kind = paragraph.get("type").and_then(Value::as_str).unwrap_or("P");
        let raw = paragraph.get("text").and_then(Value::as_str);
        let Some(raw) = raw.filter(|raw| !raw.trim().is_empty()) else {
            continue;
        };
        let is_heading = matches!(kind, "H2" | "H3" | "H4");
        if at == 0 && is_heading && Some(raw.trim()) == title {
            continue;
        }
        number = if kind == "OLI" { number + 1 } else { 0 };
        let together = kind == before && matches!(kind, "ULI" | "OLI");
        if !out.is_empty() {
            out.push_str(if together { "\n" } else { "\n\n" });
        }
        out.push_str(&block(kind, raw, paragraph, number));
        before = kind;
    }
    out
}

/// A paragraph in its form; `raw` is its text as the state has it.
fn block(kind: &str, raw: &str, paragraph: &Value, number: usize) -> String {
    let words = raw.trim();
    match kind {
        // The title is the first level; Medium's large heading is the second.
        "H2" | "H3" => format!("## {words}"),
        "H4" => format!("### {words}"),
        "ULI" => format!("- {words}"),
        "OLI" => format!("{number}. {words}"),
        "BQ" | "PQ" => format!("> {}", words.replace('\n', "\n> ")),
        "PRE" => {
            let language = text(paragraph, "/codeBlockMetadata/lang").unwrap_or_default();
            let fence = if words.contains("```") { "````" } else { "```" };
            // Its layout counts.
            format!("{fence}{language}\n{}\n{fence}", raw.trim_end())
        }
        // Marks count from where the text begins, blanks included.
        _ => code_marked(raw, paragraph).trim().to_owned(),
    }
}

/// Code within a line is marked; other marks, like emphasis, would only cost tokens.
fn code_marked(words: &str, paragraph: &Value) -> String {
    let marks = paragraph.get("markups").and_then(Value::as_array);
    let units = |mark: &Value, name: &str| {
        let at = mark.get(name).and_then(Value::as_u64)?;
        usize::try_from(at).ok()
    };
    let mut codes: Vec<(usize, usize)> = marks
        .into_iter()
        .flatten()
        .filter(|mark| mark.get("type").and_then(Value::as_str) == Some("CODE"))
        .filter_map(|mark| Some((units(mark, "start")?, units(mark, "end")?)))
        .collect();
    codes.sort_unstable();
    let places = bytes_of(words, codes.iter().flat_map(|(start, end)| [*start, *end]));
    let place = |units: usize| places.get(&units).copied();
    let (mut out, mut at) = (String::new(), 0);
    for (start, end) in codes {
        let (Some(start), Some(end)) = (place(start), place(end)) else {
            continue;
        };
        let (Some(plain), Some(code)) = (words.get(at..start), words.get(start..end)) else {
            continue;
        };
        if code.trim().is_empty() {
            continue;
        }
        out.push_str(plain);
        out.push('`');
        out.push_str(code);
        out.push('`');
        at = end;
    }
    out.push_str(words.get(at..).unwrap_or_default());
    out
}

/// Where places counted in UTF-16 units are in bytes; the text is walked once for all of them.
fn bytes_of(text: &str, places: impl Iterator<Item = usize>) -> BTreeMap<usize, usize> {
    let mut wanted: Vec<usize> = places.collect();
    wanted.sort_unstable();
    let mut wanted = wanted.into_iter().peekable();
    let (mut found, mut units) = (BTreeMap::new(), 0);
    let ends = text.char_indices().map(|(at, c)| (at, c.len_utf16()));
    for (at, length) in ends.chain([(text.len(), 1)]) {
        while let Some(place) = wanted.next_if(|place| *place <= units) {
            if place == units {
                found.insert(place, at);
            }
        }
        units += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_paragraph_has_its_form() {
        let list = [
            json!({"type": "H3", "text": "Title"}),
            json!({"type": "IMG", "text": ""}),
            json!({"type": "P", "text": "🦀 call run() now", "markups": [
                {"type": "CODE", "start": 8, "end": 13}, {"type": "STRONG", "start": 0, "end": 2},
            ]}),
            json!({"type": "H4", "text": "Part"}),
            json!({"type": "OLI", "text": "one"}),
            json!({"type": "OLI", "text": "two"}),
            json!({"type": "PRE", "text": "  fn a() {}\n", "codeBlockMetadata": {"lang": "rust"}}),
            json!({"type": "BQ", "text": "said\nso"}),
            json!({"type": "ULI", "text": "dot"}),
        ];
        let expected = "🦀 call `run()` now\n\n### Part\n\n1. one\n2. two\n\n```rust\n  fn a() {}\n```\n\n\
                        > said\n> so\n\n- dot";
        assert_eq!(markdown(list.iter(), Some("Title")), expected);
        assert!(markdown(list.iter(), None).starts_with("## Title\n\n"));
    }

    #[test]
    fn marks_count_from_the_beginning_of_a_text_that_begins_with_blanks() {
        let marked = |text: &str, start: usize, end: usize| {
            let marks = json!([{"type": "CODE", "start": start, "end": end}]);
            let paragraph = json!({"type": "P", "text": text, "markups": marks});
            markdown([paragraph].iter(), None)
        };
        assert_eq!(marked(" call run() now", 6, 11), "call `run()` now");
        assert_eq!(marked("\u{a0}run() now \n", 1, 6), "`run()` now");
        assert_eq!(marked(" blank ", 6, 7), "blank");
    }

    #[test]
    fn marks_that_lie_outside_the_text_or_overlap_lose_nothing() {
        let mark = |start, end| json!({"type": "CODE", "start": start, "end": end});
        let marks = [mark(1, 99), mark(3, 1), mark(0, 2), mark(1, 3), mark(-1, 2)];
        let paragraph = json!({"type": "P", "text": "abcd", "markups": marks});
        assert_eq!(markdown([paragraph].iter(), None), "`ab`cd");
    }
}
