//! sentence-transformers as a process that embeds what it is told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use lockstep::{Error, Result};
use serde_json::{Value, json};

/// As it is mostly called.
const BATCH: usize = 32;
const NAME: &str = "sentence-transformers";

/// The process; it ends when it is dropped.
pub(crate) struct Python {
    child: Child,
    /// None once it was told to end.
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it and embeds something, so that it is warm.
    pub(crate) fn start(python: &Path, model: &Path) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let script = "benches/runtimes/python.py";
        let mut child = Command::new(python)
            .args([script, NAME])
            .arg(model)
            .args(["none", &cores.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::unavailable(NAME, "start"))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::malformed("the bench", "a pipe is missing"));
        };
        let mut started = Self {
            child,
            to: Some(to),
            from: BufReader::new(from),
        };
        started.seconds(&vec!["A text of a few words.".to_owned(); BATCH])?;
        Ok(started)
    }

    /// How long it takes to embed the texts.
    pub(crate) fn seconds(&mut self, texts: &[String]) -> Result<f64> {
        let fail = |what| Error::unavailable(NAME, what);
        if let Some(to) = &mut self.to {
            writeln!(to, "{}", json!({"texts": texts, "batch": BATCH})).map_err(fail("ask"))?;
        }
        let mut line = String::new();
        self.from.read_line(&mut line).map_err(fail("read"))?;
        let answer: Value = serde_json::from_str(&line)
            .map_err(|error| Error::malformed("an answer of python.py", error.to_string()))?;
        Ok(answer["seconds"].as_f64().unwrap_or(f64::NAN))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.to = None;
        self.child.wait().ok();
    }
}
