//! The language of a script: what the server does, step by step, to whom watches it.
//!
//! ```text
//! events, idle, again, slow     an answer to the next getMore
//! fail, cut, step_down, silence a fault at the next getMore; the cursor is gone
//! fail_open, cut_open           a fault at the next aggregate
//! slow_find                     an answer to the next find of documents
//! ```
//!
//! Each command takes the first step that waits for it; without one the server is healthy.

use bson::{Document, doc};
use tokio::sync::watch;

use super::event::Commit;

#[derive(Debug)]
pub(crate) struct Step {
    pub(super) on: On,
    /// What is committed when the step's turn comes, before it is answered.
    pub(super) commits: Vec<Commit>,
    pub(super) act: Act,
}

/// The command that a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Open,
    More,
    Find,
}

#[derive(Debug)]
pub(super) enum Act {
    Answer,
    Idle,
    Again,
    Slow(Gate),
    Fail(Failure),
    Cut,
    StepDown,
    Silence,
}

/// These happen, and the next getMore hears of them.
pub(crate) fn events(commits: impl IntoIterator<Item = Commit>) -> Step {
    step(On::More, commits, Act::Answer)
}

/// Time passes; the next getMore is answered by an empty batch.
pub(crate) fn idle() -> Step {
    step(On::More, [], Act::Idle)
}

/// The next getMore hears the last batch once more, tokens and all.
pub(crate) fn again() -> Step {
    step(On::More, [], Act::Again)
}

/// These happen, and the next getMore hears of them when the gate is opened.
pub(crate) fn slow(gate: &Gate, commits: impl IntoIterator<Item = Commit>) -> Step {
    step(On::More, commits, Act::Slow(gate.clone()))
}

/// The next find of documents is answered when the gate is opened.
pub(crate) fn slow_find(gate: &Gate) -> Step {
    step(On::Find, [], Act::Slow(gate.clone()))
}

/// The next getMore fails.
pub(crate) fn fail(failure: Failure) -> Step {
    step(On::More, [], Act::Fail(failure))
}

/// The next change stream is refused.
pub(crate) fn fail_open(failure: Failure) -> Step {
    step(On::Open, [], Act::Fail(failure))
}

/// These happen, and the connection ends in the middle of the reply that says so.
pub(crate) fn cut(commits: impl IntoIterator<Item = Commit>) -> Step {
    step(On::More, commits, Act::Cut)
}

/// The connection ends in the middle of the reply to the next aggregate.
pub(crate) fn cut_open() -> Step {
    step(On::Open, [], Act::Cut)
}

/// These happen, and the primary steps down before it has told of them; the next member follows.
pub(crate) fn step_down(commits: impl IntoIterator<Item = Commit>) -> Step {
    step(On::More, commits, Act::StepDown)
}

/// These happen, and the primary never says anything again on any connection; the next member
/// follows.
pub(crate) fn silence(commits: impl IntoIterator<Item = Commit>) -> Step {
    step(On::More, commits, Act::Silence)
}

fn step(on: On, commits: impl IntoIterator<Item = Commit>, act: Act) -> Step {
    Step {
        on,
        commits: commits.into_iter().collect(),
        act,
    }
}

/// How a server refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    code: i32,
    name: &'static str,
    label: Option<&'static str>,
}

/// The label of errors after which a driver may resume.
const RESUMABLE: &str = "ResumableChangeStreamError";
/// The label of errors after which nothing can be resumed.
pub(crate) const NOT_RESUMABLE: &str = "NonResumableChangeStreamError";

impl Failure {
    pub(crate) const fn new(code: i32, name: &'static str) -> Self {
        Self {
            code,
            name,
            label: None,
        }
    }

    /// The same, and a driver may resume.
    pub(crate) const fn resumable(self) -> Self {
        self.labelled(RESUMABLE)
    }

    pub(crate) const fn labelled(mut self, label: &'static str) -> Self {
        self.label = Some(label);
        self
    }

    /// True for a server that is on its way out of office or down.
    pub(super) fn changes_state(self) -> bool {
        [91, 189, 10107, 11600, 11602].contains(&self.code)
    }

    pub(super) fn reply(self) -> Document {
        let said = format!("scripted: {}", self.name);
        let mut reply = doc! {"ok": 0.0, "errmsg": said, "code": self.code, "codeName": self.name};
        if let Some(label) = self.label {
            reply.insert("errorLabels", vec![label]);
        }
        reply
    }
}

pub(crate) const AUTHENTICATION_FAILED: Failure = Failure::new(18, "AuthenticationFailed");
pub(crate) const UNAUTHORIZED: Failure = Failure::new(13, "Unauthorized");
pub(crate) const NAMESPACE_NOT_FOUND: Failure = Failure::new(26, "NamespaceNotFound");
pub(crate) const NOT_YET_INITIALIZED: Failure = Failure::new(94, "NotYetInitialized");
pub(crate) const KEY_NOT_FOUND: Failure = Failure::new(211, "KeyNotFound");
pub(crate) const BAD_VALUE: Failure = Failure::new(2, "BadValue");
pub(crate) const CURSOR_NOT_FOUND: Failure = Failure::new(43, "CursorNotFound");
pub(crate) const CURSOR_KILLED: Failure = Failure::new(237, "CursorKilled");
pub(crate) const HISTORY_LOST: Failure = Failure::new(286, "ChangeStreamHistoryLost");
pub(crate) const TOO_LARGE: Failure = Failure::new(10334, "BSONObjectTooLarge");
pub(crate) const NOT_A_REPLICA_SET: Failure = Failure::new(40573, "Location40573");
pub(crate) const NOT_WRITABLE_PRIMARY: Failure = Failure::new(10107, "NotWritablePrimary");

/// Holds one reply back until the test lets it go.
#[derive(Debug, Clone)]
pub(crate) struct Gate(watch::Sender<Stage>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Quiet,
    Reached,
    Open,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Stage::Quiet))
    }

    /// Waits until the reply is held back.
    pub(crate) async fn reached(&self) {
        self.at(Stage::Reached).await;
    }

    /// Lets the reply go.
    pub(crate) fn open(&self) {
        self.0.send_replace(Stage::Open);
    }

    /// The server comes to the gate and waits there.
    pub(super) async fn pass(&self) {
        self.0
            .send_modify(|stage| *stage = (*stage).max(Stage::Reached));
        self.at(Stage::Open).await;
    }

    async fn at(&self, stage: Stage) {
        // This gate holds a sender itself, so that the wait cannot fail.
        self.0
            .subscribe()
            .wait_for(|now| *now >= stage)
            .await
            .unwrap();
    }
}
