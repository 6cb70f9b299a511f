//! One HTML page to what is kept of it: main text as Markdown, title, language, links, dates. Pure.
//!
//! ```text
//! HTML ──depth──> tree ─┬─refusal──> leads on, left out, cut at a paywall
//!                       ├─linked──> about: title, subtitle, author, dates, language, own link
//!                       └─main_text: trace ──> extractor ──> runs ──choice──> markdown
//! ```
//!
//! Nothing here recurses as deep as a page nests, and the extractor stops at 500; pages that nest deeper than a
//! browser would, or whose tree would be too large, are refused before they are parsed, or while they are.

mod about;
mod choice;
mod depth;
mod linked;
mod main_text;
mod markdown;
mod markup;
mod refusal;
mod runs;
mod trace;
mod tree;

use dom_query::Document;
use url::Url;

pub(crate) use linked::Linked;

use super::sift;
use about::About;
use depth::{DEPTH_MAX, NODES_MAX, opens_deeper, oversize, too_deep, unreadable};
use refusal::{asks_to_be_left_out, has_paywall, leads_to};
use tree::{Outgrown, tree};

/// What a page says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Its title, without the site's name where a heading says it shorter.
    pub title: String,
    /// Its description of itself, or nothing.
    pub subtitle: String,
    /// The main text as Markdown.
    pub text: String,
    /// BCP 47, as the page says it, or as its text seems to be.
    pub language: Option<String>,
    /// Where it says it belongs.
    pub canonical: Option<Url>,
    /// Who wrote it.
    pub byline: Option<String>,
    /// When it was published first.
    pub published_at: Option<String>,
    /// When it was changed last.
    pub modified_at: Option<String>,
    /// Whether the text ends at a paywall.
    pub partial: bool,
}

/// What there is where a page was asked for.
pub(crate) enum Opened {
    /// A page that may be read.
    Page(Document),
    /// One that only leads on.
    LeadsTo(Url),
}

/// Opens a page; an error says in words why it is not to be read.
///
/// `address` is where the page was found: relative links are resolved against it.
pub(crate) fn open(html: &str, address: &Url) -> Result<Opened, String> {
    sift::page(html)?;
    let document = parsed(html)?;
    if let Some(to) = leads_to(&document, address) {
        return Ok(Opened::LeadsTo(to));
    }
    if asks_to_be_left_out(&document) {
        return Err("it asks not to be indexed".to_owned());
    }
    Ok(Opened::Page(document))
}

/// Where an open page says it belongs.
pub(crate) fn own_link(document: &Document, address: &Url) -> Option<Url> {
    about::canonical(document, address)
}

/// Takes from a page what would be kept of it, whether or not it asks to be left out or leads on.
///
/// # Errors
/// Says in words why there is nothing to keep.
pub fn extract(html: &str, address: &Url) -> Result<Page, String> {
    kept(&parsed(html)?, address)
}

/// What newsletters put between their paragraphs: invitations to subscribe, to share and to comment.
const INVITING: &str = "[class*='subscription-widget'], [class~='button-wrapper']";

/// Reads markup that is all of one article, as a feed or an export has it: nothing else of it is frame.
pub(crate) fn whole(html: &str, address: &Url) -> Result<Page, String> {
    let document = parsed(html)?;
    document.select(INVITING).remove();
    let about = About::read(&document, &Linked::read(&document), address);
    let text = document.body().map(|body| markdown::markdown(&body));
    with_text(about, text.unwrap_or_default())
}

fn parsed(html: &str) -> Result<Document, String> {
    if opens_deeper(html, 2 * DEPTH_MAX) {
        return Err(too_deep());
    }
    // What is written says little about what a parser makes of it.
    let written = oversize(html)?;
    let document = tree(html, written).map_err(|outgrown| match outgrown {
        Outgrown::Depth => too_deep(),
        Outgrown::Formatting => "its formatting is opened again and again".to_owned(),
        Outgrown::Elements => "it makes many more elements than it has".to_owned(),
        Outgrown::Nodes => format!("it has more than {NODES_MAX} pieces of text and comments"),
    })?;
    unreadable(&document.root())?;
    Ok(document)
}

/// Takes from an open page what is kept of it, and uses it up.
pub(crate) fn kept(document: &Document, address: &Url) -> Result<Page, String> {
    let linked = Linked::read(document);
    let about = About::read(document, &linked, address);
    let paywall = has_paywall(document, &linked);
    let main = main_text::main_text(document, &[&about.title, &about.full_title]);
    let page = with_text(about, main.markdown)?;
    Ok(Page {
        partial: paywall.cuts(&page.text),
        language: page.language.or(main.language),
        ..page
    })
}

