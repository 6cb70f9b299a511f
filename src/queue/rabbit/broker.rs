//! Connecting to the broker, and saying what it answered.
//!
//! ```text
//! url ──> Broker ──connect──> Connection         refused: host, cause, fix; never the password
//! ```

use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind};

use crate::{Error, Result};

/// A broker that does not answer within this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Both sides give a silent connection up after two of these.
const HEARTBEAT_SECONDS: u16 = 20;
/// Bytes of a frame, for memory: the client keeps 32 of them for each direction of a connection, which is
/// 8 MiB with the broker's own 128 KiB. What it does to speed was not measured.
const FRAME_BYTES: u32 = 32 << 10;

/// Where the broker is, and who we are there.
#[derive(Clone)]
pub(super) struct Broker {
    uri: AMQPUri,
    /// For people: with host and virtual host, without user and password.
    service: String,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.service)
    }
}

impl Broker {
    /// Reads `amqp[s]://user:password@host:port/vhost`; without a virtual host it is `/`.
    ///
    /// # Errors
    /// [`Error::Config`], without the URL, since it holds the password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let mut uri: AMQPUri = url.parse().map_err(|_| Error::Config {
            setting: "queue.url".to_owned(),
            why: "it is not of the form amqp[s]://user:password@host:port/vhost".to_owned(),
        })?;
        if uri.vhost.is_empty() {
            // `amqp://host/` means the empty name by the letter, and nobody means that.
            "/".clone_into(&mut uri.vhost);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(FRAME_BYTES);
        let secure = match uri.scheme {
            AMQPScheme::AMQP => "",
            AMQPScheme::AMQPS => " over TLS",
        };
        let (host, port) = (&uri.authority.host, uri.authority.port);
        let service = format!("RabbitMQ at {host}:{port}{secure}, vhost {}", uri.vhost);
        Ok(Self { uri, service })
    }

    /// For people.
    pub(super) fn service(&self) -> String {
        self.service.clone()
    }

    /// A new connection; `purpose` is its name in the broker's own lists.
    ///
    /// Dropped, it closes itself. Its `close` is not to be waited for without a bound: now and then that has no end
    /// (seen in lapin 4.12.3, with the socket closed already).
    pub(super) async fn connect(&self, purpose: &'static str) -> Result<Connection> {
        let name = format!("lockstep {purpose}");
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connect = Connection::connect_uri(self.uri.clone(), properties);
        match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.not_let_in(error)),
            Err(elapsed) => Err(Error::unavailable(self.service(), "connect")(elapsed)),
        }
    }

    fn not_let_in(&self, error: lapin::Error) -> Error {
        let user = &self.uri.authority.userinfo.username;
        let fix = match protocol_error(&error) {
            Some(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => {
                format!("check the user ({user}) and the password in queue.url")
            }
            Some(AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH)) => {
                let vhost = &self.uri.vhost;
                format!("create the virtual host {vhost} and give the user {user} rights in it")
            }
            _ => return self.fault("connect", error),
        };
        self.refused(error.to_string(), fix)
    }

    /// An error after the connection was there: it may pass, unless the broker says that it will not.
    pub(super) fn fault(&self, action: &'static str, error: lapin::Error) -> Error {
        let refused =
            protocol_error(&error) == Some(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED));
        // The same code says that somebody else consumes the queue alone, which passes.
        if refused && !error.to_string().contains("in exclusive use") {
            let user = &self.uri.authority.userinfo.username;
            let fix = format!("give the user {user} configure, write and read on our queues");
            return self.refused(error.to_string(), fix);
        }
        Error::unavailable(self.service(), action)(error)
    }

    pub(super) fn refused(&self, why: String, fix: impl Into<String>) -> Error {
        Error::Refused {
            service: self.service(),
            why,
            fix: fix.into(),
        }
    }
}

/// What the broker itself said, if it was the broker.
pub(super) fn protocol_error(error: &lapin::Error) -> Option<AMQPErrorKind> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.kind().clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_named_without_its_password() {
        let broker = Broker::parse("amqps://ada:s3cret@queue.example.org:5671/team").unwrap();
        let shown = format!("{broker:?}");
        assert_eq!(
            shown,
            "RabbitMQ at queue.example.org:5671 over TLS, vhost team"
        );
        assert!(
            Broker::parse("amqp://ada:s3cret@h:5672/")
                .unwrap()
                .service()
                .ends_with("vhost /")
        );
        let error = Broker::parse("http://ada:s3cret@h/").unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
