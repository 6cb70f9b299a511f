//! Where the running process answers commands, and who is told of it.

use std::sync::Arc;

use tokio::net::TcpListener;
use uuid::Uuid;

use crate::command::{Commands, Rooms};
use crate::config::Config;
use crate::folder::{Endpoint, Folder};
use crate::serve::serve;
use crate::shutdown::Roles;
use crate::{Error, Result};

/// An open listener with the token that lets in.
pub(super) struct Door {
    listener: TcpListener,
    endpoint: Endpoint,
}

impl Door {
    pub(super) async fn open(config: &Config) -> Result<Self> {
        let address = config.serve.listen;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| Error::Config {
            setting: "serve.listen".into(),
            why: format!("cannot listen on {address}: {error}; choose another port, or 0 for any"),
        })?;
        let address = listener
            .local_addr()
            .map_err(Error::unavailable("the listener", "listen"))?;
        let endpoint = Endpoint {
            address: format!("http://{address}"),
            token: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
        };
        Ok(Self { listener, endpoint })
    }

    /// As `http://127.0.0.1:7411`.
    pub(super) fn address(&self) -> String {
        self.endpoint.address.clone()
    }

    /// Starts the role that answers, and announces it in the folder.
    pub(super) fn serve<R: Rooms>(
        self,
        roles: &mut Roles,
        commands: Arc<Commands<R>>,
        folder: &Folder,
    ) -> Result<()> {
        let Self { listener, endpoint } = self;
        let (stop, token) = (roles.shutdown(), endpoint.token.clone());
        roles.start("serve", async move {
            serve(listener, commands, &token, stop).await
        });
        folder.announce(&endpoint)
    }
}