/// What is said of a page with nothing to read.
pub(crate) const NO_TEXT: &str = "it has no main text";

fn with_text(about: About, text: String) -> Result<Page, String> {
    if text.is_empty() {
        return Err(NO_TEXT.to_owned());
    }
    Ok(Page {
        title: about.title,
        subtitle: about.subtitle,
        text,
        language: about.language,
        canonical: about.canonical,
        byline: about.byline,
        published_at: about.published_at,
        modified_at: about.modified_at,
        partial: false,
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Url {
        Url::parse("https://example.org/book/one.html").unwrap()
    }

    fn page(html: &str) -> Result<Page, String> {
        match open(html, &address())? {
            Opened::Page(document) => kept(&document, &address()),
            Opened::LeadsTo(to) => panic!("it leads to {to}"),
        }
    }

    const PARAGRAPH: &str = "<p>A paragraph that is long enough to be taken for text, with commas, \
        clauses, and a full stop, since a page that says little is hard to tell from its frame.</p>";

    fn article(head: &str, body: &str) -> String {
        format!(
            "<html lang=en><head><title>Owning - The Guide</title>{head}</head><body>\
             <nav><a href=/>Home</a><a href=/two>Two</a></nav><main><h1>Owning</h1>{}{body}</main>\
             <footer>Imprint</footer></body></html>",
            PARAGRAPH.repeat(5)
        )
    }

    #[test]
    fn headings_lists_tables_and_code_stay_and_the_frame_goes() {
        let body = "<h2>Rules</h2><ol><li>One <a href=x>owner</a></li></ol>\
            <pre><code class='language-rust'>fn main() {\n    run();\n}</code></pre>\
            <table><tr><th>Sign</th><th>Use</th></tr><tr><td>!</td><td>not</td></tr></table>";
        let page = page(&article("", body)).unwrap();
        for kept in [
            "## Rules",
            "1. One owner",
            "```rust\nfn main() {\n    run();\n}\n```",
            "| ! | not |",
        ] {
            assert!(page.text.contains(kept), "{kept:?} in {}", page.text);
        }
        for gone in ["Home", "Imprint"] {
            assert!(!page.text.contains(gone), "{gone:?} in {}", page.text);
        }
        assert_eq!(page.title, "Owning");
        assert_eq!(page.language.as_deref(), Some("en"));
    }

    #[test]
    fn what_the_page_says_of_itself_is_kept() {
        let head = "<link rel=canonical href='/book/1#x'><meta name=description content=' Who \
            owns  what '><meta property='article:published_time' content='2024-02-03T04:05:06Z'>";
        let page = page(&article(head, "")).unwrap();
        assert_eq!(
            page.canonical.unwrap().as_str(),
            "https://example.org/book/1"
        );
        assert_eq!(page.subtitle, "Who owns what");
        assert_eq!(page.published_at.as_deref(), Some("2024-02-03T04:05:06Z"));
    }

    #[test]
    fn pages_that_are_not_meant_to_be_read_say_why() {
        let refresh = article("<meta http-equiv=Refresh content='0; URL=../two.html'>", "");
        let two = Url::parse("https://example.org/two.html").unwrap();
        let led = open(&refresh, &address());
        assert!(matches!(led, Ok(Opened::LeadsTo(to)) if to == two));
        let robots = article("<meta name=robots content='NOINDEX, follow'>", "");
        assert_eq!(page(&robots).unwrap_err(), "it asks not to be indexed");
        assert!(
            extract(&robots, &address()).is_ok(),
            "asked for all the same"
        );
    }

    #[test]
    fn an_empty_page_has_no_main_text() {
        for html in ["", "<html><body></body></html>", "<p> </p>", "<img src=x>"] {
            assert_eq!(page(html).unwrap_err(), "it has no main text", "{html:?}");
        }
    }

    #[test]
    fn endless_nesting_is_refused_before_it_costs_anything() {
        for tag in ["<div>", "<ul><li>", "<DIV class=a>", "<my-own>"] {
            let html = tag.repeat(200_000) + "text";
            assert!(page(&html).unwrap_err().contains("nested"), "{tag}");
        }
        let html = article("", &"<div><br><p>x<img></div>".repeat(2_000));
        assert!(page(&html).is_ok(), "many elements are not deep ones");
    }
}
