//! Raw texts to clean ones: what a reader would not miss goes, what was said stays.
//!
//! ```text
//! characters   CRLF -> LF, control and zero-width characters out         prose and code
//! letters      styled letters folded to plain ones, then Unicode NFC     prose
//! lines        whitespace tidied, the title's repetition out             prose
//! furniture    "Share", "Subscribe now", "7 min read" alone on a line    articles
//! ```
//!
//! Code, in files and between fences, keeps its letters and its layout. URLs and every script of
//! Unicode stay. What is boilerplate is judged by whole paragraphs of a short list, so that a
//! sentence that merely contains such words is never lost.

mod letters;

use crate::feature::chunk::lines::{Line, LineKind, lines};
use crate::feature::spec::{Form, RawText};

/// A cleaned text that is chunked by itself; chunks never cross its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// The file that it is, or nothing.
    pub(crate) path: String,
    /// Whether it is laid out as code.
    pub(crate) code: bool,
    /// The cleaned text; never blank.
    pub(crate) text: String,
}

/// Ends of the paths of files that are prose.
const PROSE_FILES: [&str; 4] = [".md", ".markdown", ".txt", ".rst"];

/// Paragraphs that belong to the page around an article, in lower case without end marks.
const FURNITURE: [&str; 22] = [
    "share",
    "share this post",
    "share this article",
    "subscribe",
    "subscribe now",
    "follow",
    "following",
    "sign in",
    "sign up",
    "log in",
    "listen",
    "save",
    "read more",
    "open in app",
    "member-only story",
    "leave a comment",
    "comments",
    "advertisement",
    "skip to content",
    "get the app",
    "table of contents",
    "back to top",
];

/// How such paragraphs begin when they go on with a name or a place.
const FURNITURE_STARTS: [&str; 6] = [
    "follow me on ",
    "follow us on ",
    "subscribe to my ",
    "subscribe to our ",
    "share on ",
    "thanks for reading! subscribe",
];

/// The most characters of a paragraph that is judged by how it begins.
const FURNITURE_CHARS_MAX: usize = 90;

