//! How large the tree of a page will be, judged before anything that recurses or compares sees it. Pure.

use dom_query::NodeRef;

/// Browsers nest no deeper; deeper pages cost time without end and are no text.
pub(super) const DEPTH_MAX: usize = 512;

/// Tags open at once where a script seems to be; a parser that sees markup there needs a second for them.
const DEPTH_IN_SCRIPT_MAX: usize = 20_000;

/// Elements of one page; an article has at most some thousands, a whole book 24,534. Each costs the extractor
/// about 2.6 kB of memory and 20 to 30 µs while it reads, and none should take it a second.
pub(super) const ELEMENTS_MAX: usize = 25_000;
/// Elements that a parser may add to those that are written: ends that are missing, formatting that crosses.
pub(super) const ADDED_MAX: usize = 5_000;
/// Elements, texts and comments of one page; two texts an element are more than articles have.
pub(super) const NODES_MAX: usize = 4 * ELEMENTS_MAX;
/// Bytes of text and elements, each as often as there are elements around it: the extractor asks every element for
/// all that is in it. A book on one page has 15 million; of beyond 30 some keep the extractor for a second.
const WEIGHT_MAX: usize = 30_000_000;
/// As how much text an element counts there.
const ELEMENT_WEIGHT: usize = 25;
/// Elements, each as often as there is formatting around it. The extractor writes what it has cut and parses that
/// anew; a paragraph that has come to stand in another one by then opens all the formatting around it once more.
const FORMATTED_MAX: usize = 2 * ELEMENTS_MAX;
/// Ends of elements; for each that begins nowhere the parser looks through all that are open.
const ENDS_MAX: usize = 4 * ELEMENTS_MAX;
/// References to characters, as `&amp;`; each takes the readers of the page some microseconds.
const REFERENCES_MAX: usize = 150_000;
/// Attributes of one element; the parser compares each with each.
pub(super) const ATTRIBUTES_MAX: usize = 500;
/// The same, where a script seems to be: there `<` is mostly no tag, and `>` may be far.
const ATTRIBUTES_IN_SCRIPT_MAX: usize = 10_000;
/// How many times its length may be looked at for the ends of a page's tags; one time is enough for most.
const LOOKS_MAX: usize = 50;
/// Elements whose text is not markup.
const RAW: [&str; 3] = ["script", "style", "textarea"];

/// How many elements a page has, or why it is too large to be parsed.
pub(super) fn oversize(html: &str) -> Result<usize, String> {
    let bytes = html.as_bytes();
    if html.matches('&').count() > REFERENCES_MAX {
        return Err(format!(
            "it has more than {REFERENCES_MAX} references to characters"
        ));
    }
    let (mut elements, mut ends) = (0_usize, 0_usize);
    let mut looks = LOOKS_MAX.saturating_mul(bytes.len());
    let mut raw_until = 0;
    for (at, _) in html.match_indices('<') {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        if !rest.first().is_some_and(u8::is_ascii_alphabetic) {
            ends += usize::from(rest.first() == Some(&b'/'));
            if ends > ENDS_MAX {
                return Err(format!("it has more than {ENDS_MAX} ends of elements"));
            }
            continue;
        }
        let raw = at < raw_until;
        if !raw {
            elements += 1;
            raw_until = raw_end(html, at);
        }
        let limit = if raw {
            ATTRIBUTES_IN_SCRIPT_MAX
        } else {
            ATTRIBUTES_MAX
        };
        let tag = tag(rest, limit);
        looks = looks.saturating_sub(tag.bytes);
        if elements > ELEMENTS_MAX {
            return Err(format!("it has more than {ELEMENTS_MAX} elements"));
        }
        if tag.attributes > limit {
            return Err(format!("an element has more than {limit} attributes"));
        }
        if looks == 0 {
            return Err("its tags have no end".to_owned());
        }
    }
    Ok(elements)
}

/// Where the text of a script or the like ends that begins at this place; the place itself for others.
fn raw_end(html: &str, at: usize) -> usize {
    let rest = html.get(at + 1..).unwrap_or_default();
    let starts = |name: &&&str| {
        let start = rest.as_bytes().get(..name.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(name.as_bytes())
    };
    let Some(name) = RAW.iter().find(starts) else {
        return at;
    };
    let ends = |(place, _): &(usize, &str)| {
        let end = rest.as_bytes().get(place + 2..place + 2 + name.len());
        end.is_some_and(|end| end.eq_ignore_ascii_case(name.as_bytes()))
    };
    let end = rest.match_indices("</").find(ends);
    end.map_or(html.len(), |(place, _)| at + 1 + place)
}

/// How far a tag goes, and how many attributes it has, as far as they are counted.
struct Tag {
    bytes: usize,
    attributes: usize,
}

/// Reads a tag from its name on. Every `<` with a letter may begin one, whatever stands around it, so that none
/// can be hidden in a comment or a quote that a parser sees otherwise.
fn tag(rest: &[u8], limit: usize) -> Tag {
    let (mut quote, mut before) = (None, b' ');
    let mut attributes = 0;
    for (at, byte) in rest.iter().copied().enumerate() {
        match quote {
            Some(end) if end == byte => quote = None,
            Some(_) => continue,
            None if byte == b'>' || attributes > limit => {
                return Tag {
                    bytes: at,
                    attributes,
                };
            }
            None if before == b'=' && matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None => {
                // A new word, or one right behind a quote or a slash, is an attribute of its own.
                let parts = before.is_ascii_whitespace() || matches!(before, b'"' | b'\'' | b'/');
                let parted = byte.is_ascii_whitespace() || byte == b'/';
                attributes += usize::from(parts && !parted);
            }
        }
        if quote.is_none() && !(byte.is_ascii_whitespace() && before == b'=') {
            before = byte;
        }
    }
    Tag {
        bytes: rest.len(),
        attributes,
    }
}

/// Elements without an end, or whose end may be left out: they nest no deeper than others do.
const ENDLESS: [&str; 34] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr", "html", "head", "body", "p", "li", "dt", "dd", "option", "optgroup", "thead",
    "tbody", "tfoot", "tr", "td", "th", "colgroup", "caption", "rt", "rp", "path",
];

