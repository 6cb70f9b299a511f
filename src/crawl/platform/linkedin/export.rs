//! The files of LinkedIn's data export to documents. Pure.
//!
//! | file | columns that are read | becomes |
//! |---|---|---|
//! | `Shares.csv` | `Date`, `ShareLink`, `ShareCommentary`, `SharedUrl`, `Visibility` | `posts` |
//! | `Comments.csv` | `Date`, `Link`, `Message` | `posts` that say what they answer |
//! | `Articles/…/*.html` | title, link, date of publication, text | `articles` |
//!
//! A complete export has the member's number in the names (`Shares_1234.csv`), and lays the files in a
//! folder or not. Shares write a quote in a text as `""`, and every line of a text of several as one
//! more quoted text; comments write a quote as `\"`.

use std::collections::{HashMap, HashSet};

use csv::{ReaderBuilder, StringRecord};
use url::Url;
use uuid::Uuid;

use super::urn;
use crate::crawl::page::{self, Page};
use crate::crawl::pages;
use crate::crawl::platform::{Counts, Post};
use crate::document::{Fields, kind};

/// What a file of the export holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// The member's posts.
    Shares,
    /// What they wrote below others' posts.
    Comments,
    /// Their articles, one a file.
    Articles,
}

/// What a row or a file gave.
#[derive(Debug)]
pub(crate) enum Row {
    /// A document, and fields of its own.
    Post(Box<Post>, Fields),
    /// Nothing, and why.
    Passed(&'static str),
    /// Something that cannot be read, so that more may be missing.
    Broken(String),
}

impl Section {
    /// What is in the file of this name; none where it is of no interest.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let name = name.to_lowercase().replace('\\', "/");
        let (folders, file) = name.rsplit_once('/').unwrap_or(("", &name));
        let is_page = file.strip_suffix(".html").is_some();
        if is_page && folders.split('/').any(|folder| folder == "articles") {
            return Some(Self::Articles);
        }
        let stem = file.strip_suffix(".csv")?;
        let stem = stem
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .trim_end_matches('_');
        match stem {
            "shares" => Some(Self::Shares),
            "comments" => Some(Self::Comments),
            _ => None,
        }
    }

    /// Its name in `crawl_root`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shares => "shares",
            Self::Comments => "comments",
            Self::Articles => "articles",
        }
    }

    /// Reads a file of the section.
    pub(crate) fn read(self, name: &str, bytes: &[u8]) -> Vec<Row> {
        match self {
            Self::Shares => rows(bytes, None, "sharecommentary", share),
            Self::Comments => told_apart(rows(bytes, Some(b'\\'), "message", comment)),
            Self::Articles => vec![article(name, bytes)],
        }
    }
}

/// One row by the names of its columns, whatever their case and spacing.
struct Cells<'a> {
    header: &'a [String],
    record: &'a StringRecord,
}

impl Cells<'_> {
    fn get(&self, name: &str) -> &str {
        let at = self.header.iter().position(|column| column == name);
        at.and_then(|at| self.record.get(at))
            .unwrap_or_default()
            .trim()
    }
}

/// Reads rows below the first one that names this column: notes may stand above it.
fn rows(bytes: &[u8], escape: Option<u8>, column: &str, read: fn(&Cells<'_>) -> Row) -> Vec<Row> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .escape(escape)
        .from_reader(bytes);
    let mut header: Option<Vec<String>> = None;
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        let record = match record {
            Ok(record) => StringRecord::from_byte_record_lossy(record),
            Err(error) => return vec![Row::Broken(error.to_string())],
        };
        if let Some(header) = &header {
            let record = &record;
            rows.push(read(&Cells { header, record }));
        } else {
            let named = |cell: &str| cell.to_lowercase().replace([' ', '_'], "");
            let named: Vec<String> = record.iter().map(named).collect();
            if named.iter().any(|cell| cell == column) {
                header = Some(named);
            }
        }
    }
    if header.is_none() {
        return vec![Row::Broken(format!("it has no column {column}"))];
    }
    rows
}

fn share(cells: &Cells<'_>) -> Row {
    let text = unquoted(cells.get("sharecommentary"));
    if text.is_empty() {
        return Row::Passed("a share without words of its own");
    }
    let Some(link) = link(cells.get("sharelink")) else {
        return Row::Passed("it has no link");
    };
    let mut fields = Fields::new();
    for (column, name) in [("sharedurl", "shared_link"), ("visibility", "visibility")] {
        let value = cells.get(column);
        if !value.is_empty() {
            fields.insert(name.to_owned(), value.into());
        }
    }
    post(link.clone(), link, text, (cells.get("date"), fields))
}

fn comment(cells: &Cells<'_>) -> Row {
    let text = cells.get("message").to_owned();
    if text.is_empty() {
        return Row::Passed("a comment without words");
    }
    let Some(link) = link(cells.get("link")) else {
        return Row::Passed("it has no link");
    };
    // An export names the post and not the comment.
    let date = cells.get("date");
    let mark = match date {
        "" => Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes()).to_string(),
        date => date.chars().filter(char::is_ascii_digit).collect(),
    };
    let identity = format!("{link}#comment-{mark}");
    let fields = Fields::from_iter([("comment_on".to_owned(), link.clone().into())]);
    post(identity, link, text, (date, fields))
}

