//! What can go wrong, said to a person, and the one place that decides what follows from it.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result of everything fallible in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cause of another library, kept as a source and never formatted into our own text.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Every error of this crate; each names the thing it happened to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes or fields that do not follow their format; trying again cannot help.
    #[error("{thing} is malformed: {why}")]
    Malformed {
        /// What was read.
        thing: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something larger than a limit that protects everything else.
    #[error("{thing} has {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// What was too large.
        thing: String,
        /// Its size, in bytes, as far as it was read.
        bytes: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A service or file that should answer and did not; trying again can help.
    #[error("{service} did not {action}")]
    Unavailable {
        /// Which service, for a person; with its address where it is another machine.
        service: Cow<'static, str>,
        /// What was asked of it.
        action: &'static str,
        /// What it said.
        #[source]
        source: Cause,
    },
    /// A service that answers and will not serve us as it is: wrong credentials, a missing permission,
    /// an unsupported version, a queue declared otherwise.
    #[error("{service}: {why}; {fix}")]
    Refused {
        /// Which service, with its address.
        service: String,
        /// What is the matter.
        why: String,
        /// What to do.
        fix: String,
    },
    /// Another process took over what only one may do; it goes on there.
    #[error("{what} was taken over by another process")]
    Fenced {
        /// What was taken over.
        what: &'static str,
    },
    /// The source no longer has the changes after our position.
    #[error("the source no longer has the changes after the saved position: {why}")]
    HistoryLost {
        /// What the source said.
        why: String,
    },
    /// The data folder cannot be used as it is.
    #[error("data folder {path}: {why}", path = path.display())]
    Data {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Another process has the data folder.
    #[error("data folder {path} is in use by another process", path = path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The embedding model cannot be used as it is.
    #[error("embedding model {path}: {why}", path = path.display())]
    Model {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A page, folder or repository that could not be read.
    #[error("{link}: {why}")]
    Fetch {
        /// What was to be read.
        link: String,
        /// What happened, and what to do.
        why: String,
    },
    /// A page that its server says is not there.
    #[error("{link}: it is gone (the server answered {status})")]
    Gone {
        /// What was to be read.
        link: String,
        /// 404 or 410.
        status: u16,
    },
    /// A host that asks to be left alone for longer than a crawl waits.
    #[error("{link}: its host is to be asked again after {at}", at = crate::moment::readable(*until_ms))]
    Later {
        /// What was to be read; where that led to another host which asks for it, its link there.
        link: String,
        /// Until when: milliseconds since 1970, UTC.
        until_ms: u64,
    },
    /// A setting or an argument that cannot be.
    #[error("{setting}: {why}")]
    Config {
        /// The setting or argument.
        setting: String,
        /// What is wrong with it.
        why: String,
    },
    /// What was asked for is not there.
    #[error("{what} is not known here")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// The other half of an internal channel is gone, because the process is stopping.
    #[error("{part} has stopped")]
    Stopped {
        /// Which part.
        part: &'static str,
    },
    /// The running process answered a command with an error of its own.
    #[error("{message}")]
    Remote {
        /// What it said.
        message: String,
    },
}

/// What the caller does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Try again, not before this pause (which grows with each attempt).
    Retry(Duration),
    /// Set the message aside with the reason; the others go on.
    Park,
    /// Stop the role and say why.
    Stop,
}

/// The pause before the first retry of something that was not there.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

impl Error {
    /// Judges what can be done; nobody else does.
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Unavailable { .. } => Recovery::Retry(PAUSE_FIRST),
            Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::Fetch { .. }
            | Self::Gone { .. }
            | Self::Later { .. }
            | Self::NotFound { .. } => Recovery::Park,
            Self::HistoryLost { .. }
            | Self::Refused { .. }
            | Self::Fenced { .. }
            | Self::Data { .. }
            | Self::Locked { .. }
            | Self::Model { .. }
            | Self::Config { .. }
            | Self::Stopped { .. }
            | Self::Remote { .. } => Recovery::Stop,
        }
    }

    /// Builds [`Error::Unavailable`]; used as `map_err(Error::unavailable("queue", "publish"))`.
    pub fn unavailable<E: Into<Cause>>(
        service: impl Into<Cow<'static, str>>,
        action: &'static str,
    ) -> impl FnOnce(E) -> Self {
        let service = service.into();
        move |source| Self::Unavailable {
            service,
            action,
            source: source.into(),
        }
    }

    /// Builds [`Error::Malformed`].
    pub fn malformed(thing: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Malformed {
            thing: thing.into(),
            why: why.into(),
        }
    }

    /// Builds [`Error::Config`] of a path that somebody has given, with what the system says of it.
    pub(crate) fn unusable(path: &Path, error: &io::Error) -> Self {
        Self::Config {
            setting: path.display().to_string(),
            why: error.to_string(),
        }
    }

    /// The error and its causes, joined by colons, for a person.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
