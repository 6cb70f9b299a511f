//! `lockstep capture` as a child process: started, listened to, stopped for a while, killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{Builder, JoinHandle};

use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;
use crate::support::binary;

/// A running capture; killed when it is dropped.
pub(super) struct Capture {
    child: Child,
    log: watch::Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    /// Starts it with these settings, and waits for nothing.
    pub(super) fn start(data: &Path, settings: &[(&str, String)]) -> Self {
        let mut command = binary::program(data);
        let command = command
            .arg("capture")
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (said, log) = watch::channel(String::new());
        let read = move || {
            for line in lines.map_while(Result::ok) {
                said.send_modify(|log| {
                    log.push_str(&line);
                    log.push('\n');
                });
            }
        };
        let reader = Some(Builder::new().spawn(read).unwrap());
        Self { child, log, reader }
    }

    /// Waits until it has said one of these.
    pub(super) async fn until(&self, words: &[&str]) {
        let mut log = self.log.clone();
        let is_said = |log: &String| words.iter().any(|words| log.contains(words));
        let said = timeout(PATIENCE, log.wait_for(is_said)).await;
        let is_said = said.is_ok_and(|said| said.is_ok());
        assert!(is_said, "it never said {words:?}: {}", self.said());
    }

    /// What it has said so far.
    pub(super) fn said(&self) -> String {
        self.log.borrow().clone()
    }

    /// Fails where it has ended by itself.
    pub(super) fn assert_running(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: {}", self.said());
    }

    /// Stops the process where it stands; its connections stay open.
    pub(super) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(super) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.unwrap().success());
    }

    /// `kill -9`.
    pub(super) fn kill(self) {
        drop(self);
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
    }
}
