//! What a page says of itself: title, description, author, dates, language, its own link. Pure.
//!
//! Asked in turn: JSON-LD, `OpenGraph` and other meta elements, then what is to be seen on the page.

use dom_query::{Document, NodeRef, Selection};
use url::Url;

use super::linked::Linked;
use super::one_line;

/// Letters that a name has at most; longer ones are text that happens to stand there.
const NAME_LETTERS_MAX: usize = 120;
/// Letters that are kept of a title and of a description; they stand beside every passage of the page.
const TITLE_LETTERS_MAX: usize = 500;
const SUBTITLE_LETTERS_MAX: usize = 2_000;
/// Headings that are compared with the title.
const HEADINGS_MAX: usize = 200;
/// Letters that a date has at most.
const DATE_LETTERS_MAX: usize = 40;

/// What a page says of itself.
#[derive(Debug, Default)]
pub(super) struct About {
    /// The title, without the site's name where a heading says it shorter.
    pub(super) title: String,
    /// The title as the page gives it.
    pub(super) full_title: String,
    pub(super) subtitle: String,
    pub(super) language: Option<String>,
    pub(super) canonical: Option<Url>,
    pub(super) byline: Option<String>,
    pub(super) published_at: Option<String>,
    pub(super) modified_at: Option<String>,
}

impl About {
    /// `address` is where the page was found: relative links are resolved against it.
    pub(super) fn read(document: &Document, linked: &Linked, address: &Url) -> Self {
        let full_title = text(&document.select_single("head title"))
            .or_else(|| text(&document.select_single("title")))
            .or_else(|| attribute(document, "meta[property='og:title']", "content"))
            .or_else(|| linked.text(&["headline"]))
            .or_else(|| text(&document.select_single("h1")))
            .unwrap_or_default();
        let full_title = start(full_title, TITLE_LETTERS_MAX);
        let headings: Vec<String> = document
            .select("h1, h2")
            .nodes()
            .iter()
            .take(HEADINGS_MAX)
            .filter_map(|heading| within(heading, full_title.len()))
            .collect();
        Self {
            title: title(&full_title, &headings),
            full_title,
            subtitle: linked
                .text(&["alternativeHeadline"])
                .or_else(|| meta(document, &["description", "og:description"]))
                .map(|text| start(text, SUBTITLE_LETTERS_MAX))
                .unwrap_or_default(),
            language: language(document, linked),
            canonical: canonical(document, address),
            byline: author(document, linked),
            published_at: published(document, linked),
            modified_at: modified(document, linked),
        }
    }
}

/// The first letters of a text.
fn start(mut text: String, letters: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(letters) {
        text.truncate(end);
    }
    text
}

/// Blanks between the words of a heading, beyond which it is not read on.
const BLANKS_MAX: usize = 2_000;

/// The text of a heading, unless it is longer than that: one that holds all others is not copied with them.
fn within(heading: &NodeRef<'_>, bytes: usize) -> Option<String> {
    let mut text = String::new();
    for node in heading.descendants_it().filter(NodeRef::is_text) {
        text.push_str(&node.text());
        if text.len() > bytes + BLANKS_MAX {
            return None;
        }
    }
    Some(one_line(&text)).filter(|text| text.len() <= bytes)
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

fn language(document: &Document, linked: &Linked) -> Option<String> {
    attribute(document, "html", "lang")
        .or_else(|| attribute(document, "html", "xml:lang"))
        .or_else(|| attribute(document, "meta[http-equiv='content-language' i]", "content"))
        .or_else(|| linked.text(&["inLanguage"]))
        .or_else(|| meta(document, &["og:locale"]))
        .map(|code| code.replace('_', "-"))
        .filter(|code| {
            code.len() <= 35 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}

pub(super) fn canonical(document: &Document, address: &Url) -> Option<Url> {
    let link = attribute(document, "link[rel~=canonical]", "href")
        .or_else(|| attribute(document, "meta[property='og:url']", "content"))?;
    let mut link = address.join(&link).ok()?;
    link.set_fragment(None);
    matches!(link.scheme(), "http" | "https").then_some(link)
}

fn author(document: &Document, linked: &Linked) -> Option<String> {
    let seen = |selector: &str| text(&document.select_single(selector));
    linked
        .text(&["author", "creator"])
        .or_else(|| {
            meta(
                document,
                &["author", "article:author", "dc.creator", "parsely-author"],
            )
        })
        .filter(|name| is_name(name))
        .or_else(|| seen("[itemprop=author] [itemprop=name]"))
        .or_else(|| seen("[itemprop=author]"))
        .or_else(|| seen("a[rel~=author]"))
        .or_else(|| seen("[class~=byline], [class~=author]"))
        .map(|name| without_by(&name))
        .filter(|name| is_name(name))
}

/// Links are given as names, too.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= NAME_LETTERS_MAX && !text.contains("://")
}

fn without_by(name: &str) -> String {
    let by = name
        .get(..3)
        .is_some_and(|by| by.eq_ignore_ascii_case("by "));
    let name = if by {
        name.get(3..).unwrap_or(name)
    } else {
        name
    };
    name.trim().to_owned()
}

fn published(document: &Document, linked: &Linked) -> Option<String> {
    let names = [
        "article:published_time",
        "og:published_time",
        "parsely-pub-date",
        "citation_publication_date",
        "dc.date.issued",
        "dc.date",
        "pubdate",
        "publishdate",
        "date",
    ];
    linked
        .text(&["datePublished", "dateCreated"])
        .or_else(|| meta(document, &names))
        .or_else(|| property(document, "datePublished"))
        .or_else(|| attribute(document, "time[pubdate]", "datetime"))
        .or_else(|| attribute(document, "article time[datetime]", "datetime"))
        .or_else(|| attribute(document, "time[datetime]", "datetime"))
        .filter(|date| is_date(date))
}

fn modified(document: &Document, linked: &Linked) -> Option<String> {
    let names = [
        "article:modified_time",
        "og:updated_time",
        "last-modified",
        "dcterms.modified",
    ];
    linked
        .text(&["dateModified"])
        .or_else(|| meta(document, &names))
        .or_else(|| property(document, "dateModified"))
        .filter(|date| is_date(date))
}

/// What names no year is no date.
fn is_date(text: &str) -> bool {
    let year = text
        .split(|c: char| !c.is_ascii_digit())
        .any(|part| part.len() == 4 || part.len() == 8);
    year && text.chars().count() <= DATE_LETTERS_MAX
}

/// The content of the first meta element of one of these names, in the order of the names.
fn meta(document: &Document, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let selector = format!("meta[name='{name}' i], meta[property='{name}' i]");
        attribute(document, &selector, "content")
    })
}

