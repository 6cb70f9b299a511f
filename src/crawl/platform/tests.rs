//! What links lead to, for every platform.

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// What a link leads to, in short.
fn led(link: &str, asked: Option<&str>) -> String {
    match plan(&url(link), asked) {
        Plan::Page(url) => format!("page {url}"),
        Plan::Repository(url) => format!("repository {url}"),
        Plan::Account(account) => format!("account {} {}", account.home, account.repositories),
        Plan::Refused(why) => format!("refused: {why}"),
        Plan::Listing(listing) => {
            let places = listing.feeds.iter().chain(&listing.sitemaps);
            let places: Vec<_> = places.map(Url::as_str).collect();
            format!("listing {}: {}", listing.home, places.join(" "))
        }
    }
}

const FORGES: [(&str, &str); 19] = [
    (
        "https://example.org/a?b=c",
        "page https://example.org/a?b=c",
    ),
    (
        "https://example.org/x/y.git/",
        "repository https://example.org/x/y.git/",
    ),
    (
        "https://codeberg.org/a/b",
        "repository https://codeberg.org/a/b",
    ),
    (
        "https://github.com/rust-lang/book",
        "repository https://github.com/rust-lang/book",
    ),
    (
        "https://github.com/ada?tab=repositories",
        "account https://github.com/ada true",
    ),
    (
        "http://www.github.com/ada/engine/?tab=readme-ov-file",
        "repository https://github.com/ada/engine",
    ),
    (
        "https://github.com/orgs/rust-lang",
        "account https://github.com/rust-lang true",
    ),
    (
        "https://gist.github.com/ada",
        "account https://gist.github.com/ada false",
    ),
    (
        "https://gist.github.com/ada/aa5a315d61ae9438b18d",
        "repository https://gist.github.com/aa5a315d61ae9438b18d.git",
    ),
    (
        "https://github.com/features",
        "page https://github.com/features",
    ),
    (
        "https://github.com/ada/engine/issues/1",
        "page https://github.com/ada/engine/issues/1",
    ),
    (
        "https://github.com/ada/engine/blob/v1.2/src/lib.rs",
        "page https://github.com/ada/engine/blob/v1.2/src/lib.rs",
    ),
    (
        "https://github.com/ada/engine/releases/tag/v1.2",
        "page https://github.com/ada/engine/releases/tag/v1.2",
    ),
    (
        "https://github.com/ada/engine/tree",
        "page https://github.com/ada/engine/tree",
    ),
    (
        "https://github.com/topics/x/tree/y",
        "page https://github.com/topics/x/tree/y",
    ),
    (
        "https://gist.github.com/ada/engine/tree/x",
        "page https://gist.github.com/ada/engine/tree/x",
    ),
    (
        "https://www.github.com/ada/engine/tree/v1.2/?tab=readme-ov-file",
        "refused: a branch, tag or commit is chosen by its name: \
             lockstep crawl https://github.com/ada/engine --ref v1.2",
    ),
    (
        "https://github.com/ada/engine/tree/feature/looms",
        "refused: a branch, tag or commit is chosen by its name: \
             lockstep crawl https://github.com/ada/engine --ref feature; \
             a name with slashes in it goes whole, and a folder cannot be read alone",
    ),
    (
        "https://github.com/ada/engine/tree/$(x)",
        "refused: a branch, tag or commit is chosen by its name: \
             lockstep crawl https://github.com/ada/engine --ref <name>",
    ),
];

const PUBLICATIONS: [(&str, &str); 12] = [
    (
        "https://medium.com/@ada/engines-0123456789ab?source=user_profile---1",
        "page https://medium.com/@ada/engines-0123456789ab",
    ),
    (
        "https://medium.com/p/0123456789ab",
        "page https://medium.com/p/0123456789ab",
    ),
    (
        "https://medium.com/the-loom/engines-0123456789ab?sk=f00",
        "page https://medium.com/the-loom/engines-0123456789ab",
    ),
    (
        "https://medium.com/@ada",
        "listing https://medium.com/@ada: https://medium.com/feed/@ada \
             https://ada.medium.com/sitemap/sitemap.xml",
    ),
    (
        "https://medium.com/the-loom?source=x",
        "listing https://medium.com/the-loom: https://medium.com/feed/the-loom",
    ),
    (
        "https://ada.medium.com/",
        "listing https://ada.medium.com/: https://ada.medium.com/feed \
             https://ada.medium.com/sitemap/sitemap.xml",
    ),
    ("https://medium.com/tag", "page https://medium.com/tag"),
    (
        "https://ada.substack.com/p/engines?utm_source=post&r=1a",
        "page https://ada.substack.com/p/engines",
    ),
    (
        "https://open.substack.com/pub/ada/p/engines?r=1a",
        "page https://ada.substack.com/p/engines",
    ),
    (
        "https://substack.com/home/post/p-12?source=queue",
        "page https://substack.com/home/post/p-12",
    ),
    (
        "https://ada.substack.com/archive?sort=new",
        "listing https://ada.substack.com/: https://ada.substack.com/feed \
             https://ada.substack.com/sitemap.xml",
    ),
    (
        "https://substack.com/@Ada",
        "listing https://ada.substack.com/: https://ada.substack.com/feed \
             https://ada.substack.com/sitemap.xml",
    ),
];

