//! What of a repository is nobody's writing and is left out, with the reason. Pure.

use std::collections::BTreeMap;

use super::Skipped;
use super::attributes::Marks;

/// Folders that hold other people's code or what a build made.
const VENDORED: [&str; 15] = [
    ".git",
    "vendor",
    "node_modules",
    "third_party",
    "bower_components",
    "target",
    "dist",
    "__pycache__",
    ".venv",
    "venv",
    ".tox",
    ".mypy_cache",
    ".gradle",
    ".next",
    "Pods",
];

/// Files that a package manager writes.
const LOCKS: [&str; 17] = [
    "cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "deno.lock",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "pipfile.lock",
    "gemfile.lock",
    "composer.lock",
    "go.sum",
    "flake.lock",
    "mix.lock",
];

/// Endings of files that a tool writes.
const GENERATED: [&str; 12] = [
    ".min.js",
    ".min.css",
    ".map",
    ".pb.go",
    "_pb2.py",
    "_pb2_grpc.py",
    ".pb.cc",
    ".pb.h",
    ".g.dart",
    ".designer.cs",
    ".generated.ts",
    ".svg",
];

/// How far into a file the note of its generator is looked for.
const NOTE_BYTES: usize = 1_024;
/// Mean bytes a line above which a script or style sheet was written by a machine.
const LINE_BYTES: usize = 400;

/// Whether a folder of this name is left out whole.
pub(crate) fn is_vendored(folder: &str) -> bool {
    VENDORED.contains(&folder)
}

/// Why a file is left out by its path and by what the repository says of it; `/` separates.
pub(crate) fn by_path(path: &str, marks: Marks) -> Option<&'static str> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let name = name.to_lowercase();
    if marks.vendored == Some(true) || marks.generated == Some(true) {
        Some("generated or vendored, as .gitattributes says")
    } else if marks.binary == Some(true) {
        Some("binary, as .gitattributes says")
    } else if marks.vendored != Some(false) && folders.split('/').any(is_vendored) {
        Some("vendored or built")
    } else if LOCKS.contains(&name.as_str()) {
        Some("lock file")
    } else if marks.generated != Some(false) && GENERATED.iter().any(|end| name.ends_with(end)) {
        Some("generated or minified")
    } else {
        None
    }
}

/// Why a file is left out by its size alone; judged before a byte of it is read.
pub(crate) fn by_size(bytes: u64, limit: u64) -> Option<String> {
    (bytes > limit).then(|| format!("{bytes} bytes, more than the limit of {limit}"))
}

/// The file's text, or why it is left out by its content.
pub(crate) fn text(path: &str, bytes: Vec<u8>, marks: Marks) -> Result<String, &'static str> {
    if bytes.contains(&0) {
        return Err("binary");
    }
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    let start = text
        .char_indices()
        .take_while(|(at, _)| *at < NOTE_BYTES)
        .last();
    let start = text
        .get(..start.map_or(0, |(at, _)| at))
        .unwrap_or(&text)
        .to_lowercase();
    let noted = start.contains("@generated")
        || (start.contains("do not edit") && start.contains("generated"));
    if marks.generated != Some(false) && (noted || is_minified(path, &text)) {
        return Err("generated or minified");
    }
    if text.starts_with("version https://git-lfs.github.com/spec/") {
        return Err("stored elsewhere (Git LFS)");
    }
    if text.trim().is_empty() {
        return Err("empty");
    }
    Ok(text)
}

/// Of a decoded page's letters, one in so many may stand for bytes that are no text.
const STRANGE_ONE_IN: usize = 50;

/// Why what came as a page is none, whatever its type says.
pub(crate) fn page(html: &str) -> Result<(), String> {
    if html.starts_with("%PDF-") {
        return Err("it is a PDF, not a page".to_owned());
    }
    let strange = html
        .chars()
        .filter(|c| matches!(c, '\0' | '\u{fffd}'))
        .count();
    if strange > 0 && strange > html.chars().count() / STRANGE_ONE_IN {
        return Err("it is no text, whatever its type says".to_owned());
    }
    Ok(())
}

fn is_minified(path: &str, text: &str) -> bool {
    let (_, extension) = path.rsplit_once('.').unwrap_or_default();
    let dense = matches!(extension, "js" | "mjs" | "cjs" | "css" | "html" | "json");
    dense && text.len() > 10 * LINE_BYTES && text.len() / text.lines().count().max(1) > LINE_BYTES
}

