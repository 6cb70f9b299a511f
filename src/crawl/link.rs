//! Links as identities: without what does not tell pages apart, and which may speak for which. Pure.

use url::Url;
use url::form_urlencoded;

/// Parameters that say where a reader came from; those that begin with `utm_` too.
const TRACKING: [&str; 8] = [
    "fbclid", "gclid", "dclid", "msclkid", "mc_cid", "mc_eid", "igshid", "ref_src",
];
/// First labels of a host's name that stand for another form of the same site.
const FORMS: [&str; 4] = ["www", "amp", "m", "mobile"];

/// A page's link without fragment and campaign parameters; what is left of it stays as it is written.
pub(crate) fn normalised(url: &Url) -> String {
    let mut link = url.clone();
    link.set_fragment(None);
    let query = url.query().unwrap_or_default();
    let is_kept = |part: &&str| {
        let named = form_urlencoded::parse(part.as_bytes()).next();
        !named.is_some_and(|(name, _)| tracks(&name))
    };
    let kept: Vec<_> = query.split('&').filter(is_kept).collect();
    if kept.len() < query.split('&').count() {
        let kept = kept.join("&");
        link.set_query(Some(kept.as_str()).filter(|kept| !kept.is_empty()));
    }
    link.into()
}

fn tracks(name: &str) -> bool {
    name.starts_with("utm_") || TRACKING.contains(&name)
}

/// A repository's link without `.git`, slash, query and fragment at its end.
pub(crate) fn repository_link(url: &Url) -> String {
    let mut link = url.clone();
    link.set_fragment(None);
    link.set_query(None);
    let link = link.as_str().trim_end_matches('/');
    link.strip_suffix(".git").unwrap_or(link).to_owned()
}

/// The link under which a page that was found at `page` is one: its own word, where that may count.
pub(crate) fn own(page: &Url, canonical: Option<&Url>) -> String {
    normalised(
        canonical
            .filter(|link| may_speak_for(page, link))
            .unwrap_or(page),
    )
}

/// Whether a page at `page` may call `link` its own: another host's page is not its to replace, but a
/// site's form for phones may name the site's own page, and a saved page the one that it was. No page but the
/// home page is the home page, though some sites say so in every one.
pub(crate) fn may_speak_for(page: &Url, link: &Url) -> bool {
    let site = |url: &Url| {
        let host = url.domain()?;
        let (first, rest) = host.split_once('.')?;
        let form = FORMS.contains(&first) && rest.contains('.');
        Some(if form { rest } else { host }.to_owned())
    };
    if is_home(link) && !is_home(page) {
        return false;
    }
    if page.scheme() == "file" {
        return matches!(link.scheme(), "http" | "https");
    }
    page.host() == link.host() || site(page).is_some_and(|own| Some(own) == site(link))
}

/// Whether a link is that of a site's home page.
pub(crate) fn is_home(link: &Url) -> bool {
    link.path() == "/" && link.query().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn what_follows_a_reader_makes_no_second_page() {
        let page = "https://example.org/a?id=1";
        for link in [
            "https://example.org/a?id=1",
            "https://example.org/a?utm_source=x&id=1#part",
            "https://example.org/a?fbclid=x&id=1&gclid=y",
        ] {
            assert_eq!(normalised(&url(link)), page);
        }
        let bare = normalised(&url("https://example.org/a?utm_source=x"));
        assert_eq!(bare, "https://example.org/a");
        assert_ne!(normalised(&url("https://example.org/a?id=2")), page);
    }

    #[test]
    fn what_stays_of_a_query_stays_as_it_is_written() {
        let kept = "https://example.org/a?q=one%20two&flag&path=a/b&sign=%2B+%c3%a9&empty=";
        assert_eq!(normalised(&url(kept)), kept);
        for tracked in [
            format!("{kept}&utm_source=x"),
            kept.replace('?', "?utm%5Fsource=x&"),
            kept.replace("&flag", "&fbclid&flag"),
        ] {
            assert_eq!(normalised(&url(&tracked)), kept, "{tracked}");
        }
        assert_eq!(
            normalised(&url("https://example.org/?")),
            "https://example.org/?"
        );
    }

    #[test]
    fn a_saved_page_is_the_page_that_it_was_and_never_the_home_page() {
        let file = url("file:///srv/saved/a.html");
        let own = |canonical| own(&file, Some(&url(canonical)));
        assert_eq!(own("https://example.org/a"), "https://example.org/a");
        assert_eq!(own("https://example.org/"), file.as_str());
        assert_eq!(own("file:///srv/b.html"), file.as_str());
        assert_eq!(super::own(&file, None), file.as_str());
    }

    #[test]
    fn a_page_speaks_for_its_site_in_every_form_and_for_no_other() {
        let speaks = |page, link| may_speak_for(&url(page), &url(link));
        assert!(speaks(
            "https://amp.example.org/a",
            "https://www.example.org/a"
        ));
        assert!(speaks("https://m.example.org/a", "https://example.org/a"));
        assert!(speaks("http://127.0.0.1:80/a", "http://127.0.0.1:80/b"));
        assert!(!speaks("https://example.org/a", "https://example.com/a"));
        assert!(!speaks(
            "https://blog.example.org/a",
            "https://example.org/a"
        ));
        assert!(!speaks("https://example.org/a", "https://example.org/"));
        assert!(speaks(
            "https://amp.example.org/",
            "https://www.example.org/"
        ));
        assert!(!speaks("https://m.org/a", "https://www.org/a"));
        assert!(!speaks("http://127.0.0.1/a", "http://127.0.0.2/a"));
    }
}
