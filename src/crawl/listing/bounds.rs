//! What a feed may ask of its reader. Pure.
//!
//! The reader calls itself for groups within groups, and makes an entry of a kilobyte out of seven bytes: 16 MiB would
//! take the stack, and with it the whole process, or gigabytes. So a feed is looked through before it is read, by the
//! rules by which the reader tells markup from text; what those leave open is refused.

use url::Url;

use crate::crawl::encoding::decode;
use crate::crawl::feed::{self, Entry};

/// Elements within each other.
const DEPTH_MAX: usize = 100;
/// Elements of XML, or marks between the values of JSON: ten for each post that is read of a listing.
const PIECES_MAX: usize = 100_000;
/// Bytes of one tag: its reader compares every attribute with all before it.
const TAG_BYTES_MAX: usize = 16 << 10;
/// How far into a feed its declaration is looked for.
const DECLARATION_BYTES: usize = 256;

/// Reads a feed, unless it asks too much; an error says in words what.
pub(super) fn entries(bytes: &[u8], address: &Url) -> Result<Vec<Entry>, String> {
    let label = label(bytes);
    let text = decode(bytes, Some(label.as_deref().unwrap_or("utf-8")));
    let text = undeclared(&text);
    check(text)?;
    feed::entries(text.as_bytes(), address)
}

/// The encoding that a feed declares, or that its first two bytes show.
fn label(bytes: &[u8]) -> Option<String> {
    match bytes {
        [b'<', 0, ..] => return Some("utf-16le".to_owned()),
        [0, b'<', ..] => return Some("utf-16be".to_owned()),
        _ => {}
    }
    let start = bytes.get(..DECLARATION_BYTES).unwrap_or(bytes);
    let start = String::from_utf8_lossy(start);
    let (declaration, _) = start.trim_start().strip_prefix("<?xml")?.split_once("?>")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let value = value.trim_start_matches(['"', '\'']);
    value.split(['"', '\'']).next().map(str::to_owned)
}

/// A decoded feed without its declaration, which would have its reader decode it again.
fn undeclared(text: &str) -> &str {
    let declaration = text.trim_start().strip_prefix("<?xml");
    let declaration = declaration.filter(|rest| rest.starts_with(char::is_whitespace));
    declaration
        .and_then(|rest| rest.split_once("?>"))
        .map_or(text, |(_, rest)| rest)
}

fn check(text: &str) -> Result<(), String> {
    // It would be taken for another encoding.
    if text.contains('\0') {
        return Err("it has null characters, which no feed may have".to_owned());
    }
    // The reader, too, goes by which of them comes first.
    let begin = text.find(['<', '{']).and_then(|at| text.get(at..));
    match begin {
        Some(json) if json.starts_with('{') => pieces_of_json(json),
        Some(xml) => pieces_of_xml(xml),
        None => Ok(()),
    }
}

/// The reader of JSON has its own limit of depth.
fn pieces_of_json(json: &str) -> Result<(), String> {
    let (mut pieces, mut is_text, mut is_escaped) = (0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' | b',' if !is_text => pieces += 1,
            _ => {}
        }
    }
    within(pieces)
}

fn pieces_of_xml(xml: &str) -> Result<(), String> {
    let (mut pieces, mut depth, mut rest) = (0, 0_usize, xml);
    while let Some((_, markup)) = rest.split_once('<') {
        let (piece, behind) = piece(markup)?;
        match piece {
            Piece::Begin => {
                depth += 1;
                pieces += 1;
            }
            Piece::Whole => pieces += 1,
            Piece::End => depth = depth.saturating_sub(1),
            Piece::Aside => {}
        }
        if depth > DEPTH_MAX {
            return Err(format!(
                "its elements are nested more than {DEPTH_MAX} deep, as no feed's are"
            ));
        }
        rest = behind;
    }
    within(pieces)
}

fn within(pieces: usize) -> Result<(), String> {
    if pieces > PIECES_MAX {
        return Err(format!("it has more than {PIECES_MAX} elements"));
    }
    Ok(())
}

enum Piece {
    Begin,
    End,
    /// An element without content.
    Whole,
    /// Nothing of the tree.
    Aside,
}

/// What stands behind a `<`, and the rest. What does not end by these rules may end by those of the reader, who would
/// go on behind it, where nothing was looked at.
fn piece(markup: &str) -> Result<(Piece, &str), String> {
    let aside = |of: &str, end: &str| {
        let behind = markup.get(of.len()..).unwrap_or_default();
        let ends = behind.split_once(end);
        let ends = ends.map(|(_, rest)| (Piece::Aside, rest));
        ends.ok_or_else(unfinished)
    };
    if markup.starts_with("!--") {
        return aside("!--", "-->");
    }
    if markup.starts_with("![") {
        return aside("![", "]]>");
    }
    if let Some(instruction) = markup.strip_prefix('?') {
        let rest = instruction.strip_prefix("xml");
        if rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_whitespace() || c == '?')) {
            return Err("it declares its encoding twice".to_owned());
        }
        return aside("?", "?>");
    }
    if let Some(end) = markup.strip_prefix('/') {
        let (name, rest) = end.split_once('>').ok_or_else(unfinished)?;
        if name.contains(['"', '\'']) {
            return Err("it has quotes in the end of an element".to_owned());
        }
        return Ok((Piece::End, rest));
    }
    let (inside, rest) = tag(markup).ok_or_else(unfinished)?;
    if inside.len() > TAG_BYTES_MAX {
        return Err(format!("it has a tag of more than {TAG_BYTES_MAX} bytes"));
    }
    let piece = match inside {
        _ if inside.starts_with('!') && inside.contains('[') => {
            return Err("it declares markup of its own".to_owned());
        }
        _ if inside.starts_with('!') => Piece::Aside,
        _ if inside.ends_with('/') => Piece::Whole,
        _ => Piece::Begin,
    };
    Ok((piece, rest))
}

