//! Whether a page says so little that its text may be built by a script. Pure.

use crate::crawl::harvest::Found;
use crate::crawl::page::NO_TEXT;
use crate::crawl::platform::WEB;

/// Letters under which a main text may be no more than what stands there until the scripts have run.
const LETTERS_MIN: usize = 250;

/// Whether a browser might see more of a page than was fetched.
pub(crate) fn says_too_little(bytes: &[u8], found: &Found) -> bool {
    let little = match found {
        Found::Missed(missed) => missed.skipped.why == NO_TEXT,
        Found::Document(document) => {
            let text = document.fields["content"]["Content"].as_str();
            let is_web = document.fields["platform"] == WEB;
            is_web && text.is_some_and(|text| text.chars().nth(LETTERS_MIN).is_none())
        }
        _ => false,
    };
    little && has_script(bytes)
}

fn has_script(bytes: &[u8]) -> bool {
    let name = b"<script";
    bytes
        .windows(name.len())
        .any(|part| part.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::crawl::probe;

    fn needs(html: &str) -> bool {
        let url = Url::parse("https://example.org/app").unwrap();
        let found = match probe(html.into(), None, &url, None) {
            Ok(document) => Found::Document(document),
            Err(why) => Found::Missed(crate::crawl::platform::missed(&url, why)),
        };
        says_too_little(html.as_bytes(), &found)
    }

    #[test]
    fn only_what_says_little_and_has_scripts_needs_a_browser() {
        let text = "A sentence that says something, with commas, and a full stop. ".repeat(10);
        let shell = "<title>App</title><div id=root></div><SCRIPT src=/app.js></script>";
        assert!(needs(shell));
        assert!(needs(&format!("<p>Please enable scripts.</p>{shell}")));
        assert!(!needs(&format!("<p>{text}</p>{shell}")));
        assert!(!needs("<title>Empty</title>"));
        assert!(!needs(&format!(
            "<meta name=robots content=noindex>{shell}"
        )));
    }
}
