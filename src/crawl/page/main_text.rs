//! The main text of a page: chosen by an extractor, rendered from the page's own structure. Pure.

use dom_query::{Document, NodeRef};
use trafilatura::{ExtractionFocus, HtmlDateMode, Options};

use super::choice::choose;
use super::markdown::markdown;
use super::runs::runs;
use super::trace::{Trace, without_marks};

/// Elements that hold no text to be read; without them a page is half as large for the extractor.
const SILENT: &str = "style, svg, canvas, object, picture, template, script:not([type*='ld+json'])";

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
    let trace = Trace::mark(&body);
    let options = Options::default()
        .with_focus(ExtractionFocus::FavorPrecision)
        .with_fallback(true)
        .with_exclude_comments(true)
        .with_html_date_mode(HtmlDateMode::Disabled);
    let Ok(extracted) = trafilatura::extract(&document.html(), &options) else {
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
