//! A MongoDB server that follows a script, for what a healthy one will not do on command.
//!
//! ```text
//! test ── script ──> Scripted ── members, log, cursors
//!                      ▲  │
//!           OP_MSG ────┘  └──> what it was asked
//! ```
//!
//! It keeps a log of change events and serves it as the drivers' specifications have it: from a
//! token, from a time, from its end. So a reader that resumes at the right place misses nothing
//! and one that does not is found out. It has the documents that a test gives it, and writes change none.

mod event;
mod log;
mod message;
mod script;
mod serve;
mod state;
mod stream;

use std::sync::{Arc, Mutex};

use bson::{Document, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use event::{
    COLLECTION, Commit, DATABASE, delete, drop_collection, drop_database, insert, replace, split,
    stored_as, transaction, update, update_of_what_is_gone,
};
pub(crate) use log::time;
pub(crate) use message::Spelling;
pub(crate) use script::{
    AUTHENTICATION_FAILED, BAD_VALUE, CURSOR_KILLED, CURSOR_NOT_FOUND, Failure, Gate, HISTORY_LOST,
    KEY_NOT_FOUND, NAMESPACE_NOT_FOUND, NOT_RESUMABLE, NOT_YET_INITIALIZED, Step, TOO_LARGE,
    UNAUTHORIZED, again, cut, cut_open, events, fail, fail_open, idle, silence, slow, slow_find,
    step_down,
};
use serve::Shared;
use state::{Refusal, State};
pub(crate) use stream::Opened;

/// What an accept loop returns: nothing, since it has no end of its own.
type Stopped = std::convert::Infallible;

/// How the server is, apart from its script.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Members of the replica set.
    pub(crate) members: usize,
    /// No replica set at all.
    pub(crate) standalone: bool,
    /// A member of a set that nobody has initiated.
    pub(crate) uninitiated: bool,
    /// 21 is MongoDB 7.0.
    pub(crate) wire_version: i32,
    /// Commands that are always refused.
    pub(crate) refuses: Vec<Refusal>,
    /// The most events of a batch.
    pub(crate) batch_max: usize,
    /// The documents of the collection, in the order of their `_id`.
    pub(crate) stored: Vec<Document>,
    /// What no text of ours can be.
    pub(crate) spelling: Spelling,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            members: 1,
            standalone: false,
            uninitiated: false,
            wire_version: 21,
            refuses: Vec::new(),
            batch_max: 100,
            stored: Vec::new(),
            spelling: Spelling::default(),
        }
    }
}

/// A command that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) member: usize,
    pub(crate) body: Document,
}

/// A running server; it ends when it is dropped.
pub(crate) struct Scripted {
    shared: Shared,
    _accepting: JoinSet<Stopped>,
}

impl Scripted {
    /// A replica set of one.
    pub(crate) async fn start(script: impl IntoIterator<Item = Step>) -> Self {
        Self::with(Setup::default(), script).await
    }

    pub(crate) async fn with(setup: Setup, script: impl IntoIterator<Item = Step>) -> Self {
        let mut listeners = Vec::new();
        for _ in 0..setup.members {
            listeners.push(TcpListener::bind(("127.0.0.1", 0)).await.unwrap());
        }
        let members = listeners.iter().map(|it| it.local_addr().unwrap());
        let state = State::new(members.collect(), setup, script.into_iter().collect());
        let shared = Shared {
            state: Arc::new(Mutex::new(state)),
            changed: watch::Sender::new(()),
        };
        let mut accepting = JoinSet::new();
        for (member, listener) in listeners.into_iter().enumerate() {
            accepting.spawn(serve::accept(listener, member, shared.clone()));
        }
        Self {
            shared,
            _accepting: accepting,
        }
    }

    /// Where it is, for a driver.
    pub(crate) fn url(&self) -> String {
        self.url_of("")
    }

    /// The same for a user, `name:password@`.
    pub(crate) fn url_of(&self, user: &str) -> String {
        let set = if self.shared.state.lock().unwrap().setup.standalone {
            String::new()
        } else {
            format!("?replicaSet={}", state::SET)
        };
        format!("mongodb://{user}{}/{set}", self.hosts())
    }

    /// Its members, as a URL has them.
    pub(crate) fn hosts(&self) -> String {
        let state = self.shared.state.lock().unwrap();
        let hosts: Vec<_> = state.members.iter().map(ToString::to_string).collect();
        hosts.join(",")
    }

    /// These happen now.
    pub(crate) fn commit(&self, commits: impl IntoIterator<Item = Commit>) {
        let mut state = self.shared.state.lock().unwrap();
        for commit in commits {
            state.log.commit(commit);
        }
        drop(state);
        self.shared.changed.send_replace(());
    }

    /// What kept it from serving is over: its set is initiated, and nothing is refused any more.
    pub(crate) fn recover(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.setup.uninitiated = false;
        state.setup.refuses.clear();
        state.term += 1;
        drop(state);
        self.shared.changed.send_replace(());
    }

    /// Adds these steps to the script.
    pub(crate) fn play(&self, steps: impl IntoIterator<Item = Step>) {
        self.shared.state.lock().unwrap().script.extend(steps);
        self.shared.changed.send_replace(());
    }

    /// The tokens of everything that was committed, in order.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().log.tokens()
    }

    /// The cluster times of everything that was committed, in order.
    pub(crate) fn times(&self) -> Vec<Timestamp> {
        self.shared.state.lock().unwrap().log.times()
    }

    /// Every command of this name that came, in order.
    pub(crate) fn asked(&self, name: &str) -> Vec<Asked> {
        let state = self.shared.state.lock().unwrap();
        let asked = state.asked.iter().filter(|asked| asked.name == name);
        asked.cloned().collect()
    }

    /// Every change stream that was asked for, in order.
    pub(crate) fn opened(&self) -> Vec<Opened> {
        let asked = self.asked("aggregate");
        let opened = asked.iter().filter_map(|asked| Opened::read(&asked.body));
        opened.collect()
    }

    /// True when the script was played to its end.
    pub(crate) fn is_through(&self) -> bool {
        self.shared.state.lock().unwrap().script.is_empty()
    }
}
