//! Where a target is: its whole path or link, and the one form under which its crawls are recorded.

use std::path::{Path, PathBuf};

use super::link::normalised;
use super::reading::blocking;
use super::target::{self, Place, Target};
use super::{Request, pages, platform};
use crate::{Error, Result};

/// What a request names, by its whole path where it has one, and the link under which everything is found.
///
/// # Errors
/// [`Error::Config`] for an argument that names nothing, [`Error::Fetch`] for a path that is not there any more.
pub(crate) async fn placed(request: &Request) -> Result<(Target, String)> {
    let (text, kind) = (request.target.clone(), request.as_kind.clone());
    blocking(move || resolve(Target::parse(&text, kind, target::look)?)).await
}

/// The link alone, without a look at what a folder holds, which makes no other name. Blocks.
///
/// # Errors
/// As [`placed`].
pub(crate) fn name_of(request: &Request) -> Result<String> {
    let place = |_: &Path| Place::Folder { pages: true };
    let target = Target::parse(&request.target, request.as_kind.clone(), place)?;
    resolve(target).map(|(_, link)| link)
}

/// Makes paths absolute, and says which link everything is found under.
fn resolve(target: Target) -> Result<(Target, String)> {
    let absolute = |path: PathBuf| {
        let fail = |why: String| Error::Fetch {
            link: path.display().to_string(),
            why,
        };
        let whole = path
            .canonicalize()
            .map_err(|error| fail(error.to_string()))?;
        let link = pages::file_url(&whole).ok_or_else(|| fail("its path makes no link".into()))?;
        Ok::<_, Error>((whole, link.to_string()))
    };
    Ok(match target {
        Target::Page(url) => {
            let root = platform::canonical(&url);
            (Target::Page(url), root)
        }
        Target::Listing(listing) => {
            let root = normalised(&listing.home);
            (Target::Listing(listing), root)
        }
        Target::Account(account) => {
            let root = normalised(&account.home);
            (Target::Account(account), root)
        }
        Target::Remote(url) => {
            let root = platform::repository_identity(&url);
            (Target::Remote(url), root)
        }
        Target::File(path) => absolute(path).map(|(path, link)| (Target::File(path), link))?,
        Target::Archive(path) => {
            absolute(path).map(|(path, link)| (Target::Archive(path), link))?
        }
        Target::Folder(path) => absolute(path).map(|(path, link)| (Target::Folder(path), link))?,
        Target::Source(path) => absolute(path).map(|(path, link)| (Target::Source(path), link))?,
        Target::Checkout(path) => {
            absolute(path).map(|(path, link)| (Target::Checkout(path), link))?
        }
    })
}
