//! Crawls of real folders, repositories and a real server, into a source in memory.

mod account;
mod again;
mod alone;
mod articles;
mod browser;
mod clones;
mod export;
mod git;
mod hostile;
mod linkedin;
mod local;
mod memory;
mod moved;
mod polite;
mod posts;
mod remote;
mod scene;
mod scheduled;
mod shelf;
mod strange;
mod web;

use std::path::Path;

use super::{Kind, Report, Request, Settings, crawl};
use crate::document::Document;
use memory::Memory;

const LONG: &str = "This paragraph says enough, with commas, clauses and a full stop, to be taken \
    for the main text of its page and not for the frame around it, whatever judges it.";

/// A page with a title and enough text to be one.
fn html(title: &str, text: &str) -> String {
    let body = format!("<p>{text}</p>") + &format!("<p>{LONG}</p>").repeat(4);
    format!(
        "<html lang=en><head><title>{title}</title></head><body><main>{body}</main></body></html>"
    )
}

fn request(target: &str) -> Request {
    Request {
        target: target.to_owned(),
        author: "Ada Lovelace".to_owned(),
        as_kind: None,
        browser: false,
        reference: None,
    }
}

async fn crawl_path(source: &Memory, path: &Path) -> Report {
    crawl(
        source,
        &request(path.to_str().unwrap()),
        &Settings::default(),
        &(),
    )
    .await
    .unwrap()
}

/// The link, as one of this platform's whatever its host.
fn asked(link: &str, platform: &str) -> Request {
    Request {
        as_kind: Some(Kind::of(platform)),
        ..request(link)
    }
}

fn counts(report: &Report) -> (usize, usize, usize) {
    (report.saved, report.unchanged, report.deleted)
}

/// The reason for which the one thing whose name ends so was skipped.
fn why<'a>(report: &'a Report, end: &str) -> &'a str {
    let mut skipped = report
        .skipped
        .iter()
        .filter(|skipped| skipped.what.ends_with(end));
    let reason = skipped
        .next()
        .unwrap_or_else(|| panic!("{end} was not skipped: {report:?}"));
    assert!(skipped.next().is_none(), "{end} was skipped twice");
    &reason.why
}

fn content(document: &Document, name: &str) -> String {
    document.fields["content"][name]
        .as_str()
        .unwrap()
        .to_owned()
}
