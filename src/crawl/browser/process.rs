//! Chromium as a process: found, started with a profile of its own, and ended with us however we end.
//!
//! ```text
//! we ══two pipes══> Chromium and all that it starts       sh (leads their process group): waits, then cleans up
//! ```
//!
//! Chromium ends when its pipes do: because we are done, or because we were killed. The shell that started it holds
//! no end of them; it outlives us by a moment, kills what is left of the group, and removes the profile.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::devtools::DevTools;
use crate::folder::make_private;
use crate::{Error, Result};

/// What it is called on Debian, elsewhere, and as Google's own.
const NAMES: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
];

/// Prints the first program that there is.
const FIND: &str = r#"for name; do command -v "$name" && exit; done; exit 1"#;

/// Runs a browser, which has our pipes as its third and fourth file, then leaves nothing of it.
const GUARD: &str = r#"
profile=$1; shift
exec 3<&0 4>&1 </dev/null >/dev/null
"$@" &
browser=$!
exec 3<&- 4>&-
trap '' TERM
wait "$browser"
kill -TERM 0
rm -rf -- "$profile" 2>/dev/null || { sleep 1; rm -rf -- "$profile"; }
kill -KILL 0
"#;

/// What keeps it from doing anything but opening our pages: no updates, no accounts, no way around the proxy.
const FLAGS: [&str; 24] = [
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-dev-shm-usage",
    "--deny-permission-prompts",
    "--mute-audio",
    "--blink-settings=imagesEnabled=false",
    // A script that wants more is ended.
    "--js-flags=--max-old-space-size=512",
    // Loopback is asked through the proxy too, and names are resolved by it alone.
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-features=WebRtcHideLocalIpsWithMdns,OptimizationHints,MediaRouter,Translate",
    "--dns-prefetch-disable",
    "--window-size=1280,1600",
    "--remote-debugging-pipe",
];

/// The program that was named, or the first that is found.
///
/// # Errors
/// [`Error::Config`] says how it is installed.
pub(super) async fn find(named: Option<&Path>) -> Result<PathBuf> {
    let programs: Vec<&Path> = match named {
        Some(path) => vec![path],
        None => NAMES.iter().map(Path::new).collect(),
    };
    let found = Command::new("sh")
        .args(["-c", FIND, "sh"])
        .args(&programs)
        .output()
        .await
        .map_err(Error::unavailable("sh", "start"))?;
    let path = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    if path.is_empty() {
        let what = named.map_or("no Chromium is installed".to_owned(), |path| {
            format!("{} is no program", path.display())
        });
        return Err(Error::Config {
            setting: "crawl.browser_path".to_owned(),
            why: format!("{what}: install one with `apt-get install chromium`, or name one here"),
        });
    }
    Ok(path.into())
}

/// A browser that runs, with all that belongs to it.
pub(super) struct Process {
    shell: Child,
    /// What it said last, for people.
    said: Arc<Mutex<String>>,
    _profile: TempDir,
    _reading: JoinSet<()>,
}

impl Process {
    /// Starts it, and waits for nothing.
    pub(super) fn start(
        program: &Path,
        tmp: &Path,
        proxy: SocketAddr,
        agent: &str,
    ) -> Result<Self> {
        // On services there is no such folder before something is put there.
        let profile = make_private(tmp).and_then(|()| {
            let mut builder = tempfile::Builder::new();
            builder.prefix("chromium-").tempdir_in(tmp)
        });
        let profile = profile.map_err(Error::unavailable("the browser's profile", "make"))?;
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "sh"])
            .arg(profile.path())
            .arg(program)
            .args(FLAGS)
            .arg(format!("--proxy-server=http://{proxy}"))
            .arg(format!("--user-agent={agent}"))
            .arg(format!("--user-data-dir={}", profile.path().display()));
        if is_root() {
            // It refuses to be sandboxed then.
            command.arg("--no-sandbox");
        }
        let mut shell = command
            .arg("about:blank")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::unavailable("Chromium", "start"))?;
        let said = Arc::new(Mutex::new(String::new()));
        let mut reading = JoinSet::new();
        if let Some(errors) = shell.stderr.take() {
            let said = Arc::clone(&said);
            // A pipe that nobody reads would stop it.
            reading.spawn(async move {
                let mut lines = BufReader::new(errors).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    *said.lock().unwrap_or_else(PoisonError::into_inner) = line;
                }
            });
        }
        Ok(Self {
            shell,
            said,
            _profile: profile,
            _reading: reading,
        })
    }

    /// The pipes to it, once.
    pub(super) fn tools(&mut self, message_bytes_max: u64) -> Result<DevTools> {
        let missing = || Error::Stopped {
            part: "the browser",
        };
        let to = self.shell.stdin.take().ok_or_else(missing)?;
        let from = self.shell.stdout.take().ok_or_else(missing)?;
        Ok(DevTools::new(to, from, message_bytes_max))
    }

    /// Why it failed, with what it said last.
    pub(super) fn last_words(&self, why: String) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_empty() {
            why
        } else {
            format!("{why}; it said: {said}")
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