/// Cleans the texts of a document whose title is known elsewhere.
pub(crate) fn sections(form: Form, texts: &[RawText<'_>], title: &str) -> Vec<Section> {
    match form {
        Form::Files => return texts.iter().filter_map(file).collect(),
        Form::Code => return texts.iter().filter_map(code).collect(),
        Form::Article | Form::Prose => {}
    }
    let text = texts
        .iter()
        .map(|raw| prose(&letters::visible(raw.text), form, title))
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n");
    let section = Section {
        path: String::new(),
        code: false,
        text,
    };
    Vec::from_iter((!section.text.is_empty()).then_some(section))
}

/// Code without a path.
fn code(raw: &RawText<'_>) -> Option<Section> {
    let text = layout_kept(&letters::visible(raw.text));
    (!text.is_empty()).then_some(Section {
        path: String::new(),
        code: true,
        text,
    })
}

fn file(raw: &RawText<'_>) -> Option<Section> {
    let path = tidy(&letters::visible(raw.name).replace('\n', " "));
    let lower = path.to_lowercase();
    let code = !PROSE_FILES.iter().any(|end| lower.ends_with(end));
    let text = letters::visible(raw.text);
    let text = if code {
        layout_kept(&text)
    } else {
        prose(&text, Form::Prose, "")
    };
    (!text.is_empty()).then_some(Section { path, code, text })
}

/// Code loses only empty lines at its ends and spaces at the ends of lines.
fn layout_kept(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.split('\n').map(str::trim_end) {
        if !(kept.is_empty() && line.is_empty()) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept.truncate(kept.trim_end().len());
    kept
}

fn prose(text: &str, form: Form, title: &str) -> String {
    let lines = lines(text);
    let mut clean = String::with_capacity(text.len());
    for (index, line) in lines.iter().enumerate() {
        let raw = &text[line.range.clone()];
        if matches!(line.kind, LineKind::FenceOpen | LineKind::Code) {
            clean.push_str(raw.trim_end());
            clean.push('\n');
            continue;
        }
        let tidied = tidy(&letters::plain(raw));
        let repeats_title =
            clean.is_empty() && line.kind == LineKind::Heading(1) && names(title, &tidied);
        let furniture =
            form == Form::Article && stands_alone(&lines, index) && is_furniture(&tidied);
        let blank = tidied.is_empty() || repeats_title || furniture;
        if !blank {
            clean.push_str(&tidied);
            clean.push('\n');
        } else if !clean.is_empty() && !clean.ends_with("\n\n") {
            clean.push('\n');
        }
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Makes each run of whitespace one space; the indentation stays, for lists that are nested.
fn tidy(line: &str) -> String {
    let content = line.trim_start();
    let mut tidied: String = line[..line.len() - content.len()]
        .chars()
        .map(|space| if space == '\t' { '\t' } else { ' ' })
        .collect();
    for (index, word) in content.split_whitespace().enumerate() {
        if index > 0 {
            tidied.push(' ');
        }
        tidied.push_str(word);
    }
    tidied.truncate(tidied.trim_end().len());
    tidied
}

/// Whether the heading says the title again: a page's title often goes on with the site's name.
fn names(title: &str, heading: &str) -> bool {
    let heading = heading.trim_start_matches(['#', ' ', '\t']).to_lowercase();
    let title = tidy(&letters::plain(title)).to_lowercase();
    !heading.is_empty() && title.contains(&heading)
}

fn stands_alone(lines: &[Line], index: usize) -> bool {
    let blank = |line: Option<&Line>| line.is_none_or(|line| line.kind == LineKind::Blank);
    let before = index.checked_sub(1).and_then(|before| lines.get(before));
    lines[index].kind == LineKind::Text && blank(before) && blank(lines.get(index + 1))
}

fn is_furniture(line: &str) -> bool {
    if line.chars().count() > FURNITURE_CHARS_MAX {
        return false;
    }
    let line = line.trim().to_lowercase();
    let bare = line.trim_end_matches(['.', '!', ':', '…', '→', '»', ' ']);
    let words: Vec<_> = bare.split(' ').collect();
    let reading_time =
        matches!(words[..], [minutes, "min", "read"] if minutes.parse::<u32>().is_ok());
    let listed = FURNITURE.contains(&bare);
    listed || reading_time || FURNITURE_STARTS.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn article(text: &str, title: &str) -> String {
        let name = "Content";
        let sections = sections(Form::Article, &[RawText { name, text }], title);
        sections.into_iter().map(|section| section.text).collect()
    }

    fn files(name: &str, text: &str) -> Vec<Section> {
        sections(Form::Files, &[RawText { name, text }], "")
    }

    #[test]
    fn prose_is_tidied_and_code_is_not() {
        let raw = "\u{feff}\r\n  A\u{a0}\u{a0}line  of   \u{1d41b}\u{1d428}\u{1d425}\u{1d41d} \
                   text.\r\n\r\n\r\n\r\n```\r\nlet  x =  '\u{1d41b}';\r\n\r\n\r\n}\r\n```\r\n\0";
        let clean = "  A line of bold text.\n\n```\nlet  x =  '\u{1d41b}';\n\n\n}\n```";
        assert_eq!(article(raw, ""), clean);
    }

    #[test]
    fn the_furniture_of_a_page_goes_and_sentences_stay() {
        let raw = "7 min read\n\nShare\n\nWe share data.\nShare\n\n- Share\n\n# Follow\n\n\
                   Follow me on Twitter for more!\n\nFollow the white rabbit.\n\n\
                   See https://example.com/subscribe now";
        let clean = "We share data.\nShare\n\n- Share\n\n# Follow\n\nFollow the white rabbit.\n\n\
                     See https://example.com/subscribe now";
        assert_eq!(article(raw, ""), clean);
        let text = "Share";
        let post = sections(Form::Prose, &[RawText { name: "", text }], "");
        assert_eq!(post[0].text, "Share", "a post is what its author typed");
    }

    #[test]
    fn the_title_is_not_repeated_in_the_text() {
        let title = "Shared State - The Book";
        assert_eq!(article("# Shared State\n\nText", title), "Text");
        assert_eq!(article("# Other\n\nText", title), "# Other\n\nText");
        assert_eq!(
            article("Text\n\n# Shared State", title),
            "Text\n\n# Shared State"
        );
    }

    #[test]
    fn a_file_is_code_unless_its_name_says_prose() {
        let code = files("src/a.rs", "\r\n\r\n    fn  a() {}  \r\n");
        assert_eq!((code[0].code, &*code[0].text), (true, "    fn  a() {}"));
        let prose = files("README.MD", "a  b");
        assert_eq!((prose[0].code, &*prose[0].text), (false, "a b"));
        assert_eq!(files("empty.rs", " \n\t\n"), []);
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_more(
            text in "([a-zé# `|.\t\u{1d41b}\u{210e}\u{212a}\u{a0}\u{200b}\u{200d}\u{301}-]|\n|\r\n|```|Share|\n\n){0,60}",
        ) {
            let once = article(&text, "T");
            prop_assert_eq!(article(&once, "T"), once);
        }

        #[test]
        fn any_text_is_cleaned(text in any::<String>()) {
            let clean = article(&text, "");
            let hidden = ['\r', '\0', '\u{200b}'];
            prop_assert!(!clean.contains(hidden));
            prop_assert_eq!(clean.trim_end(), &clean);
        }
    }
}
