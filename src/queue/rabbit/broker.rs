//! Connecting to the broker, and saying what it answered.
//!
//! ```text
//! url ──> Broker ──connect──> Connection         refused: host, cause, fix; never the password
//! ```

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use crate::certificate::{BY_VARIABLE, distrusted};
use crate::{Error, Result};

/// A broker that does not answer within this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Both sides give a silent connection up after two of these.
const HEARTBEAT_SECONDS: u16 = 20;
/// Bytes of a frame, for memory: the client keeps 32 of them for each direction of a connection, which is
/// 8 MiB with the broker's own 128 KiB. What it does to speed was not measured.
const FRAME_BYTES: u32 = 32 << 10;
/// Between two looks whether the broker blocks us, while it is waited for.
const LOOK: Duration = Duration::from_secs(1);

/// Where the broker is, and who we are there.
#[derive(Clone)]
pub(super) struct Broker {
    uri: AMQPUri,
    /// For people: with host and virtual host, without user and password.
    service: String,
    /// The longest wait for an answer that takes the broker no time.
    pub(super) answer_within: Duration,
    /// The same for one that stands behind deliveries.
    pub(super) deliver_within: Duration,
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
    pub(super) fn parse(
        url: &str,
        (answer_within, deliver_within): (Duration, Duration),
    ) -> Result<Self> {
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
        Ok(Self {
            uri,
            service,
            answer_within,
            deliver_within,
        })
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

    /// What the broker answers on this connection to what takes it no time; `action` says what was asked. Without a
    /// bound that may have no end where the connection breaks, as with `close` above. While the broker blocks the
    /// connection it reads nothing of it, and is waited for; the bound begins anew when that ends.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where no answer came; the connection is to be given up then.
    pub(super) async fn answer<T>(
        &self,
        connection: &Connection,
        action: &'static str,
        asked: impl Future<Output = T>,
    ) -> Result<T> {
        let status = connection.status();
        let is_blocked = || status.connected() && status.blocked();
        let answered = unblocked(self.answer_within, is_blocked, pin!(asked)).await;
        answered.map_err(Error::unavailable(self.service(), action))
    }

    /// Acknowledges, and says where that was in vain.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: what was not acknowledged comes again.
    pub(super) async fn settle(
        &self,
        connection: &Connection,
        acks: impl Future<Output = lapin::Result<bool>>,
    ) -> Result<()> {
        let acked = self.answer(connection, "settle", acks).await?;
        self.settled(acked)
    }

    fn settled(&self, acked: lapin::Result<bool>) -> Result<()> {
        if acked.map_err(|error| self.fault("settle", error))? {
            return Ok(());
        }
        let why = "the connection it came on is closed: it comes again";
        Err(Error::unavailable(self.service(), "settle")(why))
    }

    fn not_let_in(&self, error: lapin::Error) -> Error {
        if let Some((why, fix)) = distrusted(&error.to_string(), "queue.url", BY_VARIABLE) {
            return self.refused(format!("{why} ({error})"), fix);
        }
        let user = &self.uri.authority.userinfo.username;
        let fix = match protocol_error(&error) {
            Some(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => {
                format!("check the user ({user}) and the password in queue.url")
            }
            Some(AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED))
                if is_at_limit(&error.to_string()) =>
            {
                let why = format!("it takes no more connections now ({error})");
                return Error::unavailable(self.service(), "let us in")(why);
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

/// What comes within this time, not counting any in which the broker blocks us.
async fn unblocked<T>(
    within: Duration,
    is_blocked: impl Fn() -> bool,
    asked: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let mut asked = pin!(asked);
    let mut until = Instant::now() + within;
    loop {
        let look = until.min(Instant::now() + LOOK);
        match tokio::time::timeout_at(look, asked.as_mut()).await {
            Ok(answer) => return Ok(answer),
            Err(_) if is_blocked() => until = Instant::now() + within,
            Err(elapsed) if look == until => return Err(elapsed),
            Err(_) => {}
        }
    }
}

/// Whether one connection less would be let in. After a network was cut, the broker counts for a while those that are
/// gone; and its code for it is that for a virtual host which is not there.
fn is_at_limit(said: &str) -> bool {
    said.contains("connection limit (") && said.contains("is reached")
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
    use tokio::time::{sleep, timeout};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    fn parse(url: &str) -> Result<Broker> {
        Broker::parse(url, (WITHIN, WITHIN))
    }

    /// Blocked between these seconds, and answered after that many.
    async fn answered(blocked: std::ops::Range<u64>, after: u64) -> bool {
        let begun = Instant::now();
        let is_blocked = || blocked.contains(&begun.elapsed().as_secs());
        let asked = sleep(Duration::from_secs(after));
        let answered = timeout(100 * WITHIN, unblocked(WITHIN, is_blocked, asked)).await;
        answered.expect("it waits for ever").is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_an_answer_begins_anew_when_a_block_ends() {
        assert!(answered(0..0, 29).await);
        assert!(!answered(0..0, 31).await);
        // Whenever it was looked at last, a whole wait is left.
        assert!(answered(5..100, 125).await);
        assert!(answered(10..20, 45).await);
        assert!(!answered(5..100, 135).await);
    }

    #[test]
    fn an_acknowledgement_on_a_closed_connection_settles_nothing() {
        let broker = parse("amqp://h:5672").unwrap();
        assert!(broker.settled(Ok(true)).is_ok());
        let in_vain = broker.settled(Ok(false));
        assert!(matches!(in_vain, Err(Error::Unavailable { .. })));
    }

    #[test]
    fn a_broker_is_named_without_its_password() {
        let broker = parse("amqps://ada:s3cret@queue.example.org:5671/team").unwrap();
        let shown = format!("{broker:?}");
        assert_eq!(
            shown,
            "RabbitMQ at queue.example.org:5671 over TLS, vhost team"
        );
        assert!(
            parse("amqp://ada:s3cret@h:5672/")
                .unwrap()
                .service()
                .ends_with("vhost /")
        );
        let error = parse("http://ada:s3cret@h/").unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[test]
    fn a_limit_on_connections_is_no_missing_virtual_host() {
        for said in [
            "NOT_ALLOWED - access to vhost '/' refused for user 'ada': connection limit (3) is reached",
            "NOT_ALLOWED - connection refused for user 'ada': user connection limit (3) is reached",
        ] {
            assert!(is_at_limit(said), "{said}");
        }
        assert!(!is_at_limit("NOT_ALLOWED - vhost limit not found"));
    }
}
