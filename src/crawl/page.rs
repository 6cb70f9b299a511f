//! One HTML page to what is kept of it: main text as Markdown, title, language, links, dates. Pure.
//!
//! ```text
//! HTML ──> is it meant to be read? ──> main part ──> Markdown without links and pictures
//! ```

use dom_query::{Document, NodeRef};
use dom_smoothie::{Config, Readability};
use url::Url;

/// What a page says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Its title, without the site's name where a heading says it shorter.
    pub(crate) title: String,
    /// Its description of itself, or nothing.
    pub(crate) subtitle: String,
    /// The main text.
    pub(crate) text: String,
    /// BCP 47, as the page says it.
    pub(crate) language: Option<String>,
    /// Where it says it belongs.
    pub(crate) canonical: Option<Url>,
    /// Who wrote it.
    pub(crate) byline: Option<String>,
    /// When it was published first.
    pub(crate) published_at: Option<String>,
    /// When it was changed last.
    pub(crate) modified_at: Option<String>,
}

/// Browsers nest no deeper; deeper pages cost time without end and are no text.
const DEPTH_MAX: usize = 512;

/// Elements that carry nothing to read; what is left of them would be noise in the text.
const SILENT: &str = "img, picture, svg, video, audio, iframe, object, canvas, template, button, \
                      script, style, noscript, nav, form, input, select, textarea";

/// Elements whose text stays and whose marking goes: addresses and emphasis would only cost tokens.
const UNMARKED: [&str; 5] = ["a", "em", "i", "strong", "b"];

/// Reads a page; an error says in words why there is nothing to keep.
///
/// `address` is where the page was found: relative links are resolved against it.
pub(crate) fn read(html: &str, address: &Url) -> Result<Page, String> {
    let too_deep = || format!("elements are nested more than {DEPTH_MAX} deep");
    if opens_deeper(html, 2 * DEPTH_MAX) {
        return Err(too_deep());
    }
    let document = Document::from(html);
    if is_deeper(&document.root(), DEPTH_MAX) {
        return Err(too_deep());
    }
    refuse_what_is_not_meant_to_be_read(&document)?;
    let canonical = canonical(&document, address);
    let subtitle = attribute(&document, "meta[name=description]", "content").unwrap_or_default();
    let headings: Vec<String> = document
        .select("h1, h2")
        .iter()
        .map(|heading| one_line(&heading.text()))
        .collect();
    let language = attribute(&document, "html", "lang");

    let config = Config {
        // The class names the language of a code block.
        keep_classes: true,
        ..Config::default()
    };
    let mut readability = Readability::with_document(document, None, Some(config))
        .map_err(|error| format!("it cannot be read: {error}"))?;
    let article = readability
        .parse()
        .map_err(|_| "it has no main text".to_owned())?;
    let text = markdown(&article.content);
    if text.is_empty() {
        return Err("it has no main text".to_owned());
    }
    Ok(Page {
        title: title(&one_line(&article.title), &headings),
        subtitle,
        text,
        language: language.or(article.lang),
        canonical,
        byline: article
            .byline
            .map(|name| one_line(&name))
            .filter(|name| !name.is_empty()),
        published_at: article.published_time,
        modified_at: article.modified_time,
    })
}

/// The main part as Markdown: headings, lists, tables, quotes and code are kept.
fn markdown(html: &str) -> String {
    let main = Document::fragment(html);
    main.select(SILENT).remove();
    main.select("*").strip_elements(&UNMARKED);
    main.root().md(None).trim().to_owned()
}

/// Elements without an end, or whose end may be left out: they nest no deeper than others do.
const ENDLESS: [&str; 34] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr", "html", "head", "body", "p", "li", "dt", "dd", "option", "optgroup", "thead",
    "tbody", "tfoot", "tr", "td", "th", "colgroup", "caption", "rt", "rp", "path",
];

/// Counts open tags without building a tree, which takes quadratic time where they nest deeply.
fn opens_deeper(html: &str, limit: usize) -> bool {
    let mut depth = 0_usize;
    html.split('<').skip(1).any(|tag| {
        let (closes, tag) = tag
            .strip_prefix('/')
            .map_or((false, tag), |tag| (true, tag));
        let end = tag
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .unwrap_or(tag.len());
        let name = tag.get(..end).unwrap_or_default();
        let counts = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && !ENDLESS
                .iter()
                .any(|endless| endless.eq_ignore_ascii_case(name));
        if counts {
            depth = if closes {
                depth.saturating_sub(1)
            } else {
                depth + 1
            };
        }
        depth > limit
    })
}

/// Walks without recursion, since the depth is what is in doubt.
fn is_deeper(root: &NodeRef<'_>, limit: usize) -> bool {
    let mut at = Some(*root);
    let mut depth = 0;
    while let Some(node) = at {
        if depth > limit {
            return true;
        }
        if let Some(child) = node.first_child() {
            depth += 1;
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
        }
    }
    false
}

fn refuse_what_is_not_meant_to_be_read(document: &Document) -> Result<(), String> {
    for refresh in &document.select("meta[http-equiv]") {
        let content = refresh.attr_or("content", "");
        let (_, to) = content.split_once('=').unwrap_or_default();
        if refresh
            .attr_or("http-equiv", "")
            .eq_ignore_ascii_case("refresh")
            && !to.is_empty()
        {
            return Err(format!("it only leads on to {to}"));
        }
    }
    for robots in &document.select("meta[name=robots]") {
        let content = robots.attr_or("content", "").to_ascii_lowercase();
        if content.contains("noindex") || content.trim() == "none" {
            return Err("it asks not to be indexed".to_owned());
        }
    }
    Ok(())
}

fn canonical(document: &Document, address: &Url) -> Option<Url> {
    let link = attribute(document, "link[rel~=canonical]", "href")?;
    let mut link = address.join(&link).ok()?;
    link.set_fragment(None);
    matches!(link.scheme(), "http" | "https").then_some(link)
}

fn attribute(document: &Document, selector: &str, name: &str) -> Option<String> {
    let value = document.select_single(selector).attr(name)?;
    Some(one_line(&value)).filter(|value| !value.is_empty())
}

/// The longest heading with which the title begins says the same without the site's name.
fn title(full: &str, headings: &[String]) -> String {
    headings
        .iter()
        .filter(|heading| !heading.is_empty() && full.starts_with(heading.as_str()))
        .max_by_key(|heading| heading.len())
        .map_or(full, String::as_str)
        .to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Result<Page, String> {
        read(
            html,
            &Url::parse("https://example.org/book/one.html").unwrap(),
        )
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
        let said = |head| page(&article(head, "")).unwrap_err();
        let refresh = "<meta http-equiv=Refresh content='0; URL=../two.html'>";
        assert_eq!(said(refresh), "it only leads on to ../two.html");
        let robots = "<meta name=robots content='NOINDEX, follow'>";
        assert_eq!(said(robots), "it asks not to be indexed");
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
