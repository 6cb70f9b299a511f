//! A part of a page as Markdown: headings, lists, tables, quotes and code are kept. Pure.

use std::collections::HashMap;

use dom_query::{NodeId, NodeRef};

/// Elements that carry nothing to read; what is left of them would be noise in the text.
const SILENT: [&str; 17] = [
    "img", "picture", "svg", "video", "audio", "iframe", "object", "canvas", "template", "button",
    "script", "style", "noscript", "head", "input", "select", "textarea",
];
/// Elements whose text stays and whose marking goes: addresses and emphasis would only cost tokens.
const UNMARKED: [&str; 5] = ["a", "em", "i", "strong", "b"];

/// Elements that Markdown has no word for, and the ones that say it best.
const RENAMED: [(&str, &str); 3] = [("dt", "p"), ("dd", "p"), ("figcaption", "p")];

/// Elements that put something before each line of what is in them, and what they become within too many others.
const INDENTING: [(&str, &str); 5] = [
    ("blockquote", "div"),
    ("ul", "div"),
    ("ol", "div"),
    ("dl", "div"),
    ("li", "p"),
];
/// Of these, how many are within each other: each line of the innermost has a mark for every one of them.
const INDENTS_MAX: usize = 16;

/// Everything below `part`, which is changed by it.
pub(super) fn markdown(part: &NodeRef<'_>) -> String {
    let nodes: Vec<NodeRef<'_>> = part.descendants_it().collect();
    flatten(&nodes);
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

/// Renames what indents within too much that does; parents stand before what is in them.
fn flatten(nodes: &[NodeRef<'_>]) {
    let mut depths: HashMap<NodeId, usize> = HashMap::new();
    for node in nodes {
        let above = node
            .parent()
            .and_then(|parent| depths.get(&parent.id).copied());
        let mut depth = above.unwrap_or_default();
        if let Some((_, flat)) = INDENTING.iter().find(|(name, _)| node.has_name(name)) {
            if depth >= INDENTS_MAX {
                node.rename(flat);
            } else {
                depth += 1;
            }
        }
        depths.insert(node.id, depth);
    }
}

#[cfg(test)]
mod tests {
    use dom_query::Document;

    use super::*;

    fn rendered(html: &str) -> String {
        markdown(&Document::from(html).body().unwrap())
    }

    #[test]
    fn quotes_and_lists_without_end_do_not_multiply_their_lines() {
        let quotes = "<blockquote>".repeat(300) + &"<p>Some words.</p>".repeat(1_000);
        let lists = "<ul><li>".repeat(200) + &"<li>Some words.".repeat(1_000);
        for html in [quotes, lists] {
            let text = rendered(&html);
            assert!(text.contains("Some words."));
            assert!(
                text.len() < 4 * html.len(),
                "{} of {}",
                text.len(),
                html.len()
            );
        }
        let three = "<blockquote>".repeat(3) + "said";
        assert!(rendered(&three).contains("> > > said"));
    }
}
