//! Commands that bring nothing, or that cannot be meant: exit codes, and how the log is written.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::{Stored, assert_fails};
use crate::support::binary::{self, program, run};

#[test]
fn a_crawl_that_brings_nothing_and_leaves_something_out_has_failed() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Empty.html"), "").unwrap();
    let ended = binary::crawl(stored.data(), folder.path());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.out.contains("Empty.html: it has no main text"),
        "{ended:?}"
    );
    // Beside a page that is read it is one that was left out.
    fs::copy(
        stored.folder.path().join("Engine.html"),
        folder.path().join("Engine.html"),
    )
    .unwrap();
    let ended = binary::crawl(stored.data(), folder.path());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stored.assert_still_there();
}

#[test]
fn what_belongs_to_a_repository_or_to_one_crawl_is_refused_elsewhere() {
    let stored = Stored::new();
    let page = stored.folder.path().join("Engine.html");
    let page = page.to_str().unwrap();
    let ada = ["--author", "Ada Lovelace"];
    let crawl = |arguments: &[&str]| run(stored.data(), &[&["crawl"], arguments].concat());
    let ended = crawl(&[&[page, "--ref", "v1.2"], ada.as_slice()].concat());
    assert_fails(
        &ended,
        2,
        &["--ref v1.2", "only one repository has branches"],
    );
    for of_all in ["--list", "--schedule"] {
        for of_one in [
            ["--as", "pages"].as_slice(),
            &["--ref", "v1.2"],
            &["--browser"],
        ] {
            let ended = crawl(&[&[of_all], of_one].concat());
            assert_fails(&ended, 2, &["cannot be used with", of_all]);
        }
    }
    stored.assert_still_there();
}

/// What `lockstep up` writes to a pipe until it is up.
fn log_of(format: Option<&str>) -> Vec<String> {
    let data = tempfile::tempdir().unwrap();
    let mut up = program(data.path());
    let up = match format {
        Some(format) => up.env("LOCKSTEP_LOG_FORMAT", format).arg("up"),
        None => up.env_remove("LOCKSTEP_LOG_FORMAT").arg("up"),
    };
    let up = up.env("LOCKSTEP_LOG_FILTER", "debug");
    let up = up.stderr(Stdio::piped()).stdout(Stdio::null());
    let mut up = up.spawn().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(up.stderr.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines
            .last()
            .is_some_and(|line| line.contains("lockstep is up at "))
        {
            break;
        }
    }
    up.kill().unwrap();
    up.wait().unwrap();
    lines
}

#[test]
fn a_log_that_no_terminal_shows_is_json_unless_it_is_to_be_text() {
    for (format, is_json) in [(None, true), (Some("auto"), true), (Some("text"), false)] {
        let lines = log_of(format);
        let (up, log) = lines.split_last().unwrap();
        assert!(up.contains("lockstep is up at "), "{lines:?}");
        assert!(!log.is_empty());
        for line in log {
            let read = serde_json::from_str::<Value>(line);
            assert_eq!(read.is_ok(), is_json, "{format:?}: {line}");
        }
    }
}
