//! A server with MongoDB's protocol that the tests start and own, with a database for each test.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::Builder;

use lockstep::clock::Clock;
use lockstep::source::mongo::{MongoSource, Settings};
use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};

use super::services;

/// Runs the server until its own input is closed, which it is when the test's process ends in
/// whatever way; then nothing of it is left.
const OWNED: &str = r#"
    folder=$(mktemp -d)
    "$@" --storage-path "$folder" </dev/null &
    cat >/dev/null
    kill -9 $!
    wait
    rm -rf "$folder"
"#;

/// A running server; it ends with its value, or with the process.
#[derive(Debug)]
pub(crate) struct MongoServer {
    address: String,
    /// Its URL, up to where options go.
    base: String,
    /// Its input is what keeps it running; none for one that is somebody else's.
    _process: Option<Child>,
}

impl MongoServer {
    /// The one server of all tests that need nothing special of it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<MongoServer> = OnceLock::new();
        SHARED.get_or_init(|| match services::url(services::MONGO) {
            Some(url) => Self::given(&url),
            None => Self::start(&[]),
        })
    }

    /// Somebody else's server. It has to have its fail points enabled.
    fn given(url: &str) -> Self {
        let end = match url.split_once('?') {
            Some(_) => "&",
            None if url.matches('/').count() > 2 => "?",
            None => "/?",
        };
        Self {
            address: url.to_owned(),
            base: format!("{url}{end}"),
            _process: None,
        }
    }

    /// A server of one's own.
    pub(crate) fn start(options: &[&str]) -> Self {
        let python = python();
        assert!(
            python.is_file(),
            "no {}: run `scripts/setup-tests` with the folder that should hold it",
            python.display(),
        );
        let mut process = Command::new("sh")
            .args(["-c", OWNED, "sh"])
            .arg(python)
            .args([
                "tests/support/mongo/server.py",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--enable-test-commands",
            ])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| Some(line.split_once("secantus listening on ")?.1.to_owned()))
            .unwrap();
        // Read on, so that it never waits for room to write its log.
        Builder::new().spawn(move || lines.for_each(drop)).unwrap();
        Self {
            base: format!("mongodb://{address}/?"),
            address,
            _process: Some(process),
        }
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its URL for a client of this name.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}appName={name}", self.base)
    }

    /// A client of the tests' own.
    pub(crate) async fn client(&self) -> Client {
        Client::with_uri_str(self.url("test")).await.unwrap()
    }

    /// Fails the next commands of the client of this name.
    pub(crate) async fn fail(&self, name: &str, times: i32, data: Document) {
        let mut data = data;
        data.insert("appName", name);
        let fail = doc! { "configureFailPoint": "failCommand", "mode": { "times": times } };
        let mut fail = fail;
        fail.insert("data", data);
        let admin = self.client().await.database("admin");
        admin.run_command(fail).await.unwrap();
    }
}

/// A Python that has `SecantusDB`, pika and pymongo.
pub(crate) fn python() -> PathBuf {
    installed("python3")
}

/// A program of the tests' virtual environment.
fn installed(program: &str) -> PathBuf {
    // The test's own file is at <target>/<profile>/deps/<name>.
    let file = std::env::current_exe().unwrap();
    let target = file.ancestors().nth(3).unwrap();
    target.join("lockstep-tests/venv/bin").join(program)
}

/// A database of the shared server that no other test has.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) settings: Settings,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::on(MongoServer::shared())
    }

    pub(crate) fn on(server: &MongoServer) -> Self {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let mut settings = Settings::new(server.url(&name), &name);
        settings.state_database = format!("{name}_state");
        Self { settings }
    }

    pub(crate) async fn open(&self) -> MongoSource {
        let opened = MongoSource::open(self.settings.clone(), Clock::manual(1_000)).await;
        opened.unwrap()
    }

    /// The database, past our source.
    pub(crate) async fn database(&self) -> Database {
        let client = Client::with_uri_str(&self.settings.url).await.unwrap();
        client.database(&self.settings.database)
    }
}
