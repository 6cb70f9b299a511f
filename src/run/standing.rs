//! What `lockstep status` says of the services: each is asked once, and what one cannot say is said.

use super::capture::{queue_settings, source_settings};
use super::services::are_set;
use crate::Result;
use crate::clock::Clock;
use crate::command::{Queues, Services};
use crate::config::Config;
use crate::queue::Queue as _;
use crate::queue::rabbit::RabbitQueue;
use crate::source::mongo::{MongoSource, Standing};

/// How the services stand; none where none is set.
///
/// # Errors
/// [`crate::Error::Config`] where only one of the two is set.
pub async fn standing(config: &Config) -> Result<Option<Services>> {
    if !are_set(config)? {
        return Ok(None);
    }
    let mut services = Services::default();
    let (capture, queue) = tokio::join!(capture(config), queues(config));
    match capture {
        Ok(standing) => {
            let now = Clock::system().now_ms() / 1_000;
            let saved = standing.time.map(|time| u64::from(time.seconds));
            services.capture_lag_seconds = saved.map(|saved| now.saturating_sub(saved));
            services.capture = Some(standing.into());
        }
        Err(error) => services.faults.push(error.chain()),
    }
    match queue {
        Ok(queues) => services.queue = Some(queues),
        Err(error) => services.faults.push(error.chain()),
    }
    Ok(Some(services))
}

async fn capture(config: &Config) -> Result<Standing> {
    let source = MongoSource::open(source_settings(config), Clock::system()).await?;
    source.standing().await
}

async fn queues(config: &Config) -> Result<Queues> {
    let queue = RabbitQueue::open(queue_settings(config), Clock::system()).await?;
    let depth = queue.depth().await?;
    Ok(Queues {
        partitions: queue.partitions(),
        live: depth.live,
        backfill: depth.backfill,
        parked: depth.parked,
    })
}
