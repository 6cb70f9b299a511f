//! Where the process answers, who is let in, and who is told of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use uuid::Uuid;

use crate::clock::Clock;
use crate::command::{Commands, Rooms};
use crate::config::{Config, Serve};
use crate::folder::{Endpoint, Folder};
use crate::serve::{Keys, Readiness, Settings, serve};
use crate::shutdown::Roles;
use crate::token::Tokens;
use crate::{Error, Result};

/// An open listener with the token that lets in.
pub(super) struct Door {
    listener: TcpListener,
    endpoint: Endpoint,
    tokens: Tokens,
    settings: Settings,
}

impl Door {
    /// Opens it.
    ///
    /// # Errors
    /// [`Error::Config`] where the address is taken, or is none of loopback and there is no token: then
    /// nobody from elsewhere could ask, and nobody is meant to find out.
    pub(super) async fn open(config: &Config) -> Result<Self> {
        let address = config.serve.listen;
        let tokens = Tokens::of(config.serve.tokens_in(&config.data));
        let refuse = |why: String| Error::Config {
            setting: "serve.listen".into(),
            why,
        };
        if !address.ip().is_loopback() && tokens.is_empty()? {
            return Err(refuse(format!(
                "{} is no loopback address, and there is no token that others could show; make one \
                 with `lockstep token create`, or listen on 127.0.0.1",
                address.ip()
            )));
        }
        let listener = TcpListener::bind(address).await.map_err(|error| {
            refuse(format!(
                "cannot listen on {address}: {error}; choose another port, or 0 for any"
            ))
        })?;
        let mut address = listener
            .local_addr()
            .map_err(Error::unavailable("the listener", "listen"))?;
        // Every address is also this machine's own.
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let endpoint = Endpoint {
            address: format!("http://{address}"),
            token: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
        };
        Ok(Self {
            listener,
            endpoint,
            tokens,
            settings: settings(&config.serve),
        })
    }

    /// As `http://127.0.0.1:7411`.
    pub(super) fn address(&self) -> String {
        self.endpoint.address.clone()
    }

    /// Starts the role that answers, and says whether it could. Where there is a folder it is announced there, and commands on the
    /// folder are answered too.
    pub(super) fn serve<R: Rooms>(
        self,
        roles: &mut Roles,
        answering: (Arc<Commands<R>>, Arc<Readiness>),
        folder: Option<&Folder>,
    ) -> Result<()> {
        let keys = Keys {
            own: folder.map(|_| self.endpoint.token.clone()),
            tokens: self.tokens,
        };
        let (listener, settings, stop) = (self.listener, self.settings, roles.shutdown());
        roles.start("serve", async move {
            serve(listener, answering, keys, settings, stop).await
        });
        match folder {
            Some(folder) => folder.announce(&self.endpoint),
            None => Ok(()),
        }
    }
}

fn settings(serve: &Serve) -> Settings {
    Settings {
        body_bytes_max: serve.body_bytes_max,
        requests_max: serve.requests_max,
        timeout: Duration::from_secs(serve.timeout_seconds),
        crawls_at_once: serve.crawls_at_once,
        crawls_waiting_max: serve.crawls_waiting_max,
        crawls_kept: serve.crawls_kept,
        seed_clients: serve.seed_clients,
        clock: Clock::system(),
    }
}
