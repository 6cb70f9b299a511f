//! What an argument names: a page, a file, a folder of pages, or source code. Pure but for `look`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use super::archive::is_archive;
use super::platform::github::Account;
use super::platform::{self, Listing, Plan};
use crate::{Error, Result};

/// What to read a place as, when the automatic choice is not wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// HTML pages, stored as `articles`.
    Pages,
    /// Source code, stored as one of `repositories`.
    Repository,
    /// A platform of [`kinds`], on whatever domain.
    #[serde(untagged)]
    Platform(String),
}

impl Kind {
    /// The kind of this name, one of [`kinds`].
    pub fn of(name: &str) -> Self {
        match name {
            "pages" => Self::Pages,
            "repository" => Self::Repository,
            name => Self::Platform(name.to_owned()),
        }
    }

    /// The platform's name, if it is one.
    pub(crate) fn platform(&self) -> Option<String> {
        match self {
            Self::Platform(name) => Some(name.clone()),
            Self::Pages | Self::Repository => None,
        }
    }
}

/// The names of all kinds.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    ["pages", "repository"].into_iter().chain(platform::names())
}

/// What is to be crawled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A page in the web.
    Page(Url),
    /// A page on disk.
    File(PathBuf),
    /// An archive on disk: a data export.
    Archive(PathBuf),
    /// A folder of pages.
    Folder(PathBuf),
    /// A folder of source code without history.
    Source(PathBuf),
    /// A git repository on disk: what HEAD has committed.
    Checkout(PathBuf),
    /// A git repository elsewhere.
    Remote(Url),
    /// The posts of an author or a publication.
    Listing(Listing),
    /// Every repository and gist of an account.
    Account(Account),
}

/// What is found at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing.
    Missing,
    /// A file.
    File,
    /// A git repository, with or without a work tree.
    Repository,
    /// Any other folder.
    Folder {
        /// More of its files are pages than are not.
        pages: bool,
    },
}

impl Target {
    /// Reads the argument of a person; `look` says what a path holds.
    ///
    /// # Errors
    /// [`Error::Config`] for an argument that names nothing that can be crawled.
    pub(crate) fn parse(
        text: &str,
        kind: Option<Kind>,
        look: impl Fn(&Path) -> Place,
    ) -> Result<Self> {
        let text = text.trim();
        let ssh = text.starts_with("git@") || text.starts_with("ssh:");
        if ssh || text.starts_with("git:") {
            let why = "only https and local repositories can be read: give its https address";
            return Err(refuse(text, why));
        }
        match Url::parse(text) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                let shown = url.host_str().unwrap_or("link");
                Err(refuse(
                    shown,
                    "a link with a name or password in it would store them",
                ))
            }
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                Self::web(text, url, kind.as_ref())
            }
            Ok(url) if url.scheme() == "file" => match url.to_file_path() {
                Ok(path) => Self::local(text, path, kind, look),
                Err(()) => Err(refuse(text, "it names no file of this machine")),
            },
            Ok(url) if text.contains("://") => Err(refuse(
                text,
                &format!("{} links are not known", url.scheme()),
            )),
            _ => Self::local(text, PathBuf::from(text), kind, look),
        }
    }

    /// What a folder is read as; none for what is no folder.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Folder(_) => Some(Kind::Pages),
            Self::Source(_) | Self::Checkout(_) => Some(Kind::Repository),
            Self::Page(_)
            | Self::File(_)
            | Self::Archive(_)
            | Self::Remote(_)
            | Self::Listing(_)
            | Self::Account(_) => None,
        }
    }

    fn web(text: &str, mut url: Url, kind: Option<&Kind>) -> Result<Self> {
        url.set_fragment(None);
        let asked = match kind {
            None => None,
            Some(Kind::Pages) => return Ok(Self::Page(url)),
            Some(Kind::Repository) => return Ok(Self::Remote(url)),
            Some(Kind::Platform(name)) => Some(name.as_str()),
        };
        if let Some(name) = asked.filter(|name| platform::names().all(|known| known != *name)) {
            let known: Vec<_> = kinds().collect();
            return Err(refuse(name, &format!("it is none of {}", known.join(", "))));
        }
        match platform::plan(&url, asked) {
            Plan::Page(url) => Ok(Self::Page(url)),
            Plan::Listing(listing) => Ok(Self::Listing(listing)),
            Plan::Repository(url) => Ok(Self::Remote(url)),
            Plan::Account(account) => Ok(Self::Account(account)),
            Plan::Refused(why) => Err(refuse(text, &why)),
        }
    }

    fn local(
        text: &str,
        path: PathBuf,
        kind: Option<Kind>,
        look: impl Fn(&Path) -> Place,
    ) -> Result<Self> {
        Ok(match (look(&path), kind) {
            (Place::File, None) if is_archive(&path) => Self::Archive(path),
            (Place::File, Some(Kind::Platform(name))) if name == platform::LINKEDIN => {
                Self::Archive(path)
            }
            (Place::Missing, _) => return Err(refuse(text, "there is no such file or folder")),
            (_, Some(Kind::Platform(name))) => {
                let why = format!("{name} is read from the web, not from a file or folder");
                return Err(refuse(text, &why));
            }
            (Place::File, Some(Kind::Repository)) => {
                return Err(refuse(text, "it is a file, not a repository"));
            }
            (Place::File, _) => Self::File(path),
            (Place::Repository | Place::Folder { .. }, Some(Kind::Pages))
            | (Place::Folder { pages: true }, None) => Self::Folder(path),
            (Place::Repository, _) => Self::Checkout(path),
            (Place::Folder { .. }, _) => Self::Source(path),
        })
    }
}

