//! Pages that are not meant to be read: they lead on, ask to be left out, or end at a paywall. Pure.

use dom_query::{Document, NodeRef};
use url::Url;

use super::about::attribute;
use super::linked::Linked;

/// A page that leads on later than this is one to be read, which reloads or ends.
const REFRESH_SECONDS_MAX: f64 = 10.0;
/// Words under which a page that names a paywall has only its beginning.
const STUB_WORDS: usize = 200;
/// Words above which a page that says it must be paid for has its whole text all the same.
const WHOLE_WORDS: usize = 600;

/// Where a page leads at once, by a meta element.
pub(super) fn leads_to(document: &Document, address: &Url) -> Option<Url> {
    let metas = document.select("meta[http-equiv]");
    metas.nodes().iter().find_map(|meta| {
        if !meta.attr("http-equiv")?.eq_ignore_ascii_case("refresh") {
            return None;
        }
        let to = destination(&meta.attr("content")?)?;
        let mut to = address.join(&to).ok()?;
        to.set_fragment(None);
        let mut here = address.clone();
        here.set_fragment(None);
        (to != here && !is_without_scripts(meta)).then_some(to)
    })
}

/// Whether an element is for readers without scripts alone. A browser keeps it and does not heed it, and neither do
/// we: it mostly leads to a page that asks for scripts.
fn is_without_scripts(element: &NodeRef<'_>) -> bool {
    let mut around = element.ancestors_it(None);
    around.any(|around| around.has_name("noscript"))
}

/// The link of a `content` such as `0; url='next.html'`, unless it waits.
fn destination(content: &str) -> Option<String> {
    let (seconds, rest) = content.split_once([';', ','])?;
    if seconds.trim().parse::<f64>().unwrap_or_default() > REFRESH_SECONDS_MAX {
        return None;
    }
    let rest = rest.trim();
    let named = rest
        .get(..3)
        .is_some_and(|name| name.eq_ignore_ascii_case("url"));
    let link = if named {
        rest.get(3..)?.trim_start().strip_prefix('=')?
    } else {
        rest
    };
    let link = link.trim().trim_matches(['"', '\'']).trim();
    (!link.is_empty()).then(|| link.to_owned())
}

/// Whether a page asks not to be kept.
pub(super) fn asks_to_be_left_out(document: &Document) -> bool {
    let metas = document.select("meta[name=robots i]");
    metas.nodes().iter().any(|robots| {
        let content = robots.attr("content").unwrap_or_default();
        let content = content.to_ascii_lowercase();
        let forbids = content.contains("noindex") || content.trim() == "none";
        forbids && !is_without_scripts(robots)
    })
}

/// Whether a page stops at a paywall, as far as it says or shows it.
pub(super) fn has_paywall(document: &Document, linked: &Linked) -> Paywall {
    let tier = attribute(document, "meta[name='article:content_tier']", "content")
        .or_else(|| attribute(document, "meta[property='article:content_tier']", "content"));
    let priced = tier.is_some_and(|tier| ["locked", "metered"].contains(&tier.as_str()));
    if priced || linked.is_free() == Some(false) {
        return Paywall::Declared;
    }
    let shown = document.select("[class*=paywall i], [id*=paywall i], [class*=regwall i]");
    if shown.exists() {
        Paywall::Shown
    } else {
        Paywall::None
    }
}

/// How much speaks for a paywall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paywall {
    /// Nothing.
    None,
    /// Its elements are named so.
    Shown,
    /// The page's own data say so.
    Declared,
}

impl Paywall {
    /// Whether this text is only the beginning of an article.
    pub(super) fn cuts(self, text: &str) -> bool {
        let words = text.split_whitespace().take(WHOLE_WORDS + 1).count();
        match self {
            Self::None => false,
            Self::Shown => words < STUB_WORDS,
            Self::Declared => words < WHOLE_WORDS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(content: &str) -> Option<String> {
        let html = format!("<meta http-equiv=Refresh content=\"{content}\">");
        let address = Url::parse("https://example.org/book/one.html").unwrap();
        leads_to(&Document::from(html), &address).map(String::from)
    }

    #[test]
    fn a_page_that_leads_on_at_once_says_where() {
        let two = Some("https://example.org/two.html".to_owned());
        for content in [
            "0; URL=../two.html",
            "0;url='/two.html'",
            "3, /two.html",
            " 1 ; url = /two.html#a",
        ] {
            assert_eq!(leads(content), two, "{content}");
        }
    }

    #[test]
    fn a_page_that_reloads_itself_or_waits_is_one_to_be_read() {
        for content in [
            "300",
            "0",
            "0; url=",
            "60; url=/two.html",
            "0; url=one.html#x",
            "0; url=http://[",
        ] {
            assert_eq!(leads(content), None, "{content}");
        }
    }

    #[test]
    fn what_is_for_readers_without_scripts_neither_leads_on_nor_forbids() {
        let metas =
            "<meta http-equiv=refresh content='0; url=/plain'><meta name=robots content=noindex>";
        let address = Url::parse("https://example.org/app").unwrap();
        let judged = |html: &str| {
            let document = Document::from(html);
            let leads = leads_to(&document, &address).is_some();
            (leads, asks_to_be_left_out(&document))
        };
        let hidden = format!("<noscript>{metas}</noscript>");
        assert_eq!(judged(&format!("<head>{hidden}</head>")), (false, false));
        let inner = format!("<body><noscript><div><p>{metas}</div></noscript>");
        assert_eq!(judged(&inner), (false, false));
        assert_eq!(judged(&format!("{hidden}{metas}")), (true, true));
    }

    #[test]
    fn a_stub_is_told_from_a_whole_article() {
        let judge = |html: &str, words: usize| {
            let document = Document::from(html);
            let paywall = has_paywall(&document, &Linked::read(&document));
            paywall.cuts(&"word ".repeat(words))
        };
        let declared = r#"<script type="application/ld+json">
            {"@type":"NewsArticle","isAccessibleForFree":"False"}</script>"#;
        let tier = "<meta property=article:content_tier content=locked>";
        for html in [declared, tier] {
            assert!(judge(html, 300) && !judge(html, 1_000), "{html}");
        }
        let shown = "<div class='c-PayWall'>Subscribe</div>";
        assert!(judge(shown, 100) && !judge(shown, 300));
        assert!(!judge("<p>short</p>", 1));
    }
}
