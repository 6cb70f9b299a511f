//! The links that are crawled again and again: a role of `up`, or a process of its own on services.

use std::future::Future;
use std::sync::Arc;

use super::capture::source_settings;
use super::patience::{patiently, random};
use super::{services, up};
use crate::clock::Clock;
use crate::config::Config;
use crate::crawl::{Settings, schedule};
use crate::logbook::Logbook;
use crate::shutdown::{Roles, requested};
use crate::source::Source;
use crate::source::mongo::MongoSource;
use crate::{Error, Result};

/// Keeps the schedule until `shutdown` is ready: on services alone, otherwise as `up` does, so that the
/// index follows and commands are answered.
///
/// # Errors
/// That nothing is watched, why it could not start, or which role failed.
pub async fn schedule(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
    ready: impl FnOnce(&str) + Send,
) -> Result<()> {
    if config.crawl.watch.is_empty() {
        return Err(Error::Config {
            setting: "crawl.watch".into(),
            why: "nothing is to be crawled again; write a table [[crawl.watch]] with link, author and \
                  every = \"1d\" into lockstep.toml"
                .into(),
        });
    }
    if !services::are_set(&config)? {
        return Box::pin(up(config, shutdown, ready)).await;
    }
    let open = || MongoSource::open(source_settings(&config), Clock::system());
    let mut shutdown = std::pin::pin!(shutdown);
    let source = tokio::select! {
        biased;
        () = shutdown.as_mut() => return Ok(()),
        source = patiently(&config, open) => Arc::new(source?),
    };
    let temporary = services::Temporary::new(&config);
    let settings = config.crawling(temporary.path());
    let mut roles = Roles::new();
    roles.keep(temporary);
    start(&mut roles, &config, source, settings);
    ready("MongoDB");
    super::until(roles, config.serve.grace(), async {
        shutdown.await;
        Ok(())
    })
    .await
}

/// Starts the role, where anything is watched.
pub(super) fn start<S: Source + Logbook>(
    roles: &mut Roles,
    config: &Config,
    source: Arc<S>,
    settings: Settings,
) {
    let plan = config.crawl.plan(random());
    if plan.watches.is_empty() {
        return;
    }
    let stop = requested(roles.shutdown());
    roles.start("schedule", async move {
        schedule::run(source.as_ref(), &settings, &plan, stop).await
    });
}