#[test]
fn a_link_goes_to_the_platform_of_its_host_and_any_other_is_an_article() {
    for (link, expected) in FORGES.into_iter().chain(PUBLICATIONS) {
        assert_eq!(led(link, None), expected, "{link}");
    }
}

#[test]
fn a_platform_that_a_person_names_is_on_any_domain() {
    assert_eq!(
        led("https://letters.example.org/", Some("substack")),
        "listing https://letters.example.org/: https://letters.example.org/feed \
         https://letters.example.org/sitemap.xml",
    );
    assert_eq!(
        led("https://letters.example.org/p/one?r=2", Some("substack")),
        "page https://letters.example.org/p/one",
    );
    assert_eq!(
        led(
            "https://loom.example.org/engines-0123456789ab?gi=1",
            Some("medium")
        ),
        "page https://loom.example.org/engines-0123456789ab",
    );
    assert_eq!(
        led(
            "https://git.example.org/ada/engine/tree/v1.2",
            Some("github")
        ),
        "refused: a branch, tag or commit is chosen by its name: \
         lockstep crawl https://git.example.org/ada/engine --ref v1.2 --as github",
    );
    assert_eq!(
        led("https://ada.substack.com/", Some("article")),
        "page https://ada.substack.com/",
    );
}

#[test]
fn what_robots_txt_forbids_has_a_way_out_on_linkedin_alone() {
    let said = forbidden(&url("https://de.linkedin.com/pulse/x"));
    let has = |part: &str| said.contains(part);
    assert!(
        has("robots.txt forbids it") && has("copy of your data") && has("save the page"),
        "{said}"
    );
    let elsewhere = forbidden(&url("https://example.org/linkedin.com"));
    assert_eq!(elsewhere, "its host's robots.txt forbids it");
}

#[test]
fn all_links_of_one_post_are_one_document() {
    let medium = [
        "https://medium.com/@ada/engines-0123456789ab?source=x#f00d",
        "https://medium.com/the-loom/engines-and-looms-0123456789ab",
        "https://ada.medium.com/engines-0123456789ab?sk=1",
        "https://medium.com/p/0123456789ab",
    ];
    for link in medium {
        assert_eq!(
            identity(&url(link)),
            "https://medium.com/p/0123456789ab",
            "{link}"
        );
    }
    let substack = [
        "https://ada.substack.com/p/x?r=1",
        "https://ada.substack.com/p/x?utm_medium=web",
        "https://ada.substack.com/p/x/",
        "https://ada.substack.com/p/x/comments#comment-1",
        "https://ada.substack.com/p/x/comment/1",
        "https://open.substack.com/pub/ada/p/x?r=1",
        "https://open.substack.com/pub/ada/p/x/comments",
    ];
    let by_number = [
        "https://substack.com/home/post/p-12?source=queue",
        "https://www.substack.com/home/post/p-12/",
    ];
    let pulse = [
        "https://www.linkedin.com/pulse/x?trk=article",
        "https://www.linkedin.com/pulse/x/",
        "https://de.linkedin.com/pulse/x",
        "http://linkedin.com/pulse/x#top",
    ];
    let posts = [
        (&substack[..], "https://ada.substack.com/p/x"),
        (&by_number[..], "https://substack.com/home/post/p-12"),
        (&pulse[..], "https://www.linkedin.com/pulse/x"),
    ];
    for (links, one) in posts {
        for link in links {
            assert_eq!(identity(&url(link)), one, "{link}");
            assert_eq!(canonical(&url(link)), one, "{link}");
        }
    }
    assert_eq!(
        identity(&url("https://a.example/x?id=1&utm_source=y")),
        "https://a.example/x?id=1"
    );
}
