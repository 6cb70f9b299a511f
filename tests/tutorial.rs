//! The first part of docs/tutorial.md, run from top to bottom as a reader would.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::model::model_folder;

/// A line that no command prints.
const MARK: &str = "--- end of block ";
const PAGE: &str = include_str!("../docs/tutorial.md");
/// Before a block that is not run.
const NOT_RUN: &str = "<!-- not run";
/// Before what a command prints.
const PRINTS: &str = "#> ";

/// The page's commands as one script, which says what each block printed; and what is expected, by block.
fn script(page: &str) -> (String, Vec<Vec<&str>>) {
    let (mut script, mut expected) = (String::from("set -eu\n"), Vec::new());
    let mut lines = page.lines();
    let mut is_run = true;
    while let Some(line) = lines.next() {
        if line.starts_with(NOT_RUN) {
            is_run = false;
        }
        if line != "```sh" {
            continue;
        }
        let block = lines.by_ref().take_while(|line| *line != "```");
        let block: Vec<_> = block.collect();
        if std::mem::replace(&mut is_run, true) {
            let (prints, commands): (Vec<_>, Vec<_>) =
                block.into_iter().partition(|line| line.starts_with(PRINTS));
            let end = format!("echo '{MARK}{}'", expected.len());
            script = [
                script.as_str(),
                commands.join("\n").as_str(),
                end.as_str(),
                "",
            ]
            .join("\n");
            let prints = prints.into_iter();
            expected.push(prints.map(|line| line.trim_start_matches(PRINTS)).collect());
        }
    }
    (script, expected)
}

#[test]
fn every_command_of_the_tutorial_does_what_it_says() {
    let (first, _) = PAGE.split_once("## On services").unwrap();
    let (script, expected) = script(first);
    assert!(expected.len() > 4, "{script}");
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_lockstep")).parent().unwrap();
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env_clear()
        .env(
            "PATH",
            format!("{}:/usr/local/bin:/usr/bin:/bin", program.display()),
        )
        .env("LOCKSTEP_MODEL_FOLDER", model_folder())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (printed, said) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    let blocks: Vec<&str> = printed.split(MARK).collect();
    for (number, parts) in expected.iter().enumerate() {
        for part in parts {
            let block = blocks.get(number).copied().unwrap_or_default();
            assert!(
                block.contains(part),
                "block {number}: {part:?} in {block}\n{said}"
            );
        }
    }
    assert_eq!(blocks.len(), expected.len() + 1, "{printed}\n{said}");
}
