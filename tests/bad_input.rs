//! Broken files, full disks and hostile input: a clear message and an exit code, and what was
//! stored before is still there.

mod command;
mod disk;
mod folder;
mod model;
mod pages;

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::app::pages;
use crate::support::binary::{self, Ended, assert_clean, run};

const ENGINE: &str = "The analytical engine weaves algebraic patterns as the loom weaves flowers.";
const GARDEN: &str = "Tomatoes want sun, water in the morning, and a trellis to climb in summer.";

/// A data folder with two pages in its index, and the folder of the pages.
struct Stored {
    data: TempDir,
    folder: TempDir,
}

impl Stored {
    fn new() -> Self {
        let stored = Self {
            data: tempfile::tempdir().unwrap(),
            folder: pages(&[("Engine", ENGINE), ("Garden", GARDEN)]),
        };
        stored.crawl();
        stored
    }

    fn data(&self) -> &Path {
        self.data.path()
    }

    /// Reads the folder again, which must succeed, and gives what was said.
    fn crawl(&self) -> String {
        done(binary::crawl(self.data(), self.folder.path()))
    }

    fn assert_still_there(&self) {
        assert_clean(self.data());
        assert!(finds(self.data(), "the engine weaves patterns", ENGINE));
        assert!(finds(self.data(), "tomatoes in the morning", GARDEN));
    }
}

fn done(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.out + &ended.error
}

fn assert_fails(ended: &Ended, code: i32, says: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for said in says {
        assert!(ended.error.contains(said), "{said:?}: {ended:?}");
    }
}

/// Whether the first answer holds this text.
fn finds(data: &Path, question: &str, text: &str) -> bool {
    let answer = run(data, &["search", question, "--json"]);
    let answer: Value = serde_json::from_str(&answer.out).unwrap();
    let passage = answer["hits"][0]["passages"][0]["content"].as_str();
    passage.is_some_and(|passage| passage.contains(text))
}
