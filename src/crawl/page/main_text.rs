//! The main text of a page: chosen by an extractor, rendered from the page's own structure. Pure.

use dom_query::{Document, NodeRef};
use trafilatura::{ExtractionFocus, HtmlDateMode, Options};

use super::choice::choose;
use super::markdown::markdown;
use super::markup::markup;
use super::runs::runs;
use super::trace::{Trace, without_marks};

/// Elements that hold no text to be read; without them a page is half as large for the extractor.
const SILENT: &str = "style, svg, canvas, object, picture, template, script:not([type*='ld+json'])";

/// Bytes of text up to which the extractor compares what it finds with what two others find, which takes two fifths
/// of its time. It helps pages of which little is found; whatever is longer has enough of its own.
const COMPARED_BYTES_MAX: usize = 250_000;

/// Divisions around a division from which on it is a section: the extractor asks each for all of its text, several
/// times, and leaves sections alone. The deepest of the articles in docs/benchmarks.md nests 46.
const DIVISIONS_MAX: usize = 64;

/// Letters from which on the language that a text seems to be written in is believed.
const LANGUAGE_LETTERS_MIN: usize = 200;

/// What a page has to say.
#[derive(Debug, Default)]
pub(super) struct MainText {
    /// As Markdown; empty where there is none.
    pub(super) markdown: String,
    /// The language that it seems to be written in, where there is enough of it to tell.
    pub(super) language: Option<String>,
}

/// Finds the main text. `titles` are the page's names for itself; the document is used up by it.
pub(super) fn main_text(document: &Document, titles: &[&str]) -> MainText {
    document.select(SILENT).remove();
    let Some(body) = document.body() else {
        return MainText::default();
    };
    unnest(&body);
    flatten(&body);
    let is_compared = body.text().len() <= COMPARED_BYTES_MAX;
    let trace = Trace::mark(&body);
    let options = Options::default()
        .with_focus(ExtractionFocus::FavorPrecision)
        .with_fallback(is_compared)
        .with_exclude_comments(true)
        .with_html_date_mode(HtmlDateMode::Disabled);
    let Ok(extracted) = trafilatura::extract(&markup(document), &options) else {
        return MainText::default();
    };
    let texts = trace.read(&extracted.content_text);
    let runs = runs(&texts);
    let keep = choose(&runs, titles);
    let dropped = runs.iter().zip(&keep).filter(|(_, keep)| !**keep);
    for (run, _) in dropped {
        for (node, _) in texts.get(run.first..run.end).unwrap_or_default() {
            node.remove_from_parent();
        }
    }
    let markdown = if keep.iter().any(|keep| *keep) {
        drop_empty(&body);
        markdown(&body)
    } else {
        // What it found stands in no text of the page: in data for machines, say.
        markdown(&Document::fragment(without_marks(&extracted.content_html)).root())
    };
    let language = Some(extracted.metadata.language)
        .filter(|code| !code.is_empty() && markdown.chars().count() >= LANGUAGE_LETTERS_MIN);
    MainText { markdown, language }
}

const HEADINGS: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];

/// Makes headings within headings plain: the extractor copies each with all that is in it, and all of those again.
fn unnest(body: &NodeRef<'_>) {
    let is_heading = |node: &NodeRef<'_>| HEADINGS.iter().any(|name| node.has_name(name));
    let headings: Vec<NodeRef<'_>> = body.descendants_it().filter(is_heading).collect();
    let inner = |node: &&NodeRef<'_>| node.ancestors_it(None).any(|around| is_heading(&around));
    // All are found before one is renamed.
    let inner: Vec<&NodeRef<'_>> = headings.iter().filter(inner).collect();
    for node in inner {
        node.rename("div");
    }
}

/// Makes divisions far down sections, which are blocks as well.
fn flatten(body: &NodeRef<'_>) {
    let is_division = |node: &NodeRef<'_>| node.has_name("div");
    let is_deep = |node: &NodeRef<'_>| {
        let around = node.ancestors_it(None).filter(is_division);
        around.count() >= DIVISIONS_MAX
    };
    let deep = body.descendants_it().filter(is_division).filter(is_deep);
    // All are found before one is renamed.
    for node in deep.collect::<Vec<NodeRef<'_>>>() {
        node.rename("section");
    }
}

/// Elements that mean something without text in them.
const MEANT: [&str; 4] = ["br", "hr", "td", "th"];

/// Removes elements that hold nothing any more, the innermost first.
fn drop_empty(body: &NodeRef<'_>) {
    let nodes: Vec<NodeRef<'_>> = body.descendants_it().collect();
    for node in nodes.into_iter().rev() {
        let meant = MEANT.iter().any(|name| node.has_name(name));
        let empty = if node.has_name("tr") {
            node.text().trim().is_empty()
        } else if node.is_element() {
            !meant && !node.children_it(false).any(|child| holds(&child))
        } else {
            !node.is_text()
        };
        if empty {
            node.remove_from_parent();
        }
    }
}

fn holds(node: &NodeRef<'_>) -> bool {
    let blank = node.is_text() && node.text().trim().is_empty();
    !blank && !node.has_name("br")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_within_another_is_none() {
        let document =
            Document::from("<h1>a<div><h2>b<div><h3>c</h3></div></h2></div></h1><h4>d</h4>");
        unnest(&document.body().unwrap());
        assert_eq!(document.select("h1, h2, h3, h4").nodes().len(), 2);
        assert_eq!(&*document.select("h1").text(), "abc");
    }

    #[test]
    fn a_division_far_down_is_a_section() {
        let document = Document::from("<div>".repeat(DIVISIONS_MAX + 10) + "<p>text");
        flatten(&document.body().unwrap());
        assert_eq!(document.select("div").nodes().len(), DIVISIONS_MAX);
        assert_eq!(document.select("section").nodes().len(), 10);
        assert_eq!(markdown(&document.root()).trim(), "text");
    }

    #[test]
    fn a_long_text_is_read_whole_without_being_compared() {
        let paragraph =
            |n: usize| format!("<p>Paragraph {n} says enough, with commas, to be read.");
        let text: String = (0..COMPARED_BYTES_MAX / 40).map(paragraph).collect();
        let html = format!("<title>Long</title><article><h1>Long</h1>{text}</article>");
        let read = main_text(&Document::from(html), &["Long"]).markdown;
        assert_eq!(read.matches("says enough").count(), COMPARED_BYTES_MAX / 40);
    }
}