fn unfinished() -> String {
    "its markup does not end".to_owned()
}

/// What is before the first `>` that stands in no quotes, and what is behind it.
fn tag(markup: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, byte) in markup.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some((markup.get(..at)?, markup.get(at + 1..)?)),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(feed: &[u8]) -> Result<usize, String> {
        let address = Url::parse("https://a.example/feed").unwrap();
        entries(feed, &address).map(|entries| entries.len())
    }

    fn rss(inside: &str) -> Vec<u8> {
        format!(
            "<rss version='2.0' xmlns:media='http://search.yahoo.com/mrss/' \
             xmlns:itunes='http://www.itunes.com/dtds/podcast-1.0.dtd'><channel>{inside}</channel></rss>"
        )
        .into_bytes()
    }

    const ITEM: &str = "<item><title>One</title><link>https://a.example/p/1</link></item>";

    #[test]
    fn elements_within_each_other_do_not_take_the_stack() {
        let groups = format!("<item>{}", "<media:group>".repeat(1_000_000));
        let categories = "<itunes:category text='a'>".repeat(500_000);
        let hidden = format!("<item>{}", "<media:group><!-- </a> -->".repeat(500_000));
        let quoted = format!("<item>{}", "<media:group a='</a>'>".repeat(500_000));
        for inside in [groups, categories, hidden, quoted] {
            let said = read(&rss(&inside)).unwrap_err();
            assert!(said.contains("nested more than 100 deep"), "{said}");
        }
        let few = format!(
            "<item>{}{}</item>",
            "<media:group>".repeat(90),
            "</media:group>".repeat(90)
        );
        assert_eq!(read(&rss(&few)), Ok(0), "it has no link");
    }

    #[test]
    fn pieces_without_end_make_no_entries() {
        let items = rss(&"<item/>".repeat(2_000_000));
        let links = rss(&format!(
            "<item>{}</item>",
            "<link>a</link>".repeat(200_000)
        ));
        let json = format!(
            "{{\"version\":\"https://jsonfeed.org/version/1\",\"title\":\"\",\"items\":[{}{{}}]}}",
            "{},".repeat(1_000_000)
        );
        for feed in [items, links, json.into_bytes()] {
            let said = read(&feed).unwrap_err();
            assert!(said.contains("more than 100000 elements"), "{said}");
        }
        let attributes = format!("<item {}/>", "a='' ".repeat(10_000));
        let said = read(&rss(&attributes)).unwrap_err();
        assert!(said.contains("a tag of more than"), "{said}");
    }

    #[test]
    fn what_its_reader_might_take_for_something_else_is_refused() {
        for inside in [
            "<?xml version='1.0' encoding='iso-2022-jp'?>",
            "<!DOCTYPE a [<!ENTITY b '<!--'>]>",
            "<!DOCTYPE a [<!-- ' -->]>",
            "<!DOCTYPE a [<!ELEMENT a '>]>",
            "<a></a'>",
            "\0",
        ] {
            assert!(read(&rss(inside)).is_err(), "{inside}");
        }
    }

    #[test]
    fn markup_within_a_text_is_text() {
        let data = format!(
            "<item><description><![CDATA[{}]]></description></item>",
            "<p>".repeat(200_000)
        );
        assert_eq!(read(&rss(&format!("{ITEM}{data}"))), Ok(1));
        let text = "{[,".repeat(100_000);
        let json = format!(
            "{{\"version\":\"https://jsonfeed.org/version/1\",\"title\":\"\\\"{text}\",\
             \"items\":[{{\"url\":\"/p/1\"}}]}}"
        );
        assert_eq!(read(json.as_bytes()), Ok(1));
    }

    #[test]
    fn feeds_are_read_in_the_encoding_that_they_declare() {
        let feed = |declared: &str| {
            let rss = String::from_utf8(rss(&ITEM.replace("One", "Größe"))).unwrap();
            let declared = format!("<?xml version=\"1.0\" encoding=\"{declared}\"?>");
            format!("{declared}<?xml-stylesheet href='a'?><!DOCTYPE rss>{rss}")
        };
        let latin = feed("ISO-8859-1");
        let (latin, ..) = encoding_rs::WINDOWS_1252.encode(&latin);
        let utf_16: Vec<u8> = feed("UTF-16")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let marked = [&[0xff, 0xfe], &utf_16[..]].concat();
        let address = Url::parse("https://a.example/feed").unwrap();
        for bytes in [
            feed("UTF-8").into_bytes(),
            latin.into_owned(),
            utf_16,
            marked,
        ] {
            let found = super::entries(&bytes, &address).unwrap();
            assert_eq!(found[0].title, "Größe");
        }
    }
}
