//! Finds out which texts of a page an extractor kept, so that the page's own structure is kept too.
//!
//! ```text
//! page ──mark each text──> HTML ──extractor──> text with marks ──> kept or not, text by text
//! ```
//!
//! Extractors rewrite what they keep: headings go missing, code loses its lines. A mark is one character of
//! a private plane before a text's first letter; which marks come out says which texts were kept.

use dom_query::NodeRef;

/// Where the marks begin: the two private planes, less the last two of each, which are no characters.
const PLANES: [(u32, u32); 2] = [(0xF_0000, 0xF_FFFD), (0x10_0000, 0x10_FFFD)];
/// Elements whose text is not read.
const UNREAD: [&str; 5] = ["script", "style", "template", "noscript", "title"];

/// The texts of a page in their order, each with its mark.
pub(super) struct Trace<'a> {
    texts: Vec<NodeRef<'a>>,
}

impl<'a> Trace<'a> {
    /// Marks the texts below `body`; what stands in the private planes already is taken out.
    pub(super) fn mark(body: &NodeRef<'a>) -> Self {
        let mut texts = Vec::new();
        let nodes: Vec<NodeRef<'a>> = body.descendants_it().collect();
        for node in nodes {
            if !node.is_text() || node.parent().is_none_or(|parent| is_unread(&parent)) {
                continue;
            }
            let Some(mark) = u32::try_from(texts.len()).ok().and_then(mark) else {
                break;
            };
            let text = node.text();
            let clean: String = text.chars().filter(|c| number(*c).is_none()).collect();
            let start = clean.len() - clean.trim_start().len();
            if start == clean.len() {
                continue;
            }
            let (space, rest) = clean.split_at(start);
            node.set_text(format!("{space}{mark}{rest}"));
            texts.push(node);
        }
        Self { texts }
    }

    /// Takes the marks out again; says of each text whether `output` has its mark.
    pub(super) fn read(self, output: &str) -> Vec<(NodeRef<'a>, bool)> {
        let mut kept = vec![false; self.texts.len()];
        for number in output.chars().filter_map(number) {
            if let Some(kept) = kept.get_mut(number) {
                *kept = true;
            }
        }
        for node in &self.texts {
            node.set_text(without_marks(&node.text()));
        }
        self.texts.into_iter().zip(kept).collect()
    }
}

/// The text without any mark.
pub(super) fn without_marks(text: &str) -> String {
    text.chars().filter(|c| number(*c).is_none()).collect()
}

fn is_unread(node: &NodeRef<'_>) -> bool {
    UNREAD.iter().any(|name| node.has_name(name))
}

/// The mark of the text with this number, while there are marks left.
fn mark(number: u32) -> Option<char> {
    let mut left = number;
    for (first, last) in PLANES {
        let size = last - first + 1;
        if left < size {
            return char::from_u32(first + left);
        }
        left -= size;
    }
    None
}

fn number(c: char) -> Option<usize> {
    let code = u32::from(c);
    let mut before = 0;
    for (first, last) in PLANES {
        if (first..=last).contains(&code) {
            return usize::try_from(before + code - first).ok();
        }
        before += last - first + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use dom_query::Document;

    use super::*;

    #[test]
    fn every_mark_has_one_number_and_no_letter_is_a_mark() {
        for at in [0, 1, 65_533, 65_534, 131_067] {
            assert_eq!(number(mark(at).unwrap()), Some(at as usize));
        }
        assert_eq!(mark(131_068), None);
        for letter in ['a', '\u{e000}', '\u{1f600}', '\u{fffd}'] {
            assert_eq!(number(letter), None);
        }
    }

    #[test]
    fn what_comes_out_is_known_text_by_text_and_the_page_is_as_it_was() {
        let html = "<p>One <b>two</b>\n<i>three\u{f0001}</i></p><script>four</script><p> </p>";
        let document = Document::from(html);
        let body = document.body().unwrap();
        let before = document.text().replace('\u{f0001}', "");
        let trace = Trace::mark(&body);
        let third = document.select("i").text().to_string();
        let kept: Vec<bool> = trace.read(&third).iter().map(|(_, kept)| *kept).collect();
        assert_eq!(kept, [false, false, true]);
        assert_eq!(*document.text(), before);
    }
}
