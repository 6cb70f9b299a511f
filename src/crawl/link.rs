//! Links as identities: without what does not tell pages apart, and which may speak for which. Pure.

use url::Url;

/// Parameters that say where a reader came from; those that begin with `utm_` too.
const TRACKING: [&str; 8] = [
    "fbclid", "gclid", "dclid", "msclkid", "mc_cid", "mc_eid", "igshid", "ref_src",
];
/// First labels of a host's name that stand for another form of the same site.
const FORMS: [&str; 4] = ["www", "amp", "m", "mobile"];

/// A page's link without fragment and campaign parameters.
pub(crate) fn normalised(url: &Url) -> String {
    let mut link = url.clone();
    link.set_fragment(None);
    if url.query_pairs().any(|(name, _)| tracks(&name)) {
        let kept = url.query_pairs().filter(|(name, _)| !tracks(name));
        link.query_pairs_mut().clear().extend_pairs(kept);
        if link.query() == Some("") {
            link.set_query(None);
        }
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

/// Whether a page at `page` may call `link` its own: another host's page is not its to replace, but a
/// site's form for phones may name the site's own page. No page but the home page is the home page, though
/// some sites say so in every one.
pub(crate) fn may_speak_for(page: &Url, link: &Url) -> bool {
    let site = |url: &Url| {
        let host = url.domain()?;
        let (first, rest) = host.split_once('.')?;
        let form = FORMS.contains(&first) && rest.contains('.');
        Some(if form { rest } else { host }.to_owned())
    };
    let is_home = |url: &Url| url.path() == "/" && url.query().is_none();
    if is_home(link) && !is_home(page) {
        return false;
    }
    page.host() == link.host() || site(page).is_some_and(|own| Some(own) == site(link))
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
