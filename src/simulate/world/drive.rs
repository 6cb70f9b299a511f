//! The role that goes on with a re-index.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::role::Task;
use super::{Requests, World};
use crate::capture::{Request, Resync};
use crate::feature::types::Types;
use crate::reindex::{self, Ask};
use crate::{Error, Result};

/// Does whatever the register asks for.
pub(super) fn start(world: &World) -> Task {
    let (source, queue, editions) = (
        world.source.clone(),
        world.queue.clone(),
        world.editions.clone(),
    );
    let requests = Arc::clone(&world.requests);
    Box::pin(async move {
        let ask = |what| -> Pin<Box<dyn Future<Output = Result<u64>> + Send + '_>> {
            Box::pin(asked(&requests, what))
        };
        let ask: Ask<'_> = &ask;
        let ports = reindex::Ports {
            source: &source,
            queue: &queue,
            editions: &editions,
            ask,
            types: Types::seed(),
        };
        let settings = reindex::Settings {
            look_every: Duration::ZERO,
            rounds_max: 3,
        };
        loop {
            // After an error a person looks, and lets it go on.
            reindex::drive(&ports, settings).await.ok();
            tokio::task::yield_now().await;
        }
    })
}

async fn asked(requests: &Requests, what: Resync) -> Result<u64> {
    let gone = || Error::Stopped { part: "capture" };
    let sender = requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let (done, sent) = oneshot::channel();
    let request = Request { what, done };
    let sender = sender.ok_or_else(gone)?;
    sender.send(request).await.map_err(|_| gone())?;
    sent.await.map_err(|_| gone())?
}
