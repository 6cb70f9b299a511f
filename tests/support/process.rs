//! The program as a child process that goes on: started, listened to, stopped for a while, killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::binary;

/// The longest wait for anything that it has to say.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running process; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    log: watch::Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts it with these arguments and settings, and waits for nothing.
    pub(crate) fn start(data: &Path, arguments: &[&str], settings: &[(&str, String)]) -> Self {
        let mut command = binary::program(data);
        let command = command
            .args(arguments)
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
    pub(crate) async fn until(&self, words: &[&str]) {
        let mut log = self.log.clone();
        let is_said = |log: &String| words.iter().any(|words| log.contains(words));
        let failed = match timeout(PATIENCE, log.wait_for(is_said)).await {
            Ok(Ok(_)) => return,
            Ok(Err(_)) => "ended and never said",
            Err(_) => "runs and has not said",
        };
        panic!("it {failed} {words:?}: {}", self.said());
    }

    /// How often it has said this.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.log.borrow().matches(words).count()
    }

    /// Waits until it has said this more often.
    pub(crate) async fn until_more(&self, words: &str, before: usize) {
        let mut log = self.log.clone();
        let is_said = |log: &String| log.matches(words).count() > before;
        let said = timeout(PATIENCE, log.wait_for(is_said)).await;
        let is_said = said.is_ok_and(|said| said.is_ok());
        assert!(is_said, "it did not say {words:?} again: {}", self.said());
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        self.log.borrow().clone()
    }

    /// Fails where it has ended by itself.
    pub(crate) fn assert_running(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: {}", self.said());
    }

    /// Stops the process where it stands; its connections stay open.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Asks it to stop, and waits until it has; fails where it ends otherwise than well.
    pub(crate) fn stop(mut self) {
        self.signal("-TERM");
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended:?}: {}", self.said());
    }

    /// Waits until it has ended well.
    pub(crate) fn finish(mut self) {
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended:?}: {}", self.said());
    }

    fn signal(&self, signal: &str) {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.unwrap().success());
    }

    /// `kill -9`.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
    }
}
