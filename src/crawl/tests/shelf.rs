//! A git server on the loopback address that hands repositories out by `git upload-pack`, as git's own
//! `http-backend` does, and counts what it hands out.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tempfile::TempDir;

use super::git::commit;
use super::web::{self, allowed};
use super::*;
use crate::crawl::{Kind, Token};

/// `x-access-token:hush`, as a browser would send it.
pub(super) const HUSH: &str = "Basic eC1hY2Nlc3MtdG9rZW46aHVzaA==";

/// Repositories below a folder, and what was asked of them.
#[derive(Clone)]
pub(super) struct Shelf {
    folder: PathBuf,
    /// What has to be shown for a repository whose name has `private` in it.
    key: Option<&'static str>,
    /// What was shown.
    pub(super) shown: Arc<Mutex<Vec<String>>>,
    /// Bytes that were handed out.
    sent: Arc<Mutex<usize>>,
    /// The repositories that were asked for, once for each request.
    asked: Arc<Mutex<Vec<String>>>,
    /// Whether there are too many requests for what a clone asks.
    busy: Arc<AtomicBool>,
    /// Paths of repositories, with what is answered for them and where they are.
    moves: Arc<Mutex<BTreeMap<String, (StatusCode, String)>>>,
}

impl Shelf {
    pub(super) fn new(folder: &TempDir, key: Option<&'static str>) -> Self {
        Self {
            folder: folder.path().to_owned(),
            key,
            shown: Arc::default(),
            sent: Arc::default(),
            asked: Arc::default(),
            busy: Arc::default(),
            moves: Arc::default(),
        }
    }

    pub(super) fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// From here on leads from one repository to another.
    pub(super) fn redirect(&self, from: &str, status: u16, to: &str) {
        let status = StatusCode::from_u16(status).unwrap();
        let mut moves = self.moves.lock().unwrap();
        moves.insert(from.to_owned(), (status, to.to_owned()));
    }

    /// From here on there are too many requests, or no more.
    pub(super) fn busy(&self, is_busy: bool) {
        self.busy.store(is_busy, Ordering::Relaxed);
    }

    /// The repositories that were asked for since the last call, in that order.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The bytes that were handed out since the last call.
    pub(super) fn sent(&self) -> usize {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }
}

async fn answer(State(shelf): State<Shelf>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    };
    let shown = text("authorization").to_owned();
    let is_open = !uri.path().contains("private") || shelf.key == Some(&*shown);
    if !shown.is_empty() {
        shelf.shown.lock().unwrap().push(shown);
    }
    if !is_open {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
        return (StatusCode::UNAUTHORIZED, ask).into_response();
    }
    let advertises = uri.path().strip_suffix("/info/refs");
    let moved = advertises.and_then(|path| shelf.moves.lock().unwrap().get(path).cloned());
    if let Some((status, to)) = moved {
        let to = format!("{to}/info/refs?service=git-upload-pack");
        return (status, [(header::LOCATION, to)]).into_response();
    }
    let path = advertises.or_else(|| uri.path().strip_suffix("/git-upload-pack"));
    let asked = path.unwrap_or_else(|| uri.path()).to_owned();
    shelf.asked.lock().unwrap().push(asked);
    if advertises.is_none() && shelf.busy.load(Ordering::Relaxed) {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    let Some(folder) = path.map(|path| shelf.folder.join(path.trim_start_matches('/'))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !folder.is_dir() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut git = Command::new("git");
    git.args(["upload-pack", "--stateless-rpc"]);
    if advertises.is_some() {
        git.arg("--advertise-refs");
    }
    git.arg(folder).env("GIT_PROTOCOL", text("git-protocol"));
    let piped = git
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&body).unwrap();
    let answer = child.wait_with_output().unwrap().stdout;
    let head: &[u8] = match advertises {
        Some(_) => b"001e# service=git-upload-pack\n0000",
        None => b"",
    };
    let kind = match advertises {
        Some(_) => "application/x-git-upload-pack-advertisement",
        None => "application/x-git-upload-pack-result",
    };
    *shelf.sent.lock().unwrap() += answer.len();
    ([(header::CONTENT_TYPE, kind)], [head, &answer].concat()).into_response()
}

pub(super) fn has_git() -> bool {
    let found = Command::new("git").arg("--version").output().is_ok();
    if !found {
        println!("skipped: git is not installed");
    }
    found
}

/// A repository on the shelf with one file.
pub(super) fn repository(shelf: &TempDir, name: &str, text: &str) -> gix::Repository {
    let path = shelf.path().join(name);
    std::fs::create_dir_all(&path).unwrap();
    let repository = gix::init_bare(&path).unwrap();
    commit(&repository, &[("src/lib.rs", Some(text.as_bytes()))]);
    repository
}

/// A request for something of the server, which is said to be a GitHub.
pub(super) fn on_github(server: &web::Server, path: &str) -> Request {
    Request {
        as_kind: Some(Kind::of("github")),
        ..request(&format!("{}/{path}", server.origin))
    }
}

/// Settings for which the server is GitHub.
pub(super) fn github(server: &web::Server, token: &str, tmp: &TempDir) -> Settings {
    Settings {
        github_url: server.origin.clone(),
        github_token: Token::new(token),
        tmp: tmp.path().to_owned(),
        ..allowed()
    }
}
