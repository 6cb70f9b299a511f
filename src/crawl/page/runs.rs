//! The texts of a page as runs: lines of text that one block of the page holds. Pure.

use dom_query::{NodeId, NodeRef};

/// What a run is part of, as far as it matters for keeping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A heading of this level.
    Heading(u8),
    /// Preformatted text.
    Code,
    /// Part of a quote.
    Quote,
    /// Part of a table.
    Cell,
    /// An item of a list.
    Item,
    /// Anything else.
    Text,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// What it is part of.
    pub(super) kind: Kind,
    /// Its words, with single spaces.
    pub(super) text: String,
    /// The elements around it, the innermost first, with their classes: texts of one sort have one.
    pub(super) style: String,
    /// Its letters, and how many of them are in links, and were kept.
    pub(super) letters: usize,
    pub(super) linked: usize,
    pub(super) kept: usize,
    /// The place of its first text among all texts, and of the first one behind it.
    pub(super) first: usize,
    pub(super) end: usize,
}

/// Elements that begin a line of their own.
const BLOCKS: [&str; 41] = [
    "p",
    "div",
    "li",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "td",
    "th",
    "section",
    "article",
    "body",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "blockquote",
    "pre",
    "table",
    "tbody",
    "thead",
    "tfoot",
    "tr",
    "caption",
    "figure",
    "figcaption",
    "header",
    "footer",
    "main",
    "aside",
    "nav",
    "form",
    "fieldset",
    "details",
    "summary",
    "address",
    "center",
    "dialog",
];

/// Gathers texts into runs; two texts are one run when nothing begins or breaks a line between them.
pub(super) fn runs(texts: &[(NodeRef<'_>, bool)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut block_before = None;
    for (place, (node, kept)) in texts.iter().enumerate() {
        let around = Around::of(node);
        let joins = around.block.is_some() && around.block == block_before && !breaks_before(node);
        block_before = around.block;
        let text = node.text();
        let letters = text.chars().filter(|c| !c.is_whitespace()).count();
        if !joins || runs.is_empty() {
            runs.push(Run {
                kind: around.kind,
                text: String::new(),
                style: around.style,
                letters: 0,
                linked: 0,
                kept: 0,
                first: place,
                end: place,
            });
        }
        let Some(run) = runs.last_mut() else {
            continue;
        };
        run.text.push_str(&text);
        run.letters += letters;
        run.linked += if around.linked { letters } else { 0 };
        run.kept += if *kept { letters } else { 0 };
        run.end = place + 1;
    }
    for run in &mut runs {
        run.text = super::one_line(&run.text);
    }
    runs
}

/// Elements around a text that make its style.
const STYLE_DEPTH: usize = 3;

/// What is around a text.
struct Around {
    block: Option<NodeId>,
    kind: Kind,
    linked: bool,
    style: String,
}

impl Around {
    fn of(node: &NodeRef<'_>) -> Self {
        let mut found = Self {
            block: None,
            kind: Kind::Text,
            linked: false,
            style: String::new(),
        };
        for (depth, around) in node.ancestors_it(None).enumerate() {
            let Some(name) = around.node_name() else {
                continue;
            };
            if depth < STYLE_DEPTH {
                let class = around.class().unwrap_or_default();
                for part in [&*name, ".", &*class, " "] {
                    found.style.push_str(part);
                }
            }
            found.linked |= &*name == "a";
            if found.block.is_none() && BLOCKS.contains(&&*name) {
                found.block = Some(around.id);
            }
            // Code in a list is code, a heading in a table a cell: the strongest that is around counts.
            let kind = kind(&name);
            if rank(kind) > rank(found.kind) {
                found.kind = kind;
            }
        }
        found
    }
}

fn kind(name: &str) -> Kind {
    match name {
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
            Kind::Heading(name.as_bytes().get(1).map_or(6, |digit| digit - b'0'))
        }
        "pre" => Kind::Code,
        "blockquote" => Kind::Quote,
        "td" | "th" => Kind::Cell,
        "li" | "dt" | "dd" => Kind::Item,
        _ => Kind::Text,
    }
}

fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Text => 0,
        Kind::Item => 1,
        Kind::Heading(_) => 2,
        Kind::Quote => 3,
        Kind::Cell => 4,
        Kind::Code => 5,
    }
}

/// Whether a line break stands right before a text, outside of preformatted text.
fn breaks_before(node: &NodeRef<'_>) -> bool {
    let mut at = node.prev_sibling();
    while let Some(before) = at {
        if before.has_name("br") {
            return true;
        }
        if !before.is_text() || !before.text().trim().is_empty() {
            return false;
        }
        at = before.prev_sibling();
    }
    false
}

#[cfg(test)]
mod tests {
    use dom_query::Document;

    use super::super::trace::Trace;
    use super::*;

    fn of(html: &str) -> Vec<(Kind, String)> {
        let document = Document::from(html);
        let texts = Trace::mark(&document.body().unwrap()).read("");
        let runs = runs(&texts).into_iter();
        runs.map(|run| (run.kind, run.text)).collect()
    }

    #[test]
    fn a_line_is_one_run_and_a_block_or_a_break_begins_the_next() {
        let html = "<div>One <b>two</b> three<p>four</p>five<br>six</div>";
        let texts: Vec<String> = of(html).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["One two three", "four", "five", "six"]);
    }

    #[test]
    fn the_strongest_element_around_says_what_a_run_is() {
        let html = "<h2>a</h2><ul><li>b<pre>c</pre></li></ul><table><tr><td><h3>d</h3></td></tr></table>\
            <blockquote><p>e</p></blockquote><p>f</p>";
        let kinds: Vec<Kind> = of(html).into_iter().map(|(kind, _)| kind).collect();
        let expected = [
            Kind::Heading(2),
            Kind::Item,
            Kind::Code,
            Kind::Cell,
            Kind::Quote,
            Kind::Text,
        ];
        assert_eq!(kinds, expected);
    }
}
