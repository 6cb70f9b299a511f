//! `lockstep doctor`: each thing that can be wrong in the embedded mode, and what is said of it. What can
//! be wrong with services is in `services/doctor.rs`.

use std::path::Path;

use serde_json::Value;

use crate::support::binary::{self, Ended, Up};

/// What was found of one thing: how it is, what is said, and the fix.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) outcome: String,
    pub(crate) said: String,
    pub(crate) fix: String,
}

pub(crate) fn found(ended: &Ended, name: &str) -> Found {
    let diagnosis: Value = serde_json::from_str(&ended.out).unwrap();
    let checks = diagnosis["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no {name}: {}", ended.out));
    let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
    Found {
        outcome: text("outcome"),
        said: text("said"),
        fix: text("fix"),
    }
}

fn ask(data: &Path, settings: &[(&str, &str)]) -> Ended {
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    binary::run_with(data, &["doctor", "--json"], &settings)
}

#[test]
fn a_new_installation_is_healthy_and_nothing_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let ended = ask(&data, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(found(&ended, "data folder").outcome, "passed");
    assert_eq!(found(&ended, "model").outcome, "passed");
    assert_eq!(found(&ended, "index").outcome, "skipped");
    assert!(!data.exists());
    // For people it is one line a check.
    let shown = binary::run(&data, &["doctor"]);
    assert!(
        shown.out.contains("ok") && shown.out.contains("data folder"),
        "{shown:?}"
    );
}

#[tokio::test]
async fn a_folder_that_is_in_use_is_no_failure_and_one_that_is_not_counts_its_index() {
    let data = tempfile::tempdir().unwrap();
    let mut up = Up::start(data.path());
    drop(up.client(data.path()).await);
    let ended = ask(data.path(), &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        found(&ended, "data folder")
            .said
            .contains("running process"),
        "{ended:?}"
    );
    up.kill();
    let ended = ask(data.path(), &[]);
    assert_eq!(found(&ended, "index").said, "0 documents, 0 points");
}

#[test]
fn a_model_that_is_not_there_is_told_with_the_fix() {
    let data = tempfile::tempdir().unwrap();
    let ended = ask(data.path(), &[("LOCKSTEP_MODEL_BACKEND", "local")]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let model = found(&ended, "model");
    assert_eq!(model.outcome, "failed");
    assert!(model.said.contains("model"), "{model:?}");
    assert_eq!(found(&ended, "index").outcome, "skipped");
}

#[test]
fn settings_that_cannot_be_are_told_and_nothing_else_is_looked_at() {
    let data = tempfile::tempdir().unwrap();
    let ended = ask(data.path(), &[("LOCKSTEP_QUEUE_PARTITIONS", "0")]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        found(&ended, "settings").said.contains("queue.partitions"),
        "{ended:?}"
    );
    assert!(!ended.out.contains("data folder"), "{ended:?}");
}

#[test]
fn a_folder_of_somebody_else_is_told() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("holiday.jpg"), "").unwrap();
    let ended = ask(data.path(), &[]);
    let folder = found(&ended, "data folder");
    assert_eq!((ended.code, folder.outcome.as_str()), (Some(1), "failed"));
    assert!(folder.said.contains("other files"), "{folder:?}");
}
