//! The files of one tree, listed within bounds: a few small trees that name each other again and again
//! unfold to more files than there are atoms, and their names to more than there is memory.

use std::ops::ControlFlow;

use gix::bstr::BStr;
use gix::objs::tree::EntryRef;
use gix::traverse::tree::recorder::Entry;
use gix::traverse::tree::visit::Action;
use gix::traverse::tree::{Recorder, Visit};

/// Files and folders of one tree; the largest that people keep have half as many.
const ENTRIES_MAX: usize = 1_000_000;
/// Bytes of one path: what Linux would check out. Bounds the depth too.
const PATH_BYTES_MAX: usize = 4_096;
/// Bytes of all paths together: 256 for each of the most files.
const PATHS_BYTES_MAX: usize = 256 << 20;

/// What is listed of a tree at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    entries: usize,
    path_bytes: usize,
    paths_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            entries: ENTRIES_MAX,
            path_bytes: PATH_BYTES_MAX,
            paths_bytes: PATHS_BYTES_MAX,
        }
    }
}

/// Why there is no list.
pub(super) enum Unlisted {
    /// Git's own reason.
    Broken(gix::Error),
    /// The tree is over a bound, in words.
    Over(String),
}

/// Every file below a tree, links and submodules too, in the order of paths.
pub(super) fn files(tree: &gix::Tree<'_>, bounds: Bounds) -> Result<Vec<Entry>, Unlisted> {
    let mut walk = Walk {
        recorder: Recorder::default(),
        bounds,
        entries: 0,
        paths_bytes: 0,
        over: None,
    };
    let walked = tree.traverse().breadthfirst(&mut walk);
    if let Some(why) = walk.over {
        return Err(Unlisted::Over(why));
    }
    walked.map_err(Unlisted::Broken)?;
    let mut files = walk.recorder.records;
    files.sort_by(|a, b| a.filepath.cmp(&b.filepath));
    Ok(files)
}

/// Records files until there are too many.
struct Walk {
    recorder: Recorder,
    bounds: Bounds,
    entries: usize,
    paths_bytes: usize,
    over: Option<String>,
}

impl Walk {
    /// Counts what stands at the current path, before anything of it is kept.
    fn count(&mut self) -> Action {
        let path = self.recorder.path();
        self.entries += 1;
        self.paths_bytes += path.len();
        let Bounds {
            entries,
            path_bytes,
            paths_bytes,
        } = self.bounds;
        let why = if path.len() > path_bytes {
            format!("its folders are nested deeper than a path of {path_bytes} bytes can name")
        } else if self.entries > entries {
            format!("it has more than {entries} files and folders")
        } else if self.paths_bytes > paths_bytes {
            format!("the paths of its files have more than {paths_bytes} bytes together")
        } else {
            return ControlFlow::Continue(true);
        };
        self.over = Some(why);
        ControlFlow::Break(())
    }
}

impl Visit for Walk {
    fn pop_back_tracked_path_and_set_current(&mut self) {
        self.recorder.pop_back_tracked_path_and_set_current();
    }

    fn pop_front_tracked_path_and_set_current(&mut self) {
        self.recorder.pop_front_tracked_path_and_set_current();
    }

    fn push_back_tracked_path_component(&mut self, component: &BStr) {
        self.recorder.push_back_tracked_path_component(component);
    }

    fn push_path_component(&mut self, component: &BStr) {
        self.recorder.push_path_component(component);
    }

    fn pop_path_component(&mut self) {
        self.recorder.pop_path_component();
    }

    /// Folders are walked and not kept.
    fn visit_tree(&mut self, _: &EntryRef<'_>) -> Action {
        self.count()
    }

    fn visit_nontree(&mut self, entry: &EntryRef<'_>) -> Action {
        if self.count().is_break() {
            return ControlFlow::Break(());
        }
        self.recorder.visit_nontree(entry)
    }
}

#[cfg(test)]
mod tests {
    use gix::objs::Tree;
    use gix::objs::tree::{Entry as Row, EntryKind};

    use super::*;

    /// The paths of a tree whose ten names at each of `depth` levels all stand for the same one below.
    fn listed(depth: usize, bounds: Bounds) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        let git = gix::init_bare(folder.path()).unwrap();
        let mut below = (git.write_blob("text").unwrap().detach(), EntryKind::Blob);
        for _ in 0..depth {
            let entries = (0..10).map(|number| Row {
                mode: below.1.into(),
                filename: number.to_string().into(),
                oid: below.0,
            });
            let tree = Tree {
                entries: entries.collect(),
            };
            below = (git.write_object(&tree).unwrap().detach(), EntryKind::Tree);
        }
        let tree = git.find_tree(below.0).unwrap();
        match files(&tree, bounds) {
            Ok(files) => Ok(files.len()),
            Err(Unlisted::Over(why)) => Err(why),
            Err(Unlisted::Broken(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn a_tree_is_listed_up_to_its_bounds_and_refused_beyond() {
        let bounds = |entries, path_bytes, paths_bytes| Bounds {
            entries,
            path_bytes,
            paths_bytes,
        };
        // 1,000 files of five bytes below 10 and 100 folders.
        let exact = bounds(1_110, 5, 5_310);
        assert_eq!(listed(3, exact), Ok(1_000));
        let said = |bounds| listed(3, bounds).unwrap_err();
        assert!(said(bounds(1_109, 5, 5_310)).contains("more than 1109 files"));
        assert!(said(bounds(1_110, 4, 5_310)).contains("nested deeper"));
        assert!(said(bounds(1_110, 5, 5_309)).contains("more than 5309 bytes"));
    }
}
