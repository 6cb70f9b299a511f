//! The embedding model: missing or damaged.

use std::fs::{self, File};
use std::path::Path;

use tempfile::TempDir;

use super::{ENGINE, GARDEN, assert_fails, done};
use crate::support::app::{page, pages};
use crate::support::binary::{ended, program};
use crate::support::model::{broken_folder, model_folder};

#[test]
fn a_model_that_is_missing_or_damaged_is_named() {
    let stored = TempDir::new().unwrap();
    let folder = pages(&[("Engine", ENGINE)]);
    let with = |model: &Path, arguments: &[&str]| {
        let mut program = program(stored.path());
        program.env("LOCKSTEP_MODEL_BACKEND", "local");
        program.env("LOCKSTEP_MODEL_FOLDER", model).args(arguments);
        ended(program.output().unwrap())
    };
    let crawl = [
        "crawl",
        folder.path().to_str().unwrap(),
        "--author",
        "Ada Lovelace",
    ];
    done(with(&model_folder(), &crawl));
    page(folder.path(), "Garden", GARDEN);

    let weights = |folder: &Path| folder.join("model.safetensors");
    let missing = broken_folder(|folder| fs::remove_file(weights(folder)).unwrap());
    let truncated = broken_folder(|folder| {
        let file = File::options().write(true).open(weights(folder)).unwrap();
        let bytes = file.metadata().unwrap().len();
        file.set_len(bytes / 2).unwrap();
    });
    let changed = broken_folder(|folder| {
        let mut bytes = fs::read(weights(folder)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(weights(folder), bytes).unwrap();
    });
    for model in [missing, truncated, changed] {
        let ended = with(model.path(), &crawl);
        println!("{}", ended.error);
        assert_fails(
            &ended,
            1,
            &["embedding model", "model.safetensors", "make model"],
        );
    }
    let nowhere = with(Path::new("/nowhere/model"), &crawl);
    assert_fails(
        &nowhere,
        1,
        &["embedding model /nowhere/model", "make model"],
    );

    let verified = with(&model_folder(), &["verify", "--vectors"]);
    assert!(done(verified).contains("source and index agree"));
}
