//! What an error of the driver means for us. The judgement is pure; here alone codes are known.
//!
//! ```text
//! code, labels ──> Meaning ──> HistoryLost, Refused (with the fix), or Unavailable
//! ```
//!
//! Errors after which a change stream can be resumed are resumed once by the driver itself; what
//! reaches us is what it could not mend. What may pass is what the drivers' specifications call
//! retryable or resumable, by code or label; a server that says anything else to a command will say it
//! again, however often it is asked.

use mongodb::error::{Error as DriverError, ErrorKind, WriteFailure};

use crate::Error;

/// What an error code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The changes after our place are gone, or the place names nothing any more.
    HistoryLost,
    /// The user or its password is wrong.
    WrongCredentials,
    /// The user may not do this.
    NotPermitted,
    /// No replica set, so no change log.
    Standalone,
    /// One event is larger than the server can send.
    EventTooLarge,
    /// An update without the image of the document that the settings require.
    NoImage,
    /// The database is not there.
    NoDatabase,
    /// It may pass.
    Passing,
    /// The server will not do it, however often it is asked.
    Lasting,
}

/// Two first writers of one `_id` at a time: one of them is told so.
pub(super) const DUPLICATE_KEY: i32 = 11000;

/// A document that the collection's validator refuses.
const DOCUMENT_REFUSED: i32 = 121;

/// The label by which servers say that no stream can go on from here.
const NOT_RESUMABLE: &str = "NonResumableChangeStreamError";

/// The labels by which servers say that the same may work later.
const PASSING: [&str; 5] = [
    "ResumableChangeStreamError",
    "RetryableError",
    "RetryableWriteError",
    "SystemOverloadedError",
    "TransientTransactionError",
];

fn meaning(code: i32, labels: impl Fn(&str) -> bool) -> Meaning {
    match code {
        // 280: no resume possible; 286: past the oplog; 260: the token cannot be read; 464 and 50811:
        // it does not fit this server or stream; the rest is how 3.6 to 4.2 say the same.
        280 | 286 | 260 | 464 | 50811 | 40576 | 40585 | 40615 | 40647 | 40649 => {
            Meaning::HistoryLost
        }
        18 | 8000 => Meaning::WrongCredentials,
        13 => Meaning::NotPermitted,
        40573 => Meaning::Standalone,
        10334 => Meaning::EventTooLarge,
        47 => Meaning::NoImage,
        26 => Meaning::NoDatabase,
        _ if labels(NOT_RESUMABLE) => Meaning::HistoryLost,
        _ if PASSING.into_iter().any(labels) => Meaning::Passing,
        _ if may_pass(code) => Meaning::Passing,
        _ => Meaning::Lasting,
    }
}

/// Whether another try may find the server otherwise.
fn may_pass(code: i32) -> bool {
    match code {
        // Retryable reads and writes: the network, a member that is shutting down, elections, time
        // limits, and what a majority has not yet.
        6 | 7 | 89 | 91 | 134 | 189 | 262 | 9001 | 10058 | 10107 | 11600 | 11602 | 13435 | 13436
        // Resumable change streams: cursors, shards that have moved, no member to read from.
        | 43 | 63 | 133 | 136 | 150 | 234 | 237 | 13388
        // Given up by the server for now: locks, interruptions, limits of time and memory, conflicts of
        // writers, snapshots that are gone, write concerns that too few members can meet.
        | 24 | 46 | 50 | 64 | 79 | 90 | 100 | 112 | 117 | 146 | 175 | 202 | 216 | 239 | 246 | 251 | 292
        | 314 | 365 | 384 | 391 | 11601
        // A set that has just begun, and a member that has just come back: no majority, no key to sign with.
        | 94 | 211
        // Two first writers of one document.
        | DUPLICATE_KEY
        // "Internal" and "unknown": the server does not know either.
        | 1 | 8 => true,
        _ => false,
    }
}

/// What the driver's error is for us: `map_err(fault(&server, "read documents"))`.
pub(super) fn fault(service: &str, action: &'static str) -> impl FnOnce(DriverError) -> Error {
    move |error| {
        let meaning = match code(&error) {
            Some(code) => meaning(code, |label| error.contains_label(label)),
            None => without_code(&error.kind),
        };
        match meaning {
            Meaning::Passing => passing(service, action, error),
            Meaning::HistoryLost => Error::HistoryLost {
                why: error.kind.to_string(),
            },
            other => lasting(service, other, &error.kind.to_string()),
        }
    }
}

/// What one document's error is for us, which a server says within a reply that is otherwise good.
pub(super) fn unwritten(service: &str, action: &'static str, code: i32, said: &str) -> Error {
    match meaning(code, |_| false) {
        Meaning::Lasting if code == DOCUMENT_REFUSED => refused(
            service,
            &format!("a document does not pass the rules of its collection ({said})"),
            "change the collection's validator, or leave that document out",
        ),
        Meaning::Passing | Meaning::HistoryLost => {
            Error::unavailable(service.to_owned(), action)(said.to_owned())
        }
        other => lasting(service, other, said),
    }
}

fn lasting(service: &str, meaning: Meaning, said: &str) -> Error {
    let (why, fix) = reason(meaning);
    refused(service, &format!("{why} ({said})"), fix)
}

