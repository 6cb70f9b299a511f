//! A private repository through the program: collected, found, and its token nowhere to be read.
//!
//! Needs git, as server; where it is not installed, the test says so and does nothing.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use lockstep::search::Answer;
use tempfile::TempDir;

use super::{Server, serve};
use crate::support::binary::{assert_clean, run, run_with};

pub(super) const TOKEN: &str = "github_pat_hush";
/// `x-access-token:github_pat_hush`, as it goes over the wire.
const CODED: &str = "eC1hY2Nlc3MtdG9rZW46Z2l0aHViX3BhdF9odXNo";

fn git(folder: &Path, arguments: &[&str]) -> Option<()> {
    let mut command = Command::new("git");
    let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
    command.current_dir(folder).args(identity).args(arguments);
    let output = command.output().ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(())
}

/// What a git server says: to those with the token what `git upload-pack` says.
fn answer(folder: &Path, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let shown = headers.get(header::AUTHORIZATION);
    if shown.is_none_or(|it| it.to_str().unwrap() != format!("Basic {CODED}")) {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
        return (StatusCode::UNAUTHORIZED, ask).into_response();
    }
    let advertises = uri.path().ends_with("/info/refs");
    let (mode, kind, head) = if advertises {
        (
            &["--advertise-refs"][..],
            "application/x-git-upload-pack-advertisement",
            "001e# service=git-upload-pack\n0000",
        )
    } else {
        (&[][..], "application/x-git-upload-pack-result", "")
    };
    let mut command = Command::new("git");
    command
        .args(["upload-pack", "--stateless-rpc"])
        .args(mode)
        .arg(folder)
        .env("GIT_PROTOCOL", headers["git-protocol"].to_str().unwrap());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(body).unwrap();
    let said = child.wait_with_output().unwrap().stdout;
    let whole = [head.as_bytes(), &said].concat();
    ([(header::CONTENT_TYPE, kind)], whole).into_response()
}

pub(super) async fn server(folder: &Path) -> Server {
    let folder: Arc<Path> = folder.into();
    let router = Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: Bytes| {
        answer(&folder, &uri, &headers, &body)
    });
    serve(router).await
}

/// A repository with one file; none where git is not installed.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
pub(super) fn repository() -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    if git(folder.path(), &["init", "--quiet"]).is_none() {
        println!("skipped: git is not installed");
        return None;
    }
    let readme = "# Loom\n\nThe engine weaves algebraic patterns as the loom weaves leaves.\n";
    std::fs::write(folder.path().join("README.md"), readme).unwrap();
    git(folder.path(), &["add", "."]).unwrap();
    git(folder.path(), &["commit", "--quiet", "-m", "all"]).unwrap();
    Some(folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_repository_is_found_and_its_token_is_in_no_log_and_no_file() {
    let Some(folder) = repository() else {
        return;
    };
    let server = server(folder.path()).await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let link = format!("{}/ada/loom", server.origin);
    let arguments = ["crawl", &link, "--as", "github", "--author", "Ada Lovelace"];
    let mut settings = vec![
        ("LOCKSTEP_CRAWL_ALLOW_HOSTS", "127.0.0.1".to_owned()),
        ("LOCKSTEP_LOG_FILTER", "trace".to_owned()),
        ("LOCKSTEP_CRAWL_GITHUB_URL", server.origin.clone()),
    ];
    let refused = run_with(data, &arguments, &settings);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.error.contains("set crawl.github_token"));

    settings.push(("LOCKSTEP_CRAWL_GITHUB_TOKEN", TOKEN.to_owned()));
    for counted in ["1 saved, 0 unchanged", "0 saved, 1 unchanged"] {
        let ended = run_with(data, &arguments, &settings);
        assert!(ended.out.contains(counted), "{}", ended.out);
        assert!(
            ended.error.contains("wrote a batch"),
            "everything is logged"
        );
        for (place, text) in [("answer", &ended.out), ("log", &ended.error)] {
            assert!(!text.contains(TOKEN) && !text.contains(CODED), "{place}");
        }
    }
    for file in files(data) {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let is_clean = !text.contains(TOKEN) && !text.contains(CODED);
        assert!(is_clean, "{}", file.display());
    }
    assert!(data.join("clones").is_dir());
    let asked = ["search", "algebraic patterns of the loom", "--json"];
    let answer: Answer = serde_json::from_str(&run(data, &asked).out).unwrap();
    assert_eq!(answer.hits[0].link.as_deref(), Some(&*link));
    assert_clean(data);
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .flat_map(|entry| match entry.unwrap().path() {
            path if path.is_dir() => files(&path),
            path => vec![path],
        })
        .collect()
}
