//! Connecting, and what a server has to be before capture can work with it.
//!
//! ```text
//! url ──> hello: replica set or mongos? ──> version ──> a stream, opened once ──> Server
//! ```

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bson::{Document as BsonDocument, doc};
use mongodb::error::{Error as DriverError, ErrorKind};
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection, Database};

use super::fault::{fault, refused, standalone};
use super::lease::POSITIONS;
use super::place::Place;
use super::{Settings, stream};
use crate::certificate::distrusted;
use crate::clock::Clock;
use crate::{Error, Result};

/// How long a server may take to be found, unless the URL says otherwise.
const SELECTION: Duration = Duration::from_secs(5);
/// How long a server that was found may take for all that it is asked at first.
const GREETING: Duration = Duration::from_secs(20);

/// The driver looks at no list but its own and this.
const BY_OPTION: &str =
    "name a file with the certificate of its authority by tlsCAFile in source.url";

/// A member of a set that nobody has initiated yet. It says itself what to do.
#[derive(Debug, thiserror::Error)]
#[error("its replica set was never initiated; run rs.initiate() on it once")]
pub struct Uninitiated;

/// A server that can be captured from.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) client: Client,
    /// The name for people, with the address.
    pub(super) service: String,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    /// A cluster of shards: there a delete may be the half of a change of the shard key.
    pub(super) is_sharded: bool,
    /// Events over 16 MB are split when asked for.
    pub(super) can_split: bool,
    /// The latest time that anybody was shown, as its sequence number.
    pub(super) shown: AtomicU64,
}

impl Server {
    /// The database that is watched.
    pub(super) fn database(&self) -> Database {
        self.client.database(&self.settings.database)
    }

    /// A collection of the state database.
    pub(super) fn state(&self, name: &str) -> Collection<BsonDocument> {
        let database = self.client.database(&self.settings.state_database);
        database.collection(name)
    }
}

impl Server {
    /// An update that matches nothing: it asks for the permission and leaves no trace.
    pub(super) async fn try_state(&self) -> Result<()> {
        let nobody = doc! { "_id": "nobody: lockstep doctor asks whether it may write" };
        let positions = self.state(POSITIONS);
        let tried = positions.update_one(nobody, doc! { "$set": { "asked": true } });
        let tried = tried.await.map_err(fault(&self.service, "let us write"))?;
        debug_assert_eq!(tried.matched_count, 0, "nobody has that id");
        Ok(())
    }

    pub(super) async fn clock_ms(&self) -> Result<u64> {
        let admin = self.client.database("admin");
        let hello = admin.run_command(doc! { "hello": 1 }).await;
        let hello = hello.map_err(fault(&self.service, "answer"))?;
        let time = hello.get_datetime("localTime").map_err(|error| {
            Error::malformed(
                format!("the greeting of {}", self.service),
                error.to_string(),
            )
        })?;
        Ok(u64::try_from(time.timestamp_millis()).unwrap_or_default())
    }
}

/// Connects, and refuses what cannot work.
pub(super) async fn connect(settings: Settings, clock: Clock) -> Result<Server> {
    let options = options(&settings.url).await?;
    let hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
    let service = format!("MongoDB at {}", hosts.join(","));
    // It is found anew for each question.
    let found = options.server_selection_timeout.unwrap_or(SELECTION);
    let greeting = greet(options, service.clone(), (settings, clock));
    // The driver waits without an end for the answer of a server that it has reached.
    let greeted = tokio::time::timeout(GREETING + 3 * found, greeting).await;
    greeted.unwrap_or_else(|elapsed| Err(Error::unavailable(service, "answer")(elapsed)))
}

async fn greet(
    options: ClientOptions,
    service: String,
    (settings, clock): (Settings, Clock),
) -> Result<Server> {
    let client = client(options.clone(), &service)?;
    let admin = client.database("admin");
    let hello = match admin.run_command(doc! { "hello": 1 }).await {
        Ok(hello) => hello,
        Err(error) => return Err(unanswered(options, &service, error).await),
    };
    let is_sharded = hello.get_str("msg").is_ok_and(|said| said == "isdbgrid");
    if let Some(error) = misfit(&hello, None, &service) {
        return Err(error);
    }
    let build = admin.run_command(doc! { "buildInfo": 1 }).await;
    let build = build.map_err(fault(&service, "answer"))?;
    let can_split = build.get_str("version").is_ok_and(splits_large_events);
    let server = Server {
        client,
        service,
        settings,
        clock,
        is_sharded,
        can_split,
        shown: AtomicU64::new(0),
    };
    // Whether we may watch is known only by doing it.
    let now = server.now().await?;
    drop(stream::open(&server, &Place::after_time(now)).await?);
    Ok(server)
}

fn client(options: ClientOptions, service: &str) -> Result<Client> {
    Client::with_options(options).map_err(|error| match *error.kind {
        // A file of certificates that is not there, or is none.
        ErrorKind::InvalidTlsConfig { message, .. } => Error::Config {
            setting: "source.url".to_owned(),
            why: message,
        },
        _ => fault(service, "connect")(error),
    })
}

