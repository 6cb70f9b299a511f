//! One git repository: a committed state of it, from disk or cloned for the occasion.
//!
//! ```text
//! reference ──> tree ──listed within bounds──> wanted files ──all sizes within a bound──> texts, one by one
//! ```
//!
//! Nothing is handed on before the whole state is known to be within its bounds: one that is refused
//! leaves what is stored of it as it is.

mod tree;

use std::path::Path;

use gix::traverse::tree::recorder::Entry;

use super::attributes::Attributes;
use super::harvest::{Context, Harvest};
use super::repository::Intake;
use crate::document::Repository;
use crate::{Error, Result};
use tree::{Bounds, Unlisted};

/// What is said of a repository that is refused.
const STAYS: &str = "nothing of it is read, and what is stored of it stays";

/// What is said of a repository in which nothing was committed.
pub(crate) const NO_COMMIT: &str = "nothing is committed there yet";

/// What is said of a repository that has nothing of this name.
pub(crate) fn no_reference(name: &str) -> String {
    format!("it has no branch, tag or commit {name}")
}

/// Whether a branch, a tag or a commit can have this name.
pub(crate) fn is_reference(name: &str) -> bool {
    gix::validate::reference::name_partial(name.into()).is_ok()
}

/// Bytes of all files of a state together; the largest that people keep have half as many. One file may
/// stand under a million paths.
const STATE_BYTES_MAX: u64 = 4 << 30;

/// Reads every file that the tree of a branch, a tag or a commit holds, else that of HEAD. Blocks.
///
/// A file's size is asked of its object's header, so that one over the limit is never unpacked.
///
/// # Errors
/// [`Error::Fetch`] for what cannot be read, and for a state that is over its bounds.
pub(crate) fn state(
    (path, reference): (&Path, Option<&str>),
    repository: &Repository,
    context: &Context,
    harvest: &Harvest,
) -> Result<()> {
    let fail = |why: String| Error::Fetch {
        link: repository.link.clone(),
        why,
    };
    let broken = |error: gix::Error| fail(said(&error));
    let over = |why: String| fail(format!("{why}, as no repository that people keep; {STAYS}"));
    let git = gix::open_opts(path, gix::open::Options::isolated()).map_err(broken)?;
    let tree = tree(&git, reference).map_err(broken)?;
    let missing = || fail(reference.map_or_else(|| NO_COMMIT.to_owned(), no_reference));
    let tree = tree.ok_or_else(missing)?;
    let files = tree::files(&tree, Bounds::default()).map_err(|error| match error {
        Unlisted::Broken(error) => broken(error),
        Unlisted::Over(why) => over(why),
    })?;
    let attributes = attributes(&git, &files, context.settings.file_bytes_max).map_err(broken)?;
    let mut intake = Intake::new(repository, context, harvest).with(attributes);
    let (files, bytes) = wanted(&git, files, &mut intake).map_err(broken)?;
    if bytes > STATE_BYTES_MAX {
        return Err(over(format!("its files have {bytes} bytes together")));
    }
    for (path, id) in files {
        if harvest.is_closed() {
            return Ok(());
        }
        let mut blob = git.find_blob(id).map_err(broken)?;
        intake.add(path, blob.take_data());
    }
    intake.finish();
    Ok(())
}

/// The files that are wanted, and the bytes of all of them together.
fn wanted(
    git: &gix::Repository,
    files: Vec<Entry>,
    intake: &mut Intake<'_>,
) -> gix::Result<(Vec<(String, gix::ObjectId)>, u64)> {
    let (mut wanted, mut total) = (Vec::new(), 0_u64);
    for file in files {
        let Ok(path) = String::from_utf8(file.filepath.to_vec()) else {
            intake.pass(&file.filepath.to_string(), "its path is not UTF-8");
            continue;
        };
        if file.mode.is_link() {
            intake.pass(&path, "a symbolic link, not followed");
        } else if file.mode.is_commit() {
            intake.pass(&path, "a submodule, not followed");
        } else {
            let bytes = git.find_header(file.oid)?.size();
            if intake.wants(&path, bytes) {
                total = total.saturating_add(bytes);
                wanted.push((path, file.oid));
            }
        }
    }
    Ok((wanted, total))
}

/// The tree of a branch, a tag, or a commit by its whole hash, else of HEAD; none where there is none.
fn tree<'a>(git: &'a gix::Repository, name: Option<&str>) -> gix::Result<Option<gix::Tree<'a>>> {
    let Some(name) = name else {
        if git.head()?.is_unborn() {
            return Ok(None);
        }
        return git.head_tree().map(Some);
    };
    let id = match gix::ObjectId::from_hex(name.as_bytes()) {
        Ok(id) => Some(id),
        Err(_) => match git.try_find_reference(name)? {
            Some(mut found) => Some(found.peel_to_id()?.detach()),
            None => None,
        },
    };
    match id.filter(|id| git.has_object(id)) {
        Some(id) => git.find_object(id)?.peel_to_tree().map(Some),
        None => Ok(None),
    }
}

/// What every `.gitattributes` of the tree says.
fn attributes(git: &gix::Repository, files: &[Entry], bytes_max: u64) -> gix::Result<Attributes> {
    let mut attributes = Attributes::default();
    for file in files.iter().filter(|file| file.mode.is_blob()) {
        let Ok(path) = std::str::from_utf8(&file.filepath) else {
            continue;
        };
        if Attributes::is_file(path) && git.find_header(file.oid)?.size() <= bytes_max {
            let blob = git.find_blob(file.oid)?;
            attributes.add(path, &String::from_utf8_lossy(&blob.data));
        }
    }
    Ok(attributes)
}

/// An error of git's with its causes, on one line.
pub(crate) fn said(error: &gix::Error) -> String {
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        why = format!("{why}: {error}");
        cause = error.source();
    }
    why
}