/// Some exports have dates of minutes: comments on one post that have one date are told apart by their
/// texts. One that has its date alone keeps its `_id` when it is edited.
fn told_apart(mut rows: Vec<Row>) -> Vec<Row> {
    let mut texts: HashMap<String, HashSet<String>> = HashMap::new();
    for row in &rows {
        if let Row::Post(post, _) = row {
            let same = texts.entry(post.identity.clone()).or_default();
            same.insert(post.page.text.clone());
        }
    }
    for row in &mut rows {
        if let Row::Post(post, _) = row
            && texts.get(&post.identity).is_some_and(|same| same.len() > 1)
        {
            let mark = Uuid::new_v5(&Uuid::NAMESPACE_URL, post.page.text.as_bytes());
            post.identity = format!("{}-{mark}", post.identity);
        }
    }
    rows
}

fn post(identity: String, link: String, text: String, (date, fields): (&str, Fields)) -> Row {
    let page = Page {
        text,
        published_at: rfc3339(date),
        ..Page::default()
    };
    let post = Post {
        kind: kind::POSTS,
        identity,
        link,
        page,
        counts: Counts::default(),
    };
    Row::Post(Box::new(post), fields)
}

/// The link of a post in the form that `crawl` gives it.
fn link(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    Some(match urn(url.path()) {
        Some(urn) => format!("https://www.linkedin.com/feed/update/urn:li:{urn}"),
        None => super::bare(&url).into(),
    })
}

/// `2026-05-07 16:41:18`, which is UTC, as RFC 3339; minutes are enough.
fn rfc3339(date: &str) -> Option<String> {
    let date = date.trim().trim_end_matches("UTC").trim_end();
    let shape = |byte: u8| if byte.is_ascii_digit() { b'0' } else { byte };
    let shape: Vec<u8> = date.bytes().map(shape).collect();
    let date = date.replace(' ', "T");
    match &shape[..] {
        b"0000-00-00 00:00:00" => Some(format!("{date}Z")),
        b"0000-00-00 00:00" => Some(format!("{date}:00Z")),
        b"0000-00-00" => Some(date),
        _ => None,
    }
}

/// A text of several lines without the quotes that each of them was put in.
fn unquoted(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(1);
    let is_quoted = |(at, line): (usize, &&str)| {
        (at == 0 || line.starts_with('"')) && (at == last || line.ends_with('"'))
    };
    if last == 0 || !lines.iter().enumerate().all(is_quoted) {
        return text.to_owned();
    }
    let bare = lines.iter().enumerate().map(|(at, line)| {
        let line = if at == 0 {
            line
        } else {
            line.strip_prefix('"').unwrap_or(line)
        };
        if at == last {
            line
        } else {
            line.strip_suffix('"').unwrap_or(line)
        }
    });
    bare.collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn article(name: &str, bytes: &[u8]) -> Row {
    let html = String::from_utf8_lossy(bytes);
    let dated = |class: &str, before: &str| {
        let (_, rest) = html.split_once(&format!("<p class=\"{class}\">{before} on "))?;
        rfc3339(rest.split('<').next()?)
    };
    let Some(published) = dated("published", "Published") else {
        return Row::Passed("a draft, never published");
    };
    let heading = html
        .split_once("<h1>")
        .and_then(|(_, rest)| rest.split("</h1>").next());
    let href = heading.and_then(|heading| heading.split_once("href=\"")?.1.split('"').next());
    let href = href.and_then(|href| Url::parse(href).ok());
    let stem = name
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(name)
        .trim_end_matches(".html");
    let by_name = || Url::parse(&format!("https://www.linkedin.com/pulse/{stem}")).ok();
    let Some(url) = href.or_else(by_name) else {
        return Row::Passed("it has no link");
    };
    let body = html.split_once("</h1>").map_or(&*html, |(_, body)| body);
    let without = |body: &str, class: &str| {
        let Some((before, rest)) = body.split_once(&format!("<p class=\"{class}\">")) else {
            return body.to_owned();
        };
        let rest = rest.split_once("</p>").map_or("", |(_, rest)| rest);
        format!("{before}{rest}")
    };
    let body = without(&without(body, "created"), "published");
    let title = html
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split("</title>").next());
    let whole = format!(
        "<html><head><title>{}</title></head><body><article>{body}</article></body></html>",
        title.unwrap_or_default()
    );
    match pages::caught(|| page::whole(&whole, &url)) {
        Ok(mut page) => {
            page.published_at = Some(published);
            let link = super::article(&url).unwrap_or_else(|| super::bare(&url));
            let post = Post::article(link.to_string(), link.into(), page);
            Row::Post(Box::new(post), Fields::new())
        }
        Err(why) => Row::Broken(why),
    }
}

#[cfg(test)]
mod tests;
