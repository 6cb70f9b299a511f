//! A part of a page as Markdown: headings, lists, tables, quotes and code are kept. Pure.

use dom_query::NodeRef;

/// Elements that carry nothing to read; what is left of them would be noise in the text.
const SILENT: [&str; 17] = [
    "img", "picture", "svg", "video", "audio", "iframe", "object", "canvas", "template", "button",
    "script", "style", "noscript", "head", "input", "select", "textarea",
];
/// Elements whose text stays and whose marking goes: addresses and emphasis would only cost tokens.
const UNMARKED: [&str; 5] = ["a", "em", "i", "strong", "b"];

/// Elements that Markdown has no word for, and the ones that say it best.
const RENAMED: [(&str, &str); 3] = [("dt", "p"), ("dd", "p"), ("figcaption", "p")];

/// Everything below `part`, which is changed by it.
pub(super) fn markdown(part: &NodeRef<'_>) -> String {
    let nodes: Vec<NodeRef<'_>> = part.descendants_it().collect();
    for node in nodes {
        for (from, to) in RENAMED {
            if node.has_name(from) {
                node.rename(to);
            }
        }
    }
    part.strip_elements(&UNMARKED);
    part.md(Some(&SILENT)).trim().to_owned()
}