/// Whether a request can be read at all; whether there is anything at a path is seen when it is crawled.
///
/// # Errors
/// [`Error::Config`] for an argument that names nothing that can be crawled.
pub fn examine(request: &super::Request) -> Result<()> {
    let place = |_: &Path| Place::Folder { pages: true };
    Target::parse(&request.target, request.as_kind.clone(), place).map(|_| ())
}

/// How many files decide whether a folder holds pages; enough for a fair sample of a large one.
const SAMPLE_FILES: usize = 2_000;

/// Looks what a path holds.
pub(crate) fn look(path: &Path) -> Place {
    if path.is_file() {
        return Place::File;
    }
    if !path.is_dir() {
        return Place::Missing;
    }
    let bare = path.join("HEAD").is_file() && path.join("objects").is_dir();
    if path.join(".git").exists() || bare {
        return Place::Repository;
    }
    let text_like = |path: &Path| {
        let name = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        // What pages bring along says nothing about a folder.
        !matches!(
            name.as_str(),
            "css"
                | "js"
                | "svg"
                | "png"
                | "jpg"
                | "jpeg"
                | "gif"
                | "webp"
                | "ico"
                | "woff"
                | "woff2"
                | "ttf"
        )
    };
    let (mut pages, mut others) = (0_usize, 0_usize);
    let files = super::walk::walk(path, true).flatten().filter(|entry| {
        entry.file_type().is_some_and(|kind| kind.is_file()) && text_like(entry.path())
    });
    for entry in files.take(SAMPLE_FILES) {
        if is_page(entry.path()) {
            pages += 1;
        } else {
            others += 1;
        }
    }
    Place::Folder {
        pages: pages > others,
    }
}

/// Whether a file's name says that it is an HTML page.
pub(crate) fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["html", "htm", "xhtml"]
            .iter()
            .any(|page| extension.eq_ignore_ascii_case(page))
    })
}

fn refuse(text: &str, why: &str) -> Error {
    Error::Config {
        setting: text.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target> {
        Target::parse(text, None, |path| match path.to_str().unwrap() {
            "page.html" | "/srv/page.html" | "export.ZIP" => Place::File,
            "book" => Place::Folder { pages: true },
            "crate-1.0" => Place::Folder { pages: false },
            "work" => Place::Repository,
            _ => Place::Missing,
        })
    }

    #[test]
    fn an_argument_is_read_as_what_it_names() {
        let url = |text| Url::parse(text).unwrap();
        let cases = [
            (
                "https://example.org/a#part",
                Target::Page(url("https://example.org/a")),
            ),
            (
                "https://github.com/rust-lang/book",
                Target::Remote(url("https://github.com/rust-lang/book")),
            ),
            (
                "https://example.org/x/y.git/",
                Target::Remote(url("https://example.org/x/y.git/")),
            ),
            ("page.html", Target::File("page.html".into())),
            (
                "file:///srv/page.html",
                Target::File("/srv/page.html".into()),
            ),
            ("book", Target::Folder("book".into())),
            ("crate-1.0", Target::Source("crate-1.0".into())),
            ("work", Target::Checkout("work".into())),
            ("export.ZIP", Target::Archive("export.ZIP".into())),
        ];
        for (text, target) in cases {
            assert_eq!(parse(text).unwrap(), target, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_crawled_is_refused_with_the_way_out() {
        let said = |text| parse(text).unwrap_err().to_string();
        assert!(said("git@github.com:a/b.git").contains("https address"));
        assert!(said("ftp://example.org/a").contains("ftp links are not known"));
        assert!(said("nowhere").contains("no such file"));
    }

    #[test]
    fn a_wish_overrides_the_automatic_choice() {
        let pages = Target::parse("work", Some(Kind::Pages), |_| Place::Repository).unwrap();
        assert_eq!(pages, Target::Folder("work".into()));
        let source = Place::Folder { pages: true };
        let source = Target::parse("book", Some(Kind::Repository), |_| source).unwrap();
        assert_eq!(source, Target::Source("book".into()));
    }
}
