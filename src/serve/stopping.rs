//! Searches that wait for a version while the process is asked to stop.

use crate::Result;
use crate::command::{Handler, Reporter, Request, Response};
use crate::search::Query;
use crate::shutdown::{Shutdown, requested};

/// Asks it. A stop is the end of the wait, and then what is there is answered.
///
/// Cancel safe: nothing is changed.
pub(super) async fn search<H: Handler>(
    handler: &H,
    query: Query,
    report: &Reporter,
    shutdown: Shutdown,
) -> Result<Response> {
    let asked = |query| handler.handle(Request::Search(query), report.clone());
    let waits = query.at_least.is_some();
    let at_once = Query {
        wait_ms: Some(0),
        ..query.clone()
    };
    tokio::select! {
        biased;
        answer = asked(query) => answer,
        () = requested(shutdown), if waits => asked(at_once).await,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;
    use tokio::sync::watch;

    use super::*;
    use crate::Error;
    use crate::change::Version;

    /// Answers who waits for nothing, and lets all others wait for ever.
    struct Never;

    impl Handler for Never {
        async fn handle(&self, request: Request, _: Reporter) -> Result<Response> {
            let Request::Search(query) = request else {
                panic!("it was asked for {request:?}")
            };
            if query.at_least.is_some() && query.wait_ms != Some(0) {
                std::future::pending::<()>().await;
            }
            Err(Error::NotFound { what: query.text })
        }
    }

    fn asked(at_least: Option<Version>) -> Query {
        Query {
            text: "looms".to_owned(),
            at_least,
            ..Query::default()
        }
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait_whenever_it_comes_and_what_is_there_is_answered() {
        let (stop, shutdown) = watch::channel(false);
        let (report, _progress) = Reporter::new();
        let search = |at_least| search(&Never, asked(at_least), &report, shutdown.clone());
        let mut waiting = pin!(search(Some(Version::NONE)));
        assert!(waiting.as_mut().now_or_never().is_none());
        stop.send_replace(true);
        // One that waits already, one that comes later, and one that would not have waited.
        for answer in [
            waiting.await,
            search(Some(Version::NONE)).await,
            search(None).await,
        ] {
            assert!(matches!(answer, Err(Error::NotFound { .. })), "{answer:?}");
        }
    }
}
