//! Markup that stands in a field of JSON or a feed, as the text of a page. Pure.

use url::Url;

use crate::crawl::page::{self, Page};

/// Reads a fragment as the article of a page with this title.
pub(super) fn of_fragment(title: &str, fragment: &str, address: &Url) -> Result<Page, String> {
    let title = escaped(title);
    // Once as the heading: what readers take for the frame of an article begins above it.
    let html = format!(
        "<!doctype html><html><head><title>{title}</title></head><body><article>{fragment}\
         </article></body></html>"
    );
    page::read(&html, address)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