/// A service that will not serve us as it is.
pub(super) fn refused(service: &str, why: &str, fix: &str) -> Error {
    Error::Refused {
        service: service.to_owned(),
        why: why.to_owned(),
        fix: fix.to_owned(),
    }
}

/// The words for a server that is no member of a replica set, and the fix.
pub(super) fn standalone() -> (&'static str, &'static str) {
    reason(Meaning::Standalone)
}

fn reason(meaning: Meaning) -> (&'static str, &'static str) {
    match meaning {
        Meaning::WrongCredentials => (
            "it does not accept the user or the password",
            "check both in source.url, and its authSource",
        ),
        Meaning::NotPermitted => (
            "the user may not do what capture does",
            "grant it `readWrite` on the watched database and on the state database \
             (`changeStream` and `find` on the watched one are enough to capture)",
        ),
        Meaning::Standalone => (
            "change streams need a replica set, and it is a standalone server",
            "start mongod with --replSet rs0 and run rs.initiate() once; one member is enough",
        ),
        Meaning::EventTooLarge => (
            "one change is larger than 16 MB, which it cannot send",
            "use MongoDB 6.0.9 or later of 6.0, or 7.0, which split such changes, or make the document \
             smaller and reset the position",
        ),
        Meaning::NoImage => (
            "a changed document has no post-image, and source.images requires one",
            "enable changeStreamPreAndPostImages on the collection, or set source.images to \
             when_available",
        ),
        Meaning::NoDatabase => (
            "the watched database is not there",
            "create it, or correct source.database",
        ),
        Meaning::Lasting => (
            "it will not do what it was asked",
            "trying again cannot help: check that the server is MongoDB 4.4 or later, and what \
             source.url asks of it; report it with this text otherwise",
        ),
        Meaning::HistoryLost | Meaning::Passing => ("it failed", "try again"),
    }
}

/// The driver's own text about an error would repeat the server's whole reply: its kind is enough.
fn passing(service: &str, action: &'static str, error: DriverError) -> Error {
    Error::unavailable(service.to_owned(), action)(*error.kind)
}

/// The first code in the chain of causes; the driver's own of them are boxed.
pub(super) fn code(error: &DriverError) -> Option<i32> {
    let own = match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        _ => None,
    };
    own.or_else(|| {
        let cause = std::error::Error::source(error)?;
        let boxed = cause.downcast_ref::<Box<DriverError>>();
        let bare = cause.downcast_ref::<DriverError>();
        bare.or(boxed.map(AsRef::as_ref)).and_then(code)
    })
}

fn without_code(kind: &ErrorKind) -> Meaning {
    match kind {
        ErrorKind::Authentication { .. } => Meaning::WrongCredentials,
        _ => Meaning::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(code: i32, labels: &[&str]) -> Meaning {
        meaning(code, |label| labels.contains(&label))
    }

    #[test]
    fn a_position_that_cannot_be_resumed_is_lost_history() {
        for code in [286, 280, 260, 464, 50811, 40576, 40585, 40615] {
            assert_eq!(judged(code, &[]), Meaning::HistoryLost, "{code}");
        }
        assert_eq!(judged(999_999, &[NOT_RESUMABLE]), Meaning::HistoryLost);
    }

    #[test]
    fn what_the_specification_calls_resumable_may_pass() {
        let codes = [
            43,
            6,
            7,
            89,
            91,
            189,
            262,
            9001,
            10107,
            11600,
            11602,
            13435,
            13436,
            63,
            150,
            13388,
            234,
            133,
            136,
            237,
            11601,
            50,
            175,
            134,
            112,
            246,
            94,
            211,
            DUPLICATE_KEY,
        ];
        for code in codes {
            assert_eq!(
                judged(code, &["ResumableChangeStreamError"]),
                Meaning::Passing,
                "{code}"
            );
            assert_eq!(judged(code, &[]), Meaning::Passing, "{code}");
        }
    }

    #[test]
    fn what_a_server_will_say_again_is_refused_unless_it_says_that_it_may_pass() {
        // BadValue, FailedToParse, TypeMismatch, CommandNotFound, InvalidOptions, InvalidNamespace,
        // DocumentValidationFailure, an unknown stage, an assertion of the server.
        for code in [2, 9, 14, 59, 72, 73, 121, 40324, 51_024] {
            assert_eq!(judged(code, &[]), Meaning::Lasting, "{code}");
            for label in PASSING {
                assert_eq!(judged(code, &[label]), Meaning::Passing, "{code} {label}");
            }
        }
        assert!(reason(Meaning::Lasting).1.contains("source.url"));
    }

    #[test]
    fn a_document_that_was_not_written_is_judged_by_the_same_table() {
        let told = |code| unwritten("MongoDB", "save documents", code, "said").to_string();
        assert!(told(DOCUMENT_REFUSED).contains("validator"));
        assert!(told(13).contains("grant"));
        let error = unwritten("MongoDB", "save documents", 64, "said");
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    }

    #[test]
    fn what_only_a_person_can_mend_is_refused_with_the_fix() {
        let table = [
            (13, "grant"),
            (18, "source.url"),
            (8000, "source.url"),
            (40573, "--replSet"),
            (10334, "6.0.9"),
            (47, "changeStreamPreAndPostImages"),
            (26, "source.database"),
        ];
        for (code, fix) in table {
            let (_, said) = reason(judged(code, &[NOT_RESUMABLE]));
            assert!(said.contains(fix), "{code}: {said}");
        }
    }
}