/// Counts what was left out, by reason, so that ten thousand files make one line of a report.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    reasons: BTreeMap<String, (String, usize)>,
}

impl Tally {
    /// Counts one more.
    pub(crate) fn add(&mut self, what: &str, why: impl Into<String>) {
        let first = || (what.to_owned(), 0);
        self.reasons.entry(why.into()).or_insert_with(first).1 += 1;
    }

    /// One line a reason, naming the first of its kind.
    pub(crate) fn lines(self) -> impl Iterator<Item = Skipped> {
        self.reasons
            .into_iter()
            .map(|(why, (what, count))| Skipped { what, why, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Marks = Marks {
        generated: None,
        vendored: None,
        binary: None,
    };

    #[test]
    fn what_the_repository_says_of_a_file_counts_more_than_its_name() {
        let marks = |generated, vendored| Marks {
            generated,
            vendored,
            binary: None,
        };
        let said = Some("generated or vendored, as .gitattributes says");
        assert_eq!(by_path("src/a.rs", marks(Some(true), None)), said);
        assert_eq!(by_path("src/a.rs", marks(None, Some(true))), said);
        assert_eq!(by_path("vendor/a.rs", marks(None, Some(false))), None);
        assert_eq!(by_path("a.min.js", marks(Some(false), None)), None);
        let binary = Marks {
            binary: Some(true),
            ..NONE
        };
        let said = Some("binary, as .gitattributes says");
        assert_eq!(by_path("a.txt", binary), said);
        let note = b"// @generated\npackage a".to_vec();
        assert!(text("a.go", note, marks(Some(false), None)).is_ok());
    }

    #[test]
    fn other_peoples_code_locks_and_products_are_left_out_by_path() {
        for path in [
            "vendor/a.go",
            "web/node_modules/x/index.js",
            "target/debug/a.rs",
        ] {
            assert_eq!(by_path(path, NONE), Some("vendored or built"), "{path}");
        }
        for path in ["Cargo.lock", "web/yarn.lock", "go.sum"] {
            assert_eq!(by_path(path, NONE), Some("lock file"), "{path}");
        }
        assert_eq!(by_path("app.min.js", NONE), Some("generated or minified"));
        for path in [
            "src/main.rs",
            "src/target.rs",
            "vendor.rs",
            "docs/distance.md",
        ] {
            assert_eq!(by_path(path, NONE), None, "{path}");
        }
    }

    #[test]
    fn binary_foreign_and_generated_content_is_left_out() {
        let judge = |path, bytes: &[u8]| text(path, bytes.to_vec(), NONE);
        assert_eq!(judge("a", b"ELF\0"), Err("binary"));
        assert_eq!(judge("a", &[0xff, 0xfe, 0x41]), Err("not UTF-8"));
        assert_eq!(judge("a", b" \n"), Err("empty"));
        let note = b"// Code generated by protoc. DO NOT EDIT.\npackage a";
        assert_eq!(judge("a.go", note), Err("generated or minified"));
        let dense = "a=1;".repeat(2_000);
        assert_eq!(
            judge("a.js", dense.as_bytes()),
            Err("generated or minified")
        );
        assert_eq!(judge("a.txt", dense.as_bytes()), Ok(dense.clone()));
        assert_eq!(
            judge("a.rs", "fn é() {}".as_bytes()),
            Ok("fn é() {}".to_owned())
        );
    }

    #[test]
    fn what_only_calls_itself_a_page_is_refused() {
        assert_eq!(
            page("<p>caf\u{fffd} and all the rest of a sentence that was written by hand</p>"),
            Ok(())
        );
        assert!(page("%PDF-1.7 ...").unwrap_err().contains("PDF"));
        let image = "\u{fffd}PNG\r\n\0\0\0\rIHDR\0\0";
        assert!(page(image).unwrap_err().contains("no text"));
        assert_eq!(page(""), Ok(()));
    }

    #[test]
    fn a_tally_names_the_first_of_each_reason_and_counts_the_rest() {
        let mut tally = Tally::default();
        tally.add("a.png", "binary");
        tally.add("b.png", "binary");
        tally.add("Cargo.lock", "lock file");
        let lines: Vec<_> = tally.lines().map(|line| (line.what, line.count)).collect();
        assert_eq!(
            lines,
            [("a.png".to_owned(), 2), ("Cargo.lock".to_owned(), 1)]
        );
    }
}
