//! Lost history is said, to a watch that is opened and to one that is open.

use lockstep::Error;
use lockstep::source::{Source as _, Watch as _};

use super::{Reader, open};
use crate::support::wire::{
    Failure, HISTORY_LOST, NOT_RESUMABLE, Setup, events, fail, fail_open, insert,
};

/// How servers of all ages say it.
const LOST: [Failure; 6] = [
    HISTORY_LOST,
    Failure::new(280, "ChangeStreamFatalError"),
    Failure::new(260, "InvalidResumeToken"),
    Failure::new(464, "Location464"),
    Failure::new(50811, "Location50811"),
    Failure::new(99_999, "Unheard").labelled(NOT_RESUMABLE),
];

#[tokio::test]
async fn lost_history_is_said_when_a_watch_is_opened() {
    let (server, source) = open(Setup::default()).await;
    let position = source.watch(None).await.unwrap().here().0;
    for lost in LOST {
        server.play([fail_open(lost)]);
        let error = source.watch(Some(position.clone())).await.err().unwrap();
        assert!(
            matches!(error, Error::HistoryLost { .. }),
            "{lost:?}: {error}"
        );
    }
}

#[tokio::test]
async fn lost_history_is_said_to_an_open_watch() {
    let (server, source) = open(Setup::default()).await;
    for lost in LOST {
        let mut reader = Reader::new(source.clone()).await;
        server.play([events([insert(1)]), fail(lost)]);
        assert_eq!(reader.said(1).await, ["insert 1 first"]);
        let error = reader.event().await.unwrap_err();
        assert!(
            matches!(error, Error::HistoryLost { .. }),
            "{lost:?}: {error}"
        );
    }
}

#[tokio::test]
async fn after_lost_history_the_source_can_be_watched_from_its_end() {
    let (server, source) = open(Setup::default()).await;
    let mut reader = Reader::new(source.clone()).await;
    server.play([fail(HISTORY_LOST)]);
    reader.event().await.unwrap_err();
    let mut reader = Reader::new(source).await;
    server.commit([insert(2)]);
    assert_eq!(reader.said(1).await, ["insert 2 first"]);
}
