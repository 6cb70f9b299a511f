//! Bytes of a page to text: byte order mark, then header, then meta element, then a guess. Pure.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How far into a page its meta element is looked for; the standard asks for 1024 bytes, and pages
/// are known to need more.
const PRESCAN_BYTES: usize = 8_192;

/// Decodes a page; what its encoding has no character for becomes U+FFFD.
///
/// `header` is the label of the HTTP header's `charset`, if there was one.
pub(crate) fn decode<'a>(bytes: &'a [u8], header: Option<&str>) -> Cow<'a, str> {
    let encoding = header
        .and_then(|label| Encoding::for_label(label.trim_matches(['"', '\'', ' ']).as_bytes()))
        .filter(|encoding| !is_two_bytes(encoding) || is_in_two_bytes(bytes))
        .or_else(|| declared(bytes))
        .unwrap_or_else(|| guessed(bytes));
    // A byte order mark, if there is one, overrides the choice.
    let (text, ..) = encoding.decode(bytes);
    text
}

/// The encoding that a meta element near the start names.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = bytes.get(..PRESCAN_BYTES).unwrap_or(bytes);
    let start = String::from_utf8_lossy(start).to_ascii_lowercase();
    start.split("<meta").skip(1).find_map(|rest| {
        let element = rest.split('>').next()?;
        let (_, value) = element.split_once("charset")?;
        let value = value.trim_start().strip_prefix('=')?.trim_start();
        let value = value.trim_start_matches(['"', '\'']);
        let label = value
            .split(|c: char| c.is_whitespace() || "\"';/".contains(c))
            .next()?;
        let encoding = Encoding::for_label(label.as_bytes())?;
        // The element could be read byte by byte, so the page cannot be in a two-byte encoding.
        Some(if is_two_bytes(encoding) {
            UTF_8
        } else {
            encoding
        })
    })
}

fn is_two_bytes(encoding: &Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

/// Whether a page can be what a header calls UTF-16: its markup has a zero byte in each letter then.
fn is_in_two_bytes(bytes: &[u8]) -> bool {
    bytes.get(..PRESCAN_BYTES).unwrap_or(bytes).contains(&0)
}

fn guessed(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Allow)
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1251;

    use super::*;

    const TEXT: &str = "<p>Съешь же ещё этих мягких французских булок, да выпей чаю.</p>";

    fn windows_1251(text: &str) -> Vec<u8> {
        WINDOWS_1251.encode(text).0.into_owned()
    }

    #[test]
    fn a_windows_1251_page_comes_out_right_by_header_meta_or_guess() {
        assert_eq!(decode(&windows_1251(TEXT), Some("windows-1251")), TEXT);
        assert_eq!(decode(&windows_1251(TEXT), None), TEXT);
        for meta in [
            "<meta charset=windows-1251>",
            "<META http-equiv=Content-Type content=\"text/html; charset=windows-1251\">",
        ] {
            let page = format!("<head>{meta}</head>{TEXT}");
            assert_eq!(decode(&windows_1251(&page), None), page);
        }
    }

    #[test]
    fn a_byte_order_mark_overrides_what_is_declared() {
        let page = format!("\u{feff}<meta charset=\"koi8-r\">{TEXT}");
        assert_eq!(
            decode(page.as_bytes(), Some("koi8-r")),
            page.trim_start_matches('\u{feff}')
        );
    }

    #[test]
    fn a_header_that_lies_about_two_bytes_a_letter_is_not_believed() {
        assert_eq!(decode(TEXT.as_bytes(), Some("utf-16")), TEXT);
        let wide: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&wide, Some("utf-16le")), TEXT);
    }

    #[test]
    fn plain_utf_8_needs_no_declaration() {
        assert_eq!(decode(TEXT.as_bytes(), None), TEXT);
    }
}
