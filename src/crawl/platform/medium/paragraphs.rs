//! Paragraphs of Medium's state as Markdown. Pure.

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
        let Some(words) = text(paragraph, "/text") else {
            continue;
        };
        let is_heading = matches!(kind, "H2" | "H3" | "H4");
        if at == 0 && is_heading && Some(words.as_str()) == title {
            continue;
        }
        number = if kind == "OLI" { number + 1 } else { 0 };
        let together = kind == before && matches!(kind, "ULI" | "OLI");
        if !out.is_empty() {
            out.push_str(if together { "\n" } else { "\n\n" });
        }
        out.push_str(&block(kind, &words, paragraph, number));
        before = kind;
    }
    out
}

fn block(kind: &str, words: &str, paragraph: &Value, number: usize) -> String {
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
            // Its layout counts, so it is taken untrimmed.
            let code = paragraph
                .get("text")
                .and_then(Value::as_str)
                .unwrap_or(words);
            format!("{fence}{language}\n{}\n{fence}", code.trim_end())
        }
        _ => code_marked(words, paragraph),
    }
}

/// Code within a line is marked; other marks, like emphasis, would only cost tokens.
fn code_marked(words: &str, paragraph: &Value) -> String {
    let marks = paragraph.get("markups").and_then(Value::as_array);
    let place = |mark: &Value, name: &str| {
        let at = mark.get(name).and_then(Value::as_u64)?;
        byte_of(words, usize::try_from(at).ok()?)
    };
    let mut codes: Vec<(usize, usize)> = marks
        .into_iter()
        .flatten()
        .filter(|mark| mark.get("type").and_then(Value::as_str) == Some("CODE"))
        .filter_map(|mark| Some((place(mark, "start")?, place(mark, "end")?)))
        .collect();
    codes.sort_unstable();
    let (mut out, mut at) = (String::new(), 0);
    for (start, end) in codes {
        let (Some(plain), Some(code)) = (words.get(at..start), words.get(start..end)) else {
            continue;
        };
        out.push_str(plain);
        out.push('`');
        out.push_str(code);
        out.push('`');
        at = end;
    }
    out.push_str(words.get(at..).unwrap_or_default());
    out
}

/// Where a place counted in UTF-16 units is in bytes.
fn byte_of(text: &str, units: usize) -> Option<usize> {
    let mut left = units;
    for (at, character) in text.char_indices() {
        if left == 0 {
            return Some(at);
        }
        left = left.checked_sub(character.len_utf16())?;
    }
    (left == 0).then_some(text.len())
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
    fn marks_that_lie_outside_the_text_or_overlap_lose_nothing() {
        let mark = |start, end| json!({"type": "CODE", "start": start, "end": end});
        let marks = [mark(1, 99), mark(3, 1), mark(0, 2), mark(1, 3), mark(-1, 2)];
        let paragraph = json!({"type": "P", "text": "abcd", "markups": marks});
        assert_eq!(markdown([paragraph].iter(), None), "`ab`cd");
    }
}
