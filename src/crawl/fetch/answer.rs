//! What came back: whether it may be read, what it says of itself, and its body within a limit.

use reqwest::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use url::Url;

use super::Stop;
use crate::crawl::{delay, denial};
use crate::{Error, Result};

/// What a body may be.
pub(super) struct Kinds {
    what: &'static str,
    media: &'static [&'static str],
}

pub(super) const PAGES: Kinds = Kinds {
    what: "a page",
    media: &["text/html", "application/xhtml+xml", "text/plain"],
};

pub(super) const LISTS: Kinds = Kinds {
    what: "a feed or sitemap",
    media: &[
        "application/rss+xml",
        "application/atom+xml",
        "application/feed+json",
        "application/json",
        "application/xml",
        "text/xml",
        "text/plain",
        // Some serve feeds as pages; whoever reads it sees what it is.
        "text/html",
    ],
};

/// Judges status and type; returns the charset.
pub(super) fn accept(response: &Response, kinds: &Kinds) -> Result<Option<String>, Stop> {
    match response.status() {
        status if status.is_success() => {}
        status @ (StatusCode::NOT_FOUND | StatusCode::GONE) => return Err(Stop::Gone(status)),
        status => return Err(Stop::Why(format!("the server answered {status}"))),
    }
    let Some(kind) = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
    else {
        return Ok(None);
    };
    let kind = kind.to_ascii_lowercase();
    let (media, parameters) = kind.split_once(';').unwrap_or((&kind, ""));
    if !kinds.media.contains(&media.trim()) {
        let why = format!("it is {}, not {}", media.trim(), kinds.what);
        return Err(Stop::Why(why));
    }
    let charset = parameters
        .split(';')
        .find_map(|part| part.trim().strip_prefix("charset="));
    Ok(charset.map(str::to_owned))
}

/// A header's text.
pub(super) fn named(response: &Response, name: &HeaderName) -> Option<String> {
    let value = response.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

/// Until when a host wants to be left alone; none where it does not say so.
pub(super) fn busy(response: &Response, now_ms: u64) -> Option<u64> {
    let asked = named(response, &RETRY_AFTER);
    delay::busy(response.status().as_u16(), asked.as_deref(), now_ms)
}

/// The same of an interface for programs. GitHub's says it with a 403, too, which for a page is a refusal.
pub(super) fn spent(response: &Response, now_ms: u64) -> Option<u64> {
    let status = response.status();
    let asked = named(response, &RETRY_AFTER).filter(|_| status == StatusCode::FORBIDDEN);
    let asked = asked.and_then(|text| delay::retry_after(&text, now_ms));
    let reset_ms = denial::spent(status, response.headers());
    let reset_ms = reset_ms.map(|reset_ms| delay::soon(reset_ms, now_ms));
    busy(response, now_ms).max(asked).max(reset_ms)
}

/// Reads a body up to a limit that counts decompressed bytes, holding never more than it.
pub(super) async fn read(mut response: Response, limit: u64, link: &Url) -> Result<Vec<u8>> {
    let too_large = |bytes| Error::TooLarge {
        thing: link.to_string(),
        bytes,
        limit,
    };
    if let Some(length) = response.content_length().filter(|length| *length > limit) {
        return Err(too_large(length));
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| Error::Fetch {
            link: link.to_string(),
            why: said(error),
        })?;
        let Some(chunk) = chunk else {
            return Ok(bytes);
        };
        let length = bytes.len() as u64 + chunk.len() as u64;
        if length > limit {
            return Err(too_large(length));
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// Reads a body no further than a limit that counts decompressed bytes.
pub(super) async fn beginning(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(said)? {
        let room = limit - bytes.len();
        bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if bytes.len() == limit {
            break;
        }
    }
    Ok(bytes)
}

/// What a client error says, with its causes and without the address, which is named already.
pub(super) fn said(error: reqwest::Error) -> String {
    Error::unavailable("server", "answer")(error.without_url()).chain()
}
