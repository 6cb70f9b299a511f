//! A list of links in a file: one a line, an author after it where it is not everybody's. Pure but for a look where
//! paths lead.
//!
//! ```text
//! # what stands after a hash at the beginning of a line, or after a space, is for people
//! https://example.org/an-article
//! https://example.org/another        Ada King Lovelace
//! ```

use std::collections::HashMap;

use super::place::name_of;
use super::{Kind, Request, examine};

/// A line that names something to crawl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// What it asks for.
    pub request: Request,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its number, from 1.
    pub number: usize,
    /// What stands there.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a list; a bad line harms no other. `author` is whose the lines without one are.
pub fn read(text: &str, author: Option<&str>, kind: Option<&Kind>) -> (Vec<Line>, Vec<Fault>) {
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let words: Vec<&str> = line
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'))
            .collect();
        let Some((link, name)) = words.split_first() else {
            continue;
        };
        let request = request(link, name, author, kind);
        let named = request.and_then(|request| {
            // Spellings of one link are one. What is not there has no other name.
            let name = name_of(&request).unwrap_or_else(|_| request.target.clone());
            match seen.get(&name) {
                Some(first) => Err(format!("it is the same as line {first}")),
                None => Ok((name, request)),
            }
        });
        match named {
            Ok((name, request)) => {
                seen.insert(name, number);
                lines.push(Line { number, request });
            }
            Err(why) => faults.push(Fault {
                number,
                text: line.trim().to_owned(),
                why,
            }),
        }
    }
    (lines, faults)
}

fn request(
    link: &str,
    name: &[&str],
    author: Option<&str>,
    kind: Option<&Kind>,
) -> Result<Request, String> {
    let author = match name {
        [] => author.map(str::to_owned),
        words => Some(words.join(" ")),
    };
    let request = Request {
        target: link.to_owned(),
        author: author.ok_or("it names no author, and neither does --author")?,
        as_kind: kind.cloned(),
        reference: None,
        browser: false,
    };
    // What is neither a link nor a path of this machine is a slip.
    let is_link = link.contains("://") || link.contains(':');
    if !is_link && !std::path::Path::new(link).exists() {
        return Err("it is neither a link nor a file or folder that is there".to_owned());
    }
    examine(&request).map_err(|error| error.to_string())?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_are_nothing_and_authors_follow_links() {
        let text = "\u{feff}# all\n\nhttps://a.example/1\r\n  https://a.example/2#part  Ada King  \
                    Lovelace # twice\n";
        let (lines, faults) = read(text, Some("Ada"), None);
        let read: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line.number,
                    line.request.target.as_str(),
                    line.request.author.as_str(),
                )
            })
            .collect();
        assert_eq!(
            read,
            [
                (3, "https://a.example/1", "Ada"),
                (4, "https://a.example/2#part", "Ada King Lovelace"),
            ]
        );
        assert_eq!(faults, []);
    }

    #[test]
    fn a_bad_line_is_told_by_its_number_and_harms_no_other() {
        let text = "https://a.example/1\nnot-a-link\nftp://a.example/2\nhttps://a.example/1\n\
                    git@github.com:a/b.git\nhttps://a.example/3";
        let (lines, faults) = read(text, Some("Ada"), None);
        let numbers: Vec<_> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 6]);
        let told: Vec<_> = faults
            .iter()
            .map(|fault| (fault.number, fault.why.as_str()))
            .collect();
        let parts = [
            (2, "neither a link"),
            (3, "ftp links are not known"),
            (4, "the same as line 1"),
            (5, "https address"),
        ];
        for ((number, why), (wanted, part)) in told.iter().zip(parts) {
            assert!(*number == wanted && why.contains(part), "{told:?}");
        }
        assert_eq!(told.len(), parts.len());
    }

    #[test]
    fn spellings_of_one_link_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        let text = format!(
            "https://a.example/x\nhttps://a.example/x?utm_source=news\nhttps://a.example/x#part\n\
             https://github.com/Ada/Engine\nhttps://github.com/ada/engine.git\n{folder}\n{folder}/../{}\n\
             https://a.example/X",
            folder.rsplit('/').next().unwrap()
        );
        let (lines, faults) = read(&text, Some("Ada"), None);
        let numbers: Vec<_> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 4, 6, 8]);
        let told: Vec<_> = faults
            .iter()
            .map(|fault| (fault.number, fault.why.as_str()))
            .collect();
        let same = [(2, 1), (3, 1), (5, 4), (7, 6)];
        let same = same.map(|(line, first)| (line, format!("it is the same as line {first}")));
        let same: Vec<_> = same
            .iter()
            .map(|(line, why)| (*line, why.as_str()))
            .collect();
        assert_eq!(told, same);
    }

    #[test]
    fn a_line_without_an_author_needs_one_for_all() {
        let (lines, faults) = read("https://a.example/1", None, None);
        assert!(lines.is_empty() && faults[0].why.contains("--author"));
    }
}
