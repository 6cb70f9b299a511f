//! The real program as a child process, with the hash embedder, and nothing of our environment.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::{Builder, JoinHandle};

use lockstep::serve::Client;

/// Settings that make a test quick: any free port, and nothing that needs a model.
const SETTINGS: [(&str, &str); 5] = [
    ("LOCKSTEP_MODEL_BACKEND", "hash"),
    ("LOCKSTEP_SERVE_LISTEN", "127.0.0.1:0"),
    ("LOCKSTEP_CAPTURE_TICK_MS", "20"),
    ("LOCKSTEP_FEATURE_BATCH_SIZE", "16"),
    ("LOCKSTEP_LOG_FORMAT", "text"),
];

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
}

/// The program on this data folder; the caller adds the command.
pub(crate) fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command
        .env_clear()
        .envs(SETTINGS)
        .arg("--data")
        .arg(data)
        .stdin(Stdio::null());
    command
}

/// Runs one command to its end.
pub(crate) fn run(data: &Path, arguments: &[&str]) -> Ended {
    ended(program(data).args(arguments).output().unwrap())
}

/// Runs one command with further settings to its end.
pub(crate) fn run_with(data: &Path, arguments: &[&str], settings: &[(&str, String)]) -> Ended {
    let mut command = program(data);
    let settings = settings.iter().map(|(name, value)| (name, value));
    ended(command.args(arguments).envs(settings).output().unwrap())
}

/// Reads this folder as one author's.
pub(crate) fn crawl(data: &Path, target: &Path) -> Ended {
    let target = target.to_str().unwrap();
    run(data, &["crawl", target, "--author", "Ada Lovelace"])
}

/// Compares source and index, vectors included; both must agree.
pub(crate) fn assert_clean(data: &Path) {
    let ended = run(data, &["verify", "--vectors", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("\"clean\": true"), "{ended:?}");
}

/// What a finished process left.
pub(crate) fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `lockstep up`; killed when it is dropped.
pub(crate) struct Up {
    child: Child,
    log: Option<JoinHandle<String>>,
}

impl Up {
    /// Starts it and does not wait for anything.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with other settings.
    pub(crate) fn start_with(data: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = program(data);
        let command = command
            .envs(settings.iter().copied())
            .arg("up")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Self {
            child: command.spawn().unwrap(),
            log: None,
        }
    }

    /// Waits until it answers, and gives a client of it.
    pub(crate) async fn client(&mut self, data: &Path) -> Client {
        let mut lines = BufReader::new(self.child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("lockstep is up at ") {
            let read = lines.read_line(&mut said).unwrap();
            assert!(read > 0, "it ended before it was up: {said}");
        }
        // Read on, so that it never waits for room to write its log.
        let rest = move || {
            lines.read_to_string(&mut said).unwrap();
            said
        };
        self.log = Some(Builder::new().spawn(rest).unwrap());
        Client::find(data).await.unwrap().unwrap()
    }

    /// `kill -9`; what it had said until then.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        match self.log.take() {
            Some(log) => log.join().unwrap(),
            None => String::new(),
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
