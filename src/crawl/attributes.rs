//! What `.gitattributes` says of a repository's files: made by a tool, other people's, or no text. Pure.
//!
//! `linguist-generated` and `linguist-vendored`, as GitHub has them: set, `=true`, unset (`-`), `=false`;
//! and git's own `binary`. The last line that fits a path decides, and one of a folder below before one
//! above.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The attributes that are looked at.
const NAMES: [&str; 3] = ["linguist-generated", "linguist-vendored", "binary"];
/// With what a line begins that gives several attributes one name.
const MACRO: &str = "[attr]";
/// Files of attributes that are read: more is no person's work.
const FILES_MAX: usize = 1_000;
/// Bytes of them all together that are read: each pattern costs memory, and time with every path.
const BYTES_MAX: usize = 256 << 10;

/// What is said of one file; none where nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Made by a tool.
    pub(crate) generated: Option<bool>,
    /// Other people's.
    pub(crate) vendored: Option<bool>,
    /// No text.
    pub(crate) binary: Option<bool>,
}

/// Every `.gitattributes` of a repository.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    files: Vec<(String, [Gitignore; 3])>,
    bytes: usize,
}

impl Attributes {
    /// Whether a path is a file of attributes.
    pub(crate) fn is_file(path: &str) -> bool {
        path.rsplit('/').next() == Some(".gitattributes")
    }

    /// Takes one, by its path in the repository; what is malformed in it is passed over.
    pub(crate) fn add(&mut self, path: &str, text: &str) {
        if self.files.len() >= FILES_MAX || self.bytes + text.len() > BYTES_MAX {
            return;
        }
        self.bytes += text.len();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let matchers = NAMES.map(|name| matcher(name, text));
        self.files.push((folder.to_owned(), matchers));
        // Deeper ones last, since the last word counts.
        self.files
            .sort_by_key(|(folder, _)| folder.split('/').count() * usize::from(!folder.is_empty()));
    }

    /// What is said of a file.
    pub(crate) fn of(&self, path: &str) -> Marks {
        let mut marks = Marks::default();
        for (folder, [generated, vendored, binary]) in &self.files {
            let inner = match folder.as_str() {
                "" => Some(path),
                folder => path
                    .strip_prefix(folder)
                    .and_then(|rest| rest.strip_prefix('/')),
            };
            if let Some(inner) = inner {
                marks.generated = said(generated, inner).or(marks.generated);
                marks.vendored = said(vendored, inner).or(marks.vendored);
                marks.binary = said(binary, inner).or(marks.binary);
            }
        }
        marks
    }
}

fn said(matcher: &Gitignore, path: &str) -> Option<bool> {
    let found = matcher.matched(path, false);
    match (found.is_ignore(), found.is_whitelist()) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// The patterns of one attribute, which are those of an ignore file but for negation.
fn matcher(name: &str, text: &str) -> Gitignore {
    let mut patterns = GitignoreBuilder::new("");
    for line in text.lines() {
        let Some((pattern, words)) = split(line) else {
            continue;
        };
        let mut value = None;
        for word in words.split_whitespace() {
            let (attribute, given) = word.split_once('=').unwrap_or((word, "true"));
            if attribute == name {
                value = Some(given != "false");
            } else if attribute.strip_prefix(['-', '!']) == Some(name) {
                value = Some(false);
            }
        }
        let line = match value {
            Some(true) => pattern.to_owned(),
            Some(false) => format!("!{pattern}"),
            None => continue,
        };
        // A pattern that cannot be read names nothing.
        patterns.add_line(None, &line).ok();
    }
    patterns.build().unwrap_or_else(|_| Gitignore::empty())
}

/// A line's pattern, which may be quoted, and what is said of the files that it fits.
fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    if line.is_empty() || line.starts_with(['#', '!']) || line.starts_with(MACRO) {
        return None;
    }
    match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"'),
        None => line.split_once(char::is_whitespace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_and_deepest_word_counts() {
        let mut attributes = Attributes::default();
        attributes.add(
            "web/.gitattributes",
            "*.js linguist-generated=false\nlib/** linguist-vendored\n",
        );
        attributes.add(
            ".gitattributes",
            "# all\n* text=auto\n*.js linguist-generated\nmine/*.js -linguist-generated\n\
             vendor/ours/* linguist-vendored=false\n/schema.sql linguist-generated=true eol=lf\n\
             \"my data/*.rs\" linguist-generated\n[ab].py linguist-generated\n",
        );
        let of = |path: &str| {
            let marks = attributes.of(path);
            (marks.generated, marks.vendored)
        };
        assert_eq!(of("a.js"), (Some(true), None));
        assert_eq!(of("deep/er/a.js"), (Some(true), None));
        assert_eq!(of("mine/a.js"), (Some(false), None));
        assert_eq!(of("web/a.js"), (Some(false), None));
        assert_eq!(of("web/lib/x/a.rs"), (None, Some(true)));
        assert_eq!(of("vendor/ours/a.go"), (None, Some(false)));
        assert_eq!(of("schema.sql"), (Some(true), None));
        assert_eq!(of("db/schema.sql"), (None, None));
        assert_eq!(of("my data/a.rs"), (Some(true), None));
        assert_eq!(of("b.py"), (Some(true), None));
        assert_eq!(of("a.rs"), (None, None));
    }

    #[test]
    fn what_is_said_to_be_no_text_is_none_until_it_is_taken_back() {
        let mut attributes = Attributes::default();
        let text = "[attr]binary -diff\n*.svg binary\nicons/*.svg -binary\n*.po -text\n";
        attributes.add(".gitattributes", text);
        assert_eq!(attributes.of("a.svg").binary, Some(true));
        assert_eq!(attributes.of("icons/a.svg").binary, Some(false));
        assert_eq!(attributes.of("a.po").binary, None);
    }

    #[test]
    fn patterns_without_end_are_not_read() {
        let mut attributes = Attributes::default();
        attributes.add("a/.gitattributes", &"*.rs binary\n".repeat(BYTES_MAX / 12));
        attributes.add("b/.gitattributes", "*.rs binary\n");
        assert_eq!(attributes.of("a/x.rs").binary, Some(true));
        assert_eq!(attributes.of("b/x.rs").binary, None);
    }

    #[test]
    fn a_file_that_makes_no_sense_says_nothing() {
        let mut attributes = Attributes::default();
        attributes.add(
            ".gitattributes",
            "[attr]x\n\n!a linguist-generated\n{[ linguist-generated\n\"",
        );
        assert_eq!(attributes.of("a"), Marks::default());
    }
}