fn property(document: &Document, name: &str) -> Option<String> {
    let selector = format!("[itemprop='{name}']");
    attribute(document, &selector, "content").or_else(|| attribute(document, &selector, "datetime"))
}

/// The first such attribute that says something.
pub(super) fn attribute(document: &Document, selector: &str, name: &str) -> Option<String> {
    let value = document.select_single(selector).attr(name)?;
    Some(one_line(&value)).filter(|value| !value.is_empty())
}

fn text(selection: &Selection<'_>) -> Option<String> {
    Some(one_line(&selection.text())).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(html: &str) -> About {
        let document = Document::from(html);
        let address = Url::parse("https://example.org/book/one.html").unwrap();
        About::read(&document, &Linked::read(&document), &address)
    }

    #[test]
    fn json_ld_is_asked_before_meta_elements_and_those_before_what_is_seen() {
        let linked = r#"<script type="application/ld+json">{"@type":"Article","author":{"name":"Ada"},
            "datePublished":"2024-01-01","dateModified":"2024-01-02","inLanguage":"de"}</script>"#;
        let meta = "<meta name=author content=Grace>\
            <meta property=article:published_time content=2024-02-01>\
            <meta property=article:modified_time content=2024-02-02>\
            <meta property=og:locale content=en_GB>";
        let seen = "<p class=byline>By Edsger</p><time datetime=2024-03-01>then</time>";
        let facts = |html: &str| {
            let about = about(html);
            [
                about.byline,
                about.published_at,
                about.modified_at,
                about.language,
            ]
            .map(Option::unwrap_or_default)
        };
        assert_eq!(
            facts(&format!("{linked}{meta}{seen}")),
            ["Ada", "2024-01-01", "2024-01-02", "de"]
        );
        assert_eq!(
            facts(&format!("{meta}{seen}")),
            ["Grace", "2024-02-01", "2024-02-02", "en-GB"]
        );
        assert_eq!(facts(seen), ["Edsger", "2024-03-01", "", ""]);
    }

    #[test]
    fn what_is_no_name_no_date_and_no_language_is_not_taken_for_one() {
        let about = about(
            "<html lang='not a code'><meta name=author content='https://example.org/ada'>\
             <meta name=date content=yesterday><time datetime=10:30>now</time>",
        );
        assert_eq!(about.byline, None);
        assert_eq!(about.published_at, None);
        assert_eq!(about.language, None);
    }

    #[test]
    fn the_pages_own_link_is_made_whole_and_must_be_of_the_web() {
        let link = |head: &str| about(head).canonical.map(String::from);
        let canonical = link("<link rel=canonical href='/book/1#x'>");
        assert_eq!(canonical.as_deref(), Some("https://example.org/book/1"));
        let open_graph = link("<meta property=og:url content=https://example.org/1>");
        assert_eq!(open_graph.as_deref(), Some("https://example.org/1"));
        assert_eq!(link("<link rel=canonical href='javascript:x'>"), None);
    }

    #[test]
    fn a_title_without_end_is_cut_and_headings_within_headings_are_not_copied_each() {
        let text = "é".repeat(100_000);
        let about = about(&format!(
            "<title>{text}</title><meta name=description content={text}>"
        ));
        assert_eq!(about.title.chars().count(), TITLE_LETTERS_MAX);
        assert_eq!(about.subtitle.chars().count(), SUBTITLE_LETTERS_MAX);
        let html = format!("<h1>{0}<h2>{0}", "a ".repeat(2_000));
        let document = Document::from(html);
        let first = *document.select("h1").nodes().first().unwrap();
        assert_eq!(within(&first, 100), None);
    }

    #[test]
    fn a_title_is_as_short_as_a_heading_says_it() {
        let about = about("<title>Owning - The Guide</title><h1>Owning</h1>");
        assert_eq!(
            (&*about.title, &*about.full_title),
            ("Owning", "Owning - The Guide")
        );
    }
}