/// Counts open tags without building a tree, which takes quadratic time where they nest deeply.
///
/// Where a script seems to be, they may stand in its data, with ends that are written in other ways.
pub(super) fn opens_deeper(html: &str, limit: usize) -> bool {
    let (mut outside, mut inside, mut raw_until) = (0_usize, 0_usize, 0);
    html.match_indices('<').any(|(at, _)| {
        let raw = at < raw_until;
        if !raw {
            raw_until = raw_end(html, at);
        }
        let (depth, limit) = if raw {
            (&mut inside, DEPTH_IN_SCRIPT_MAX)
        } else {
            (&mut outside, limit)
        };
        match nesting(html.get(at + 1..).unwrap_or_default()) {
            Some(Nesting::Opens) => *depth += 1,
            Some(Nesting::Closes) => *depth = depth.saturating_sub(1),
            None => {}
        }
        *depth > limit
    })
}

enum Nesting {
    Opens,
    Closes,
}

/// What a tag, from behind its `<` on, does to the depth; nothing where it is none or has no end.
fn nesting(tag: &str) -> Option<Nesting> {
    let (does, tag) = tag
        .strip_prefix('/')
        .map_or((Nesting::Opens, tag), |tag| (Nesting::Closes, tag));
    let end = tag
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .unwrap_or(tag.len());
    let name = tag.get(..end).unwrap_or_default();
    let counts = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !ENDLESS
            .iter()
            .any(|endless| endless.eq_ignore_ascii_case(name));
    counts.then_some(does)
}

/// Why a tree would take its readers too long: it is deep, or has long texts far down, which each element above
/// them is judged by. Walks without recursion, since the depth is what is in doubt.
pub(super) fn unreadable(root: &NodeRef<'_>) -> Result<(), String> {
    let mut at = Some(*root);
    let (mut depth, mut formatting) = (0, 0_usize);
    let mut load = Load::default();
    while let Some(node) = at {
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        load.add(&node, depth, formatting)?;
        if let Some(child) = node.first_child() {
            depth += 1;
            formatting += usize::from(is_formatting(&node));
            at = Some(child);
            continue;
        }
        let mut up = Some(node);
        at = None;
        while let Some(node) = up.filter(|node| node.id != root.id) {
            if let Some(next) = node.next_sibling() {
                at = Some(next);
                break;
            }
            depth -= 1;
            up = node.parent();
            formatting -= usize::from(up.is_some_and(|parent| is_formatting(&parent)));
        }
    }
    Ok(())
}

/// What a tree costs its readers.
#[derive(Default)]
struct Load {
    weight: usize,
    /// `&`, `<` and `>` in its texts.
    signs: usize,
    formatted: usize,
}

impl Load {
    /// Adds a node with so many elements around it, of which so many are formatting.
    fn add(&mut self, node: &NodeRef<'_>, depth: usize, formatting: usize) -> Result<(), String> {
        let own = match node.parent() {
            Some(parent) if node.is_text() && is_raw(&parent) => 0,
            _ if node.is_text() => {
                let text = node.text();
                self.signs += text.bytes().filter(|byte| b"&<>".contains(byte)).count();
                text.len()
            }
            _ => {
                self.formatted += formatting;
                ELEMENT_WEIGHT
            }
        };
        self.weight = self.weight.saturating_add(own.saturating_mul(depth));
        if self.signs > REFERENCES_MAX {
            return Err(format!(
                "its text has more than {REFERENCES_MAX} signs of markup"
            ));
        }
        if self.weight > WEIGHT_MAX {
            return Err("it has too much for how deep it is nested".to_owned());
        }
        if self.formatted > FORMATTED_MAX {
            return Err("it has too much formatting around its elements".to_owned());
        }
        Ok(())
    }
}

/// Elements that a parser opens again wherever they were left open; with each it compares every one that is open.
const FORMATTING: [&str; 13] = [
    "b", "i", "u", "em", "strong", "font", "code", "small", "big", "s", "strike", "tt", "nobr",
];

