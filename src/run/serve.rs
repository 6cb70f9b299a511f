//! `lockstep serve`: the HTTP API on services, as a process of its own; as many as one likes.
//!
//! It captures nothing and works on nothing: it reads queue and index, and writes what is crawled to the source.

use tokio::sync::watch;

use super::services::{self, Parts};
use super::{Door, tell, until};
use crate::config::Config;
use crate::shutdown::{Roles, requested};
use crate::{Error, Result};

/// Answers until `shutdown` is ready; says its address when it does.
///
/// # Errors
/// [`Error::Config`] where the settings name no services, or the index lies in the data folder; what a service
/// refuses and trying again cannot mend; that one did not answer within `capture.startup_timeout_seconds`.
pub async fn serve(
    config: Config,
    shutdown: watch::Receiver<bool>,
    ready: impl FnOnce(&str) + Send,
) -> Result<()> {
    require(&config)?;
    let mut roles = Roles::new();
    let opened = tokio::select! {
        biased;
        () = requested(shutdown.clone()) => return Ok(()),
        opened = open(&config, &mut roles) => opened,
    };
    let address = opened?;
    tracing::info!(address, "answering");
    ready(&address);
    until(roles, config.serve.grace(), async {
        requested(shutdown).await;
        Ok(())
    })
    .await
}

fn require(config: &Config) -> Result<()> {
    let missing = |setting: &str, why: &str| {
        Err(Error::Config {
            setting: setting.into(),
            why: why.into(),
        })
    };
    if !services::are_set(config)? {
        let why = "`lockstep serve` answers from services, and none is set; in the data folder \
                   `lockstep up` answers the same requests";
        return missing("source.url", why);
    }
    if config.vector.url.is_empty() {
        let why = "it is empty, so that the index lies in the data folder, and the process that has it, \
                   `lockstep feature` or `lockstep up`, answers the same requests";
        return missing("vector.url", why);
    }
    Ok(())
}

async fn open(config: &Config, roles: &mut Roles) -> Result<String> {
    let door = Door::open(config).await?;
    let address = door.address();
    let parts = Parts::open(config, None).await?;
    let commands = parts.commands(config, roles, Some(address.clone())).await?;
    let readiness = tell(roles, config, &commands).await?;
    door.serve(roles, (commands, readiness), None)?;
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_services_it_says_who_answers() {
        let mut config = Config::default();
        let told = |config: &Config| require(config).unwrap_err().to_string();
        assert!(told(&config).contains("lockstep up"));
        config.source.url = "mongodb://localhost".to_owned().into();
        config.queue.url = "amqp://localhost".to_owned().into();
        assert!(told(&config).contains("lockstep feature"));
        config.vector.url = "http://localhost:6334".to_owned();
        assert!(require(&config).is_ok());
    }
}
