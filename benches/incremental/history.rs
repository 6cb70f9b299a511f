//! The edits of a repository's texts: each change of a file by a commit with one parent.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;
use gix::{ObjectId, Repository};
use lockstep::Result;
use tempfile::TempDir;

use crate::failed;

/// Ends of the names of texts.
const TEXTS: [&str; 3] = [".md", ".markdown", ".txt"];

/// What is known about a repository.
pub(crate) struct History {
    repository: Repository,
    /// The commit that it ends with.
    pub(crate) head: String,
    /// Contents before and after each edit, the oldest first; an edit that was made twice counts once.
    pub(crate) edits: Vec<(ObjectId, ObjectId)>,
    /// The texts of the last commit, by path.
    pub(crate) files: Vec<(String, ObjectId)>,
    /// Holds a clone as long as it is read.
    _clone: Option<TempDir>,
}

impl History {
    /// Reads a repository at a path, or clones it from a URL.
    pub(crate) fn read(place: &str, folder: &str) -> Result<Self> {
        let (mut repository, clone) = open(place)?;
        repository.object_cache_size(64 << 20);
        let head = repository.head_id().map_err(failed("the last commit"))?;
        let head = head.detach();
        let mut commits = Vec::new();
        let walk = repository
            .rev_walk([head])
            .sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst))
            .all()
            .map_err(failed("history"))?;
        for info in walk {
            let info = info.map_err(failed("history"))?;
            let parents: Vec<ObjectId> = info.parent_ids().map(gix::Id::detach).collect();
            if let [parent] = parents.as_slice() {
                commits.push((info.commit_time(), *parent, info.id().detach()));
            }
        }
        commits.sort_unstable();
        let (mut edits, mut seen) = (Vec::new(), HashSet::new());
        for (_, parent, commit) in commits {
            let (before, after) = (tree_of(&repository, parent)?, tree_of(&repository, commit)?);
            let mut found = Vec::new();
            compare(&repository, ("", folder), (before, after), &mut found)?;
            edits.extend(found.into_iter().filter(|edit| seen.insert(*edit)));
        }
        let mut files = Vec::new();
        list(
            &repository,
            ("", folder),
            tree_of(&repository, head)?,
            &mut files,
        )?;
        Ok(Self {
            head: head.to_string(),
            edits,
            files,
            _clone: clone,
            repository,
        })
    }

    /// The text of a file's content; none where it is no UTF-8.
    pub(crate) fn text(&self, id: ObjectId) -> Result<Option<String>> {
        let mut blob = self.repository.find_blob(id).map_err(failed("a file"))?;
        Ok(String::from_utf8(blob.take_data()).ok())
    }
}

fn open(place: &str) -> Result<(Repository, Option<TempDir>)> {
    if Path::new(place).exists() {
        let options = gix::open::Options::isolated();
        let repository = gix::open_opts(place, options).map_err(failed(place))?;
        return Ok((repository, None));
    }
    let folder = tempfile::tempdir().map_err(lockstep::Error::unavailable("the bench", "clone"))?;
    let mut fetch = gix::prepare_clone_bare(place, folder.path()).map_err(failed(place))?;
    let (repository, _) = fetch
        .fetch_only(gix::progress::Discard, &AtomicBool::new(false))
        .map_err(failed(place))?;
    Ok((repository, Some(folder)))
}

fn tree_of(repository: &Repository, commit: ObjectId) -> Result<ObjectId> {
    let commit = repository.find_commit(commit).map_err(failed("a commit"))?;
    let tree = commit.tree_id().map_err(failed("a commit"))?;
    Ok(tree.detach())
}

/// Name, whether it is a folder, and content of each entry that may count.
fn entries(
    repository: &Repository,
    (path, folder): (&str, &str),
    tree: ObjectId,
) -> Result<Vec<(String, bool, ObjectId)>> {
    let tree = repository.find_tree(tree).map_err(failed("a folder"))?;
    let mut entries = Vec::new();
    for entry in tree.iter() {
        let entry = entry.map_err(failed("a folder"))?;
        let Ok(name) = std::str::from_utf8(entry.filename()) else {
            continue;
        };
        let is_folder = entry.mode().is_tree();
        let path = format!("{path}{name}{}", if is_folder { "/" } else { "" });
        let counts = if is_folder {
            path.starts_with(folder) || folder.starts_with(&path)
        } else {
            path.starts_with(folder) && TEXTS.iter().any(|end| path.ends_with(end))
        };
        if counts && (is_folder || entry.mode().is_blob()) {
            entries.push((path, is_folder, entry.object_id()));
        }
    }
    Ok(entries)
}

/// Finds the files that both trees have, with other contents.
fn compare(
    repository: &Repository,
    (path, folder): (&str, &str),
    (before, after): (ObjectId, ObjectId),
    found: &mut Vec<(ObjectId, ObjectId)>,
) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let old = entries(repository, (path, folder), before)?;
    for (name, is_folder, id) in entries(repository, (path, folder), after)? {
        let same = |(other, was_folder, _): &&(String, bool, ObjectId)| {
            *other == name && *was_folder == is_folder
        };
        match old.iter().find(same) {
            Some((_, _, before)) if is_folder => {
                compare(repository, (&name, folder), (*before, id), found)?;
            }
            Some((_, _, before)) if *before != id => found.push((*before, id)),
            _ => {}
        }
    }
    Ok(())
}

fn list(
    repository: &Repository,
    (path, folder): (&str, &str),
    tree: ObjectId,
    files: &mut Vec<(String, ObjectId)>,
) -> Result<()> {
    for (name, is_folder, id) in entries(repository, (path, folder), tree)? {
        if is_folder {
            list(repository, (&name, folder), id, files)?;
        } else {
            files.push((name, id));
        }
    }
    Ok(())
}
