//! The files below a folder, in one order, never through a symbolic link.

use std::path::{Path, PathBuf};

use ignore::{Walk, WalkBuilder};

use super::sift::is_vendored;

/// Walks a folder: ignore files in it are obeyed, those above it are not, hidden files are passed
/// over, and folders of other people's code too if `skip_vendored`.
pub(crate) fn walk(root: &Path, skip_vendored: bool) -> Walk {
    let mut builder = WalkBuilder::new(root);
    builder
        .follow_links(false)
        .parents(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .sort_by_file_name(std::ffi::OsStr::cmp);
    if skip_vendored {
        builder.filter_entry(|entry| {
            let folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            let name = entry.file_name().to_string_lossy();
            entry.depth() == 0 || !folder || !is_vendored(&name)
        });
    }
    builder.build()
}

/// What a walk came by.
#[derive(Debug)]
pub(crate) enum Step {
    /// A regular file and its size in bytes.
    File(PathBuf, u64),
    /// Something that is no file, with the reason why it is passed over.
    Passed(PathBuf, String),
    /// Something that could not be read, so that more may lie behind it.
    Failed(String),
}

/// The walk as steps; folders themselves make none.
pub(crate) fn steps(root: &Path, skip_vendored: bool) -> impl Iterator<Item = Step> {
    walk(root, skip_vendored).filter_map(|entry| {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Some(Step::Failed(error.to_string())),
        };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            return None;
        }
        Some(if kind.is_symlink() {
            Step::Passed(
                entry.into_path(),
                "a symbolic link, not followed".to_owned(),
            )
        } else if kind.is_file() {
            match entry.metadata() {
                Ok(metadata) => Step::File(entry.into_path(), metadata.len()),
                Err(error) => Step::Failed(error.to_string()),
            }
        } else {
            Step::Passed(entry.into_path(), "neither file nor folder".to_owned())
        })
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_symlink_loop_ends_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        fs::write(folder.path().join("inner/a.html"), "text").unwrap();
        symlink(folder.path(), folder.path().join("inner/loop")).unwrap();
        let steps: Vec<_> = steps(folder.path(), false).collect();
        assert!(
            matches!(&steps[..], [Step::File(file, 4), Step::Passed(link, _)]
                if file.ends_with("inner/a.html") && link.ends_with("inner/loop")),
            "{steps:?}"
        );
    }

    #[test]
    fn ignore_files_count_inside_the_folder_and_not_above_it() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("book");
        fs::create_dir_all(folder.join("vendor")).unwrap();
        fs::write(above.path().join(".gitignore"), "book\n").unwrap();
        fs::write(folder.join(".gitignore"), "draft.html\n").unwrap();
        for name in ["draft.html", "one.html", "vendor/two.html"] {
            fs::write(folder.join(name), "text").unwrap();
        }
        let names = |skip| -> Vec<_> {
            steps(&folder, skip)
                .map(|step| match step {
                    Step::File(path, _) => path.file_name().unwrap().to_owned(),
                    other => panic!("{other:?}"),
                })
                .collect()
        };
        assert_eq!(names(false), ["one.html", "two.html"]);
        assert_eq!(names(true), ["one.html"]);
    }
}
