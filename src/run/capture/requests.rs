//! What other processes ask of capture, by way of the database: a type or a document once more, and a pause.
//!
//! ```text
//! asked ──> look ──> capture ──answer──> lease
//!             └─ paused meanwhile: it still stands, and is taken again when capture goes on
//! ```

use std::future::pending;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::capture::Request;
use crate::source::mongo::{Asked, Lease, MongoSource};
use crate::{Error, Recovery, Result};

/// Between two looks for requests and for a pause.
const LOOK: Duration = Duration::from_secs(1);

/// Hands requests on, and says when capture is to pause. Ends only with an error that trying again cannot mend.
pub(super) async fn pass_on(
    source: &MongoSource,
    lease: &Lease,
    send: mpsc::Sender<Request>,
    pause: &watch::Sender<bool>,
) -> Error {
    loop {
        match look(source, lease, &send).await {
            Ok(false) => {}
            Ok(true) => {
                pause.send_replace(true);
                return pending().await;
            }
            Err(error) if matches!(error.recovery(), Recovery::Retry(_)) => {
                tracing::warn!(error = %error.chain(), "requests are not read yet");
            }
            Err(error) => return error,
        }
        sleep(LOOK).await;
    }
}

/// Does what others ask for; true when they ask for a pause, which waits for no request: capture may be paused for
/// the very trouble that keeps it from being done.
async fn look(source: &MongoSource, lease: &Lease, send: &mpsc::Sender<Request>) -> Result<bool> {
    for asked in lease.take_requests().await? {
        let done = tokio::select! {
            done = sent(&asked, send) => done,
            () = paused(source, true) => return Ok(true),
        };
        match done {
            Ok(Ok(count)) => lease.answer(&asked, count).await?,
            Ok(Err(error)) => {
                tracing::warn!(error = %error.chain(), "a request cannot be done");
                lease.refuse(&asked, &error.chain()).await?;
            }
            // It still stands, and is taken again when capture has opened anew.
            Err(error) => tracing::debug!(error = %error.chain(), "a request has to wait"),
        }
    }
    source.is_paused().await
}

/// Has capture do what was asked for; what it says of it, or that it ended first.
async fn sent(asked: &Asked, send: &mpsc::Sender<Request>) -> Result<Result<u64>> {
    let stopped = || Error::Stopped { part: "capture" };
    let (done, answer) = oneshot::channel();
    let request = Request {
        what: asked.what.clone(),
        done,
    };
    send.send(request).await.map_err(|_| stopped())?;
    answer.await.map_err(|_| stopped())
}

/// Ends once capture is to be paused, or once it is not.
pub(super) async fn paused(source: &MongoSource, is_paused: bool) {
    loop {
        match source.is_paused().await {
            Ok(now) if now == is_paused => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = %error.chain(), "whether it is paused is not known yet");
            }
        }
        sleep(LOOK).await;
    }
}
