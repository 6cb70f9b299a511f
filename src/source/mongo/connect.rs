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
use crate::clock::Clock;
use crate::{Error, Result};

/// How long a server may take to be found, unless the URL says otherwise.
const SELECTION: Duration = Duration::from_secs(5);

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
    let client = Client::with_options(options.clone()).map_err(fault(&service, "connect"))?;
    let admin = client.database("admin");
    let hello = match admin.run_command(doc! { "hello": 1 }).await {
        Ok(hello) => hello,
        Err(error) => return Err(unanswered(options, &service, error).await),
    };
    let is_sharded = hello.get_str("msg").is_ok_and(|said| said == "isdbgrid");
    if let Some((why, fix)) = misfit(&hello, None) {
        return Err(refused(&service, &why, fix));
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
    if matches!(*error.kind, ErrorKind::ServerSelection { .. }) {
        let wanted = options.repl_set_name.clone();
        if let Some(hello) = hello_alone(options).await
            && let Some((why, fix)) = misfit(&hello, wanted.as_deref())
        {
            return refused(service, &why, fix);
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
fn misfit(hello: &BsonDocument, wanted: Option<&str>) -> Option<(String, &'static str)> {
    let is_router = hello.get_str("msg").is_ok_and(|said| said == "isdbgrid");
    match hello.get_str("setName") {
        Ok(set) => {
            let wanted = wanted.filter(|wanted| *wanted != set)?;
            let why = format!("it is in the replica set {set}, and source.url asks for {wanted}");
            Some((why, "correct replicaSet in source.url"))
        }
        Err(_) if is_router => None,
        Err(_) if hello.get_bool("isreplicaset").unwrap_or(false) => {
            let why = "its replica set was never initiated".to_owned();
            Some((why, "run rs.initiate() on it once"))
        }
        Err(_) => {
            let (why, fix) = standalone();
            Some((why.to_owned(), fix))
        }
    }
}

/// Whether a server of this version knows `$changeStreamSplitLargeEvent`: since 6.0.9.
fn splits_large_events(version: &str) -> bool {
    let mut numbers = version
        .split(['.', '-'])
        .map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let version: (u32, u32, u32) = (next(), next(), next());
    version >= (6, 0, 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_events_are_split_since_6_0_9() {
        for (version, splits) in [
            ("6.0.8", false),
            ("6.0.9", true),
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
        let why = |hello, wanted| misfit(&hello, wanted).unwrap().0;
        assert!(why(doc! {}, Some("rs0")).contains("standalone"));
        assert!(why(doc! { "isreplicaset": true }, None).contains("never initiated"));
        assert!(why(doc! { "setName": "rs1" }, Some("rs0")).contains("rs1"));
        assert_eq!(misfit(&doc! { "setName": "rs0" }, Some("rs0")), None);
        assert_eq!(misfit(&doc! { "msg": "isdbgrid" }, None), None);
    }

    #[tokio::test]
    async fn a_url_that_cannot_be_parsed_is_not_repeated() {
        let error = options("mongodb://user:hun:ter2@@/").await.unwrap_err();
        assert!(error.chain().contains("source.url"), "{error}");
        assert!(!error.chain().contains("ter2"), "{error}");
    }
}
