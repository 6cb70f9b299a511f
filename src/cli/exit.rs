//! How a command ended, as a number for scripts and a sentence for people.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use crate::Error;
use crate::command::Response;
use crate::search::Awaited;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// As asked.
    Done = 0,
    /// Something went wrong.
    Failed = 1,
    /// The arguments or settings cannot be.
    Usage = 2,
    /// Nothing was found, or what was named is not known.
    Nothing = 3,
    /// Source and index differ.
    Differs = 4,
    /// The data folder cannot be used.
    Folder = 5,
    /// What was waited for is not in the index yet.
    NotYet = 6,
    /// What was waited for is set aside.
    Parked = 7,
    /// A signal ended it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How a command with this answer ended.
pub(super) fn of(response: &Response) -> Exit {
    match response {
        Response::Search(answer) if answer.at_least == Some(Awaited::NotYet) => Exit::NotYet,
        Response::Search(answer) if answer.at_least == Some(Awaited::Parked) => Exit::Parked,
        Response::Search(answer) if answer.hits.is_empty() => Exit::Nothing,
        Response::Delete(deleted) if deleted.documents.is_empty() => Exit::Nothing,
        Response::Verify(report) if !report.clean => Exit::Differs,
        Response::Crawl(report) if report.is_failure() => Exit::Failed,
        _ => Exit::Done,
    }
}

/// Says what is wrong with the arguments, or shows the help that was asked for.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when standard error is gone.
    error.print().ok();
    u8::try_from(error.exit_code())
        .unwrap_or(Exit::Usage as u8)
        .into()
}

/// Says what went wrong, why, and what to do.
pub(super) fn fail(error: &Error) -> Exit {
    let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let cyan = Style::new().bold().fg_color(Some(AnsiColor::Cyan.into()));
    anstream::eprintln!(
        "{red}error:{red:#} {}",
        super::render::plain(&error.chain())
    );
    if let Some(hint) = hint(error) {
        anstream::eprintln!("{cyan}hint:{cyan:#} {hint}");
    }
    match error {
        Error::Config { .. } => Exit::Usage,
        Error::NotFound { .. } => Exit::Nothing,
        Error::Data { .. } | Error::Locked { .. } => Exit::Folder,
        _ => Exit::Failed,
    }
}

/// What to do about it, where the error itself does not say.
fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Locked { .. } => Some(
            "its process did not answer; wait until it has started or stopped, or end it, and try \
             again",
        ),
        Error::NotFound { what } if what.starts_with("parked message") => {
            Some("`lockstep parked list` shows their ids")
        }
        Error::NotFound { what } if what.starts_with("token ") => {
            Some("`lockstep token list` shows their ids")
        }
        Error::NotFound { what } if what.starts_with("author ") => {
            Some("`lockstep author list` shows them")
        }
        Error::NotFound { what } if what.starts_with("a crawl of ") => {
            Some("`lockstep crawl --list` shows them")
        }
        Error::NotFound { .. } => {
            Some("give the link or the id as `lockstep search --json` shows it")
        }
        Error::Model { .. } => Some("`make model` fetches the model into the data folder anew"),
        // An argument says itself what is wrong with it; the settings have names like `queue.url`.
        Error::Config { setting, .. } if is_setting(setting) => {
            Some("docs/configuration.md lists every setting")
        }
        Error::Stopped { .. } => Some("its log says why"),
        Error::Fenced { .. } => {
            Some("nothing is lost: the other one goes on from the saved position")
        }
        Error::Gone { .. } => {
            Some("if it is stored here, `lockstep delete <link>` deletes it at once")
        }
        Error::Malformed { .. }
        | Error::TooLarge { .. }
        | Error::Unavailable { .. }
        | Error::HistoryLost { .. }
        | Error::Refused { .. }
        | Error::Data { .. }
        | Error::Fetch { .. }
        | Error::Later { .. }
        | Error::Config { .. }
        | Error::Remote { .. } => None,
    }
}

fn is_setting(name: &str) -> bool {
    let is_word = |part: &str| {
        let mut letters = part.chars();
        !part.is_empty() && letters.all(|one| one.is_ascii_lowercase() || one == '_')
    };
    name.contains('.') && name.split('.').all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_a_crawl_that_is_not_on_record_is_told_where_they_are_listed() {
        let error = Error::NotFound {
            what: "a crawl of /srv/book".to_owned(),
        };
        assert_eq!(hint(&error), Some("`lockstep crawl --list` shows them"));
    }
}
