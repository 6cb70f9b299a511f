//! Copying a folder whose files are mostly holes.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

/// Copies what is in the folder into another, which is there.
pub(crate) fn folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            folder(&entry.path(), &target);
        } else {
            file(&entry.path(), &target);
        }
    }
}

/// Leaves out the zeros at the end, of which a file made ready for more has millions.
fn file(from: &Path, to: &Path) {
    let bytes = fs::read(from).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0);
    let mut file = File::create(to).unwrap();
    file.write_all(&bytes[..end.map_or(0, |last| last + 1)])
        .unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}
