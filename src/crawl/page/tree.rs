//! Markup to a tree that is watched while it grows. Pure.
//!
//! ```text
//! HTML ──PIECE_BYTES──> parser ──elements──> Growth: how many, how deep the newest
//!            ▲                                │
//!            └────────────── within bounds ───┘──beyond──> refused
//! ```
//!
//! A few bytes can make a parser add elements without end: it opens every formatting element again that a
//! paragraph left open, so that a thousand paragraphs after a thousand tags are a million elements.

use std::borrow::Cow;
use std::cell::Cell;

use dom_query::{Document, NodeId};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeBuilderOpts, TreeSink};
use html5ever::{Attribute, ParseOpts, QualName, parse_document};

use super::depth::{ADDED_MAX, DEPTH_MAX, NODES_MAX, is_formatting};

/// Bytes that are parsed before the tree is looked at: what one look may be late by.
const PIECE_BYTES: usize = 128;

/// Why a tree was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outgrown {
    /// Elements nest too deep.
    Depth,
    /// Too much formatting is open at once.
    Formatting,
    /// There are many more than are written.
    Elements,
    /// There are too many with the texts and comments between them.
    Nodes,
}

/// Formatting elements that may be open at once: a parser opens each again wherever it was left open.
const FORMATTING_MAX: usize = 32;

/// Parses a page of so many written elements, unless its tree outgrows them.
pub(super) fn tree(html: &str, written: usize) -> Result<Document, Outgrown> {
    let options = ParseOpts {
        tree_builder: TreeBuilderOpts {
            scripting_enabled: false,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let mut parser = parse_document(Growth::default(), options);
    for piece in pieces(html) {
        parser.process(StrTendril::from_slice(piece));
        parser.tokenizer.sink.sink.judge(written + ADDED_MAX)?;
    }
    Ok(parser.finish())
}

/// The text in pieces that end between characters.
fn pieces(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let end = rest.ceil_char_boundary(PIECE_BYTES);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A tree, with what is needed to see how it grows.
#[derive(Default)]
struct Growth {
    document: Document,
    elements: Cell<usize>,
    newest: Cell<Option<NodeId>>,
}

impl Growth {
    fn judge(&self, elements_max: usize) -> Result<(), Outgrown> {
        // Each error in the markup is kept otherwise; a page of nothing else takes many times its size.
        self.document.errors.borrow_mut().clear();
        if self.elements.get() > elements_max {
            return Err(Outgrown::Elements);
        }
        if self.document.tree.len() > NODES_MAX {
            return Err(Outgrown::Nodes);
        }
        let newest = self.newest.take();
        let Some(newest) = newest.and_then(|id| self.document.tree.get(&id)) else {
            return Ok(());
        };
        let (mut depth, mut formatting) = (0, 0);
        for around in newest.ancestors_it(None) {
            depth += 1;
            formatting += usize::from(is_formatting(&around));
            if depth > 2 * DEPTH_MAX {
                return Err(Outgrown::Depth);
            }
            if formatting > FORMATTING_MAX {
                return Err(Outgrown::Formatting);
            }
        }
        Ok(())
    }
}

impl TreeSink for Growth {
    type Handle = NodeId;
    type Output = Document;
    type ElemName<'a> = <Document as TreeSink>::ElemName<'a>;

    fn finish(self) -> Document {
        self.document
    }

    fn parse_error(&self, message: Cow<'static, str>) {
        self.document.parse_error(message);
    }

    fn get_document(&self) -> NodeId {
        self.document.get_document()
    }

    fn elem_name<'a>(&'a self, target: &'a NodeId) -> Self::ElemName<'a> {
        self.document.elem_name(target)
    }

    fn create_element(
        &self,
        name: QualName,
        attributes: Vec<Attribute>,
        flags: ElementFlags,
    ) -> NodeId {
        let id = self.document.create_element(name, attributes, flags);
        self.elements.set(self.elements.get() + 1);
        self.newest.set(Some(id));
        id
    }

    fn create_comment(&self, text: StrTendril) -> NodeId {
        self.document.create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> NodeId {
        self.document.create_pi(target, data)
    }

    fn append(&self, parent: &NodeId, child: NodeOrText<NodeId>) {
        self.document.append(parent, child);
    }

    fn append_based_on_parent_node(
        &self,
        element: &NodeId,
        before: &NodeId,
        child: NodeOrText<NodeId>,
    ) {
        self.document
            .append_based_on_parent_node(element, before, child);
    }

    fn append_doctype_to_document(&self, name: StrTendril, public: StrTendril, system: StrTendril) {
        self.document
            .append_doctype_to_document(name, public, system);
    }

    fn get_template_contents(&self, target: &NodeId) -> NodeId {
        self.document.get_template_contents(target)
    }

    fn same_node(&self, one: &NodeId, other: &NodeId) -> bool {
        self.document.same_node(one, other)
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.document.set_quirks_mode(mode);
    }

    fn append_before_sibling(&self, sibling: &NodeId, new: NodeOrText<NodeId>) {
        self.document.append_before_sibling(sibling, new);
    }

    fn add_attrs_if_missing(&self, target: &NodeId, attributes: Vec<Attribute>) {
        self.document.add_attrs_if_missing(target, attributes);
    }

    fn remove_from_parent(&self, target: &NodeId) {
        self.document.remove_from_parent(target);
    }

    fn reparent_children(&self, node: &NodeId, parent: &NodeId) {
        self.document.reparent_children(node, parent);
    }

    fn is_mathml_annotation_xml_integration_point(&self, handle: &NodeId) -> bool {
        self.document
            .is_mathml_annotation_xml_integration_point(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::super::depth::oversize;
    use super::*;

    fn outgrown(html: &str) -> Option<Outgrown> {
        tree(html, oversize(html).unwrap_or_default()).err()
    }

    #[test]
    fn a_page_parsed_in_pieces_is_the_page() {
        let html = format!(
            "<!doctype html><title>Ünï &amp; {0}</title><p class=\"a {0}\">One <b>two<p>three &copy\
             </b><table>four<tr><td>{0}</table><script>if (a</b/>2) '{0}'</script><!-- {0} -->ß",
            "żółw & ".repeat(40)
        );
        let whole = Document::from(html.as_str());
        assert_eq!(tree(&html, 20).unwrap().html(), whole.html());
    }

    #[test]
    fn formatting_that_is_left_open_is_refused_before_it_has_grown() {
        let open = |count: usize| {
            let tags: Vec<_> = (0..count).map(|n| format!("<b id={n}>")).collect();
            format!("<p>{}x</p>", tags.concat())
        };
        let many = "<p>x</p>".repeat(5_000);
        assert_eq!(outgrown(&(open(20) + &many)), Some(Outgrown::Elements));
        assert_eq!(outgrown(&(open(60) + &many)), Some(Outgrown::Formatting));
        // What people leave open by mistake is read.
        assert_eq!(outgrown(&(open(20) + &"<p>x</p>".repeat(200))), None);
        assert_eq!(
            outgrown(&"a<!---->".repeat(NODES_MAX / 2 + 1)),
            Some(Outgrown::Nodes)
        );
    }

    #[test]
    fn elements_that_hide_from_the_count_are_seen_while_they_nest() {
        let hidden = "<div></x>".repeat(3 * DEPTH_MAX);
        assert_eq!(outgrown(&hidden), Some(Outgrown::Depth));
    }
}