pub(super) fn is_formatting(node: &NodeRef<'_>) -> bool {
    FORMATTING.iter().any(|name| node.has_name(name))
}

/// Whether what is in an element is no text to be read, however long.
fn is_raw(node: &NodeRef<'_>) -> bool {
    ["script", "style"].iter().any(|name| node.has_name(name))
}

/// What is said of a page that nests too deep.
pub(super) fn too_deep() -> String {
    format!("elements are nested more than {DEPTH_MAX} deep")
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Outgrown, tree};
    use super::*;

    #[test]
    fn endless_attributes_are_refused_however_they_are_written() {
        for part in [
            " a",
            " a=b",
            " a=\"<\"",
            " a='>'",
            " a = \"x\"",
            "/a",
            " a=\"\"b=''",
        ] {
            let html = format!("<p>x<div{}>y", part.repeat(ATTRIBUTES_MAX + 1));
            assert!(
                oversize(&html).unwrap_err().contains("attributes"),
                "{part}"
            );
        }
        let text = "a few words and many more ".repeat(1_000);
        assert_eq!(
            oversize(&format!("<div class=\"{text}\">{text}<p>{text}")),
            Ok(2)
        );
    }

    #[test]
    fn a_script_is_no_markup_and_hides_none_that_is_endless() {
        let script = format!("<script>if (i<n {}) {{}}</script>", " && a".repeat(1_000));
        assert_eq!(oversize(&format!("{script}<p>x</p>")), Ok(2));
        let hidden = format!("<!--<script>--><div{}>", " a".repeat(20_000));
        assert!(oversize(&hidden).unwrap_err().contains("attributes"));
    }

    #[test]
    fn markup_in_a_script_is_not_deep_until_it_would_be_endless() {
        let script = |count| {
            format!(
                "<script>x = \"{}\"</script>",
                "<b>x<\\u002Fb>".repeat(count)
            )
        };
        assert!(!opens_deeper(&script(DEPTH_IN_SCRIPT_MAX), 10));
        assert!(opens_deeper(&script(DEPTH_IN_SCRIPT_MAX + 1), 10));
        assert!(opens_deeper(&(script(5) + &"<b>".repeat(11)), 10));
    }

    #[test]
    fn a_long_text_far_down_is_refused_and_one_near_the_top_is_not() {
        let text = "words ".repeat(100_000);
        let judge = |depth: usize| {
            let html = "<div>".repeat(depth) + &text;
            unreadable(&tree(&html, depth).unwrap().root())
        };
        assert_eq!(judge(20), Ok(()));
        assert!(judge(200).unwrap_err().contains("too much"));
        let wide = "<div>".repeat(400) + &"<i>x</i> ".repeat(7_000);
        assert!(unreadable(&tree(&wide, 7_400).unwrap().root()).is_err());
        let bold = |count: usize| "<b>".repeat(20) + &"<p>x</p>".repeat(count);
        let judged = |html: &str| unreadable(&tree(html, 30_000).unwrap().root());
        assert_eq!(judged(&bold(200)), Ok(()));
        let said = judged(&bold(FORMATTED_MAX / 20)).unwrap_err();
        assert!(said.contains("formatting"), "{said}");
        let closed = "<b>x</b>".repeat(ELEMENTS_MAX) + "<p>x";
        assert_eq!(judged(&closed), Ok(()));
        let signs = "< ".repeat(REFERENCES_MAX + 1);
        let said = unreadable(&tree(&signs, 0).unwrap().root()).unwrap_err();
        assert!(said.contains("signs of markup"), "{said}");
        let state = format!("<script>{}</script><p>x", "x".repeat(WEIGHT_MAX));
        assert_eq!(unreadable(&tree(&state, 2).unwrap().root()), Ok(()));
        let near = "<p>x</p>".repeat(ELEMENTS_MAX);
        assert_eq!(
            unreadable(&tree(&near, ELEMENTS_MAX).unwrap().root()),
            Ok(())
        );
    }

    #[test]
    fn too_many_elements_and_tags_without_end_are_refused() {
        let html = |count| "<p>x</p>".repeat(count);
        assert_eq!(oversize(&html(ELEMENTS_MAX)), Ok(ELEMENTS_MAX));
        assert!(
            oversize(&html(ELEMENTS_MAX + 1))
                .unwrap_err()
                .contains("elements")
        );
        let hidden = format!("<!--<script>-->{}", "<br>".repeat(2 * ELEMENTS_MAX + 1));
        assert_eq!(oversize(&hidden), Ok(1));
        assert_eq!(tree(&hidden, 0).err(), Some(Outgrown::Elements));
        let ends = "<i></x>".repeat(ELEMENTS_MAX) + &"</x>".repeat(ENDS_MAX);
        assert!(oversize(&ends).unwrap_err().contains("ends of elements"));
        let references = "&amp;".repeat(REFERENCES_MAX + 1);
        assert!(oversize(&references).unwrap_err().contains("references"));
        let html = format!("<a b={}", "<a".repeat(50_000));
        assert!(oversize(&html).unwrap_err().contains("no end"));
    }
}
