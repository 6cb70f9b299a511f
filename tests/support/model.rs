//! The embedding model that the tests use, and copies of it that can be damaged.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Where the fetched model is; `make test` fetches it first.
///
/// `LOCKSTEP_TEST_MODEL`, otherwise `lockstep-model/all-MiniLM-L6-v2` in the target folder.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment where the model is"
)]
pub(crate) fn model_folder() -> PathBuf {
    let folder = std::env::var("LOCKSTEP_TEST_MODEL").map_or_else(
        |_| {
            // The test's own file is at <target>/<profile>/deps/<name>.
            let file = std::env::current_exe().unwrap();
            let target = file.ancestors().nth(3).unwrap();
            target.join("lockstep-model/all-MiniLM-L6-v2")
        },
        PathBuf::from,
    );
    assert!(
        folder.join("config.json").is_file(),
        "no model in {0}: run `scripts/fetch-model {0}` or set LOCKSTEP_TEST_MODEL to its folder",
        folder.display(),
    );
    folder
}

/// A copy of the model's folder after `damage`; it is removed when it is dropped.
pub(crate) fn broken_folder(damage: impl FnOnce(&Path)) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&model_folder(), copy.path());
    damage(copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
