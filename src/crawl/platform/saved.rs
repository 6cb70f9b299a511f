//! Pages of platforms that a person saved by hand, as is the only way where no program is let in.

use url::Url;

use super::{Markup, Plan, Post, of_platform, plan};
use crate::crawl::harvest::{Context, Found};

/// What the platform has of a page on disk, at `page.url`, that calls the link `own` its own; none where that is no
/// page of a platform, so that it is an article as any other.
///
/// It is the document of its file: what a file says of itself takes the place of nothing else.
pub(crate) fn saved(
    page: &Markup<'_>,
    own: &Url,
    context: &Context,
) -> Option<Result<Found, String>> {
    let Plan::Page(own) = plan(own, None) else {
        return None;
    };
    let there = Markup {
        html: page.html,
        document: page.document,
        url: &own,
    };
    let read = of_platform(&there, None)?;
    Some(read.and_then(|(platform, post)| {
        let post = Post {
            identity: page.url.to_string(),
            ..post
        };
        post.found(platform, page.url, context)
    }))
}