async fn options(url: &str) -> Result<ClientOptions> {
    let parsed = ClientOptions::parse(url).await;
    let mut options = parsed.map_err(|error| match *error.kind {
        ErrorKind::DnsResolve { .. } => {
            Error::unavailable("DNS", "resolve the host of source.url")(*error.kind)
        }
        // The driver's text may quote the URL, and with it the password.
        _ => Error::Config {
            setting: "source.url".to_owned(),
            why: "it is no MongoDB connection string; want mongodb://host:port, with user and \
                  password percent-encoded"
                .to_owned(),
        },
    })?;
    options
        .app_name
        .get_or_insert_with(|| "lockstep".to_owned());
    options.server_selection_timeout.get_or_insert(SELECTION);
    // Driver 3.9 forgets the resume token when the aggregate that resumes a stream is retried, and
    // the stream goes on from where it was first opened.
    options.retry_reads = Some(false);
    // Times of two members must not be mixed, and a write counts when it cannot be rolled back.
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.read_concern = Some(ReadConcern::majority());
    let durable = WriteConcern::builder().w(Acknowledgment::Majority);
    options.write_concern = Some(durable.journal(true).build());
    Ok(options)
}

/// Why no server was found that answers. The driver itself turns away what is older than it knows.
async fn unanswered(options: ClientOptions, service: &str, error: DriverError) -> Error {
    let said = error.kind.to_string();
    if said.contains("wire version") {
        let why = format!(
            "its version is not supported: {}",
            said.trim_end_matches('.')
        );
        return refused(service, &why, "use MongoDB 4.4 or later");
    }
    if let Some((why, fix)) = distrusted(&said, "source.url", BY_OPTION) {
        return refused(service, why, &fix);
    }
    if matches!(*error.kind, ErrorKind::ServerSelection { .. }) {
        let wanted = options.repl_set_name.clone();
        if let Some(hello) = hello_alone(options).await
            && let Some(error) = misfit(&hello, wanted.as_deref(), service)
        {
            return error;
        }
    }
    fault(service, "answer")(error)
}

/// What the first host says of itself, whatever set it belongs to.
async fn hello_alone(mut options: ClientOptions) -> Option<BsonDocument> {
    options.hosts.truncate(1);
    options.direct_connection = Some(true);
    options.repl_set_name = None;
    options.credential = None;
    let client = Client::with_options(options).ok()?;
    let admin = client.database("admin");
    admin.run_command(doc! { "hello": 1 }).await.ok()
}

/// Why a server that answers has no change streams for us, and what to do.
fn misfit(hello: &BsonDocument, wanted: Option<&str>, service: &str) -> Option<Error> {
    let is_router = hello.get_str("msg").is_ok_and(|said| said == "isdbgrid");
    match hello.get_str("setName") {
        Ok(set) => {
            let wanted = wanted.filter(|wanted| *wanted != set)?;
            let why = format!("it is in the replica set {set}, and source.url asks for {wanted}");
            Some(refused(service, &why, "correct replicaSet in source.url"))
        }
        Err(_) if is_router => None,
        Err(_) if hello.get_bool("isreplicaset").unwrap_or(false) => {
            // Whoever starts a server initiates its set a moment later.
            let unavailable = Error::unavailable(service.to_owned(), "show its changes");
            Some(unavailable(Uninitiated))
        }
        Err(_) => {
            let (why, fix) = standalone();
            Some(refused(service, why, fix))
        }
    }
}

/// Whether a server of this version knows `$changeStreamSplitLargeEvent`: 6.0 since 6.0.9, and 7.0; not what was
/// released in between.
fn splits_large_events(version: &str) -> bool {
    let mut numbers = version
        .split(['.', '-'])
        .map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let version: (u32, u32, u32) = (next(), next(), next());
    version >= (7, 0, 0) || ((6, 0, 9)..(6, 1, 0)).contains(&version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_events_are_split_by_6_0_since_6_0_9_and_since_7_0() {
        for (version, splits) in [
            ("6.0.8", false),
            ("6.0.9", true),
            ("6.1.0", false),
            ("6.3.1", false),
            ("5.0.30", false),
            ("7.0.0-rc1", true),
            ("10.1", true),
            ("", false),
        ] {
            assert_eq!(splits_large_events(version), splits, "{version}");
        }
    }

    #[test]
    fn a_server_outside_its_set_is_told_from_a_standalone_one() {
        let misfit = |hello, wanted| misfit(&hello, wanted, "MongoDB");
        let why = |hello, wanted| misfit(hello, wanted).unwrap().chain();
        assert!(why(doc! {}, Some("rs0")).contains("standalone"));
        assert!(why(doc! { "setName": "rs1" }, Some("rs0")).contains("rs1"));
        assert!(misfit(doc! { "setName": "rs0" }, Some("rs0")).is_none());
        assert!(misfit(doc! { "msg": "isdbgrid" }, None).is_none());
        // By its type others know that it needs no advice of theirs.
        let error = misfit(doc! { "isreplicaset": true }, None).unwrap();
        assert!(matches!(error, Error::Unavailable { source, .. } if source.is::<Uninitiated>()));
    }

    #[tokio::test]
    async fn a_url_that_cannot_be_parsed_is_not_repeated() {
        let error = options("mongodb://user:hun:ter2@@/").await.unwrap_err();
        assert!(error.chain().contains("source.url"), "{error}");
        assert!(!error.chain().contains("ter2"), "{error}");
    }
}
