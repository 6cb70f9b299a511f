//! A server with MongoDB's protocol that the bench starts, owns and ends.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use lockstep::source::mongo::Settings;
use mongodb::{Client, Database};

use crate::Outcome;

/// Runs the server until its own input is closed, which it is when the bench ends in whatever way;
/// then nothing of it is left.
const KEEPER: &str = r#"
    folder=$(mktemp -d)
    "$@" --storage-path "$folder" </dev/null 2>&1 &
    cat >/dev/null
    kill -9 $!
    wait
    rm -rf "$folder"
"#;

const INSTALL: &str = "cargo install secantus-mdb --version 0.5.3-beta.196 --ignore-rust-version \
                       --locked --root";

/// The whole backlog, and whatever else is written meanwhile.
const LOG_ENTRIES: &str = "2000000";

/// The database of a backlog's kind, or of what is inserted one by one.
const DATABASE: &str = "twin";

/// A running server; it ends with its value, or with the process.
pub(crate) struct Mongo {
    address: String,
    keeper: Child,
}

impl Mongo {
    /// Starts one and waits until it listens.
    pub(crate) fn start() -> Outcome<Self> {
        let program = program()?;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(program)
            .args(["--port", "0", "--oplog-max-entries", LOG_ENTRIES])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = keeper.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| Some(line.split_once(" listening on ")?.1.to_owned()))
            .ok_or("the server ended before it listened")?;
        // Read on, so that it never waits for room to write its log.
        std::thread::Builder::new().spawn(move || lines.for_each(drop))?;
        Ok(Self { address, keeper })
    }

    /// As the driver and the product take it.
    pub(crate) fn url(&self) -> String {
        format!("mongodb://{}/", self.address)
    }

    /// The product's settings for the database of this kind.
    pub(crate) fn settings(&self, kind: &str) -> Settings {
        let mut settings = Settings::new(self.url(), format!("{DATABASE}_{kind}"));
        settings.kinds = vec![kind.to_owned()];
        settings
    }

    /// The same database, by the bare driver.
    pub(crate) async fn database(&self, kind: &str) -> Outcome<Database> {
        let client = Client::with_uri_str(self.url()).await?;
        Ok(client.database(&self.settings(kind).database))
    }
}

impl Drop for Mongo {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Its folder is removed by then.
        drop(self.keeper.wait());
    }
}

/// Below `lockstep-tests` in the target folder: what the bench needs and the build does not.
pub(crate) fn installed() -> Outcome<PathBuf> {
    // The bench's own file is at <target>/<profile>/deps/<name>.
    let file = std::env::current_exe()?;
    let target = file.ancestors().nth(3).ok_or("no target folder")?;
    Ok(target.join("lockstep-tests"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is told by its environment where things are"
)]
fn program() -> Outcome<PathBuf> {
    let folder = installed()?;
    let ours = folder.join("bin/secantusd-rs");
    let program = std::env::var("LOCKSTEP_BENCH_MONGO").map_or(ours, PathBuf::from);
    if !program.is_file() {
        let (program, folder) = (program.display(), folder.display());
        let install = format!("{INSTALL} {folder}");
        return Err(format!("no {program}: install it (needs cmake) with `{install}`").into());
    }
    Ok(program)
}
