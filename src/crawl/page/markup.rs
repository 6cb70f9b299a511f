//! A tree to markup for the extractor, in time that is linear in its size. Pure.
//!
//! The parser's own writer looks through the rest of a text for `<` and `>` after every `&`: half a megabyte of them
//! takes seconds (html5ever 0.40).

use dom_query::{Document, NodeRef};

/// Elements without content, which have no end.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr", "param",
];
/// Elements whose text is written as it is.
const RAW: [&str; 7] = [
    "script",
    "style",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "plaintext",
];

/// Everything but comments, which say nothing.
pub(super) fn markup(document: &Document) -> String {
    let mut out = String::from("<!doctype html>");
    let root = document.root();
    let mut at = root.first_child();
    while let Some(node) = at {
        open(&node, &mut out);
        if let Some(child) = node.first_child() {
            at = Some(child);
            continue;
        }
        at = behind(node, &root, &mut out);
    }
    out
}

/// Closes what ends with a node; returns the one that follows.
fn behind<'a>(node: NodeRef<'a>, root: &NodeRef<'a>, out: &mut String) -> Option<NodeRef<'a>> {
    let mut up = Some(node);
    while let Some(node) = up.filter(|node| node.id != root.id) {
        close(&node, out);
        if let Some(next) = node.next_sibling() {
            return Some(next);
        }
        up = node.parent();
    }
    None
}

fn open(node: &NodeRef<'_>, out: &mut String) {
    if node.is_text() {
        let raw = node
            .parent()
            .is_some_and(|parent| RAW.iter().any(|name| parent.has_name(name)));
        if raw {
            out.push_str(&node.text());
        } else {
            escape(&node.text(), out);
        }
        return;
    }
    let Some(name) = node.node_name() else {
        return;
    };
    out.push('<');
    out.push_str(&name);
    for attribute in node.attrs() {
        if !is_plain(&attribute.name.local) {
            continue;
        }
        out.push(' ');
        if let Some(prefix) = &attribute.name.prefix {
            out.push_str(prefix);
            out.push(':');
        }
        out.push_str(&attribute.name.local);
        out.push_str("=\"");
        escape(&attribute.value, out);
        out.push('"');
    }
    out.push('>');
    // A parser drops the first line's end there.
    if ["pre", "textarea", "listing"].contains(&&*name) {
        out.push('\n');
    }
}

/// Whether an attribute's name is one that is read; in others each sign is an error, which the extractor keeps
/// (a megabyte of `<` took 474 MB).
fn is_plain(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:.".contains(&byte);
    !name.is_empty() && name.len() <= 100 && name.bytes().all(fits)
}

fn close(node: &NodeRef<'_>, out: &mut String) {
    let Some(name) = node.node_name().filter(|name| !VOID.contains(&&**name)) else {
        return;
    };
    out.push_str("</");
    out.push_str(&name);
    out.push('>');
}

fn escape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\u{a0}']) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut letters = special.chars();
        out.push_str(match letters.next() {
            Some('&') => "&amp;",
            Some('<') => "&lt;",
            Some('>') => "&gt;",
            Some('"') => "&quot;",
            _ => "&nbsp;",
        });
        rest = letters.as_str();
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same_tree() {
        let html = "<!doctype html><html lang=en><head><title>a &amp; b</title><meta name=x content='\"y\"'>\
            <script type=\"application/ld+json\">{\"a\": \"<b> && c\"}</script></head><body><p class=\"a &lt;\">\
            One&nbsp;<b>two</b> &lt;three&gt; \"four\"<br>five<pre>\n\n  six</pre><table><tr><td>ü</table>\
            <svg viewBox=x><path xlink:href=y></path></svg><textarea>&lt;p&gt;</textarea></body></html>";
        let document = Document::from(html);
        let again = Document::from(markup(&document));
        assert_eq!(*again.text(), *document.text());
        assert_eq!(again.html(), document.html());
    }

    #[test]
    fn attributes_that_are_no_words_are_left_out() {
        let html = format!("<p {} class=a @click=b data-x=c>d", "<".repeat(10_000));
        let out = markup(&Document::from(html));
        assert!(out.contains("<p class=\"a\" data-x=\"c\">d</p>"), "{out}");
    }

    #[test]
    fn comments_are_left_out_and_the_texts_around_them_stay() {
        let document = Document::from("<p>a<!-- b -->c</p><!-- d -->");
        assert!(markup(&document).contains("<p>ac</p></body>"));
    }
}
