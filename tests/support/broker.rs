//! A real RabbitMQ that the tests start, own and end.
//!
//! A shell keeps each broker: it ends it when its input ends, and that ends with this process,
//! however it does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use super::services;

/// The one under /usr/sbin changes folder and user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// `epmd` in the foreground, so that the broker starts none that outlives it. The broker's own helpers
/// end with it. A line on the input starts the broker again after it was killed.
const KEEPER: &str = r#"
epmd -port "$ERL_EPMD_PORT" >"$FOLDER/epmd.log" 2>&1 &
"$SERVER" 2>&1 &
while read -r _; do "$SERVER" 2>&1 & done
kill -9 "$(cat "$RABBITMQ_PID_FILE")" 2>/dev/null
rm -rf "$FOLDER"
kill -9 0
"#;

/// Has every queue without a leader elect one. RabbitMQ 3.10 on one node leaves a queue without, for
/// ever, when it was asked for something before its recovery was over (its issue 10070).
const ELECT: &str = "[case ra:members(amqqueue:get_pid(Q), 1000) of \
    {ok, _, Leader} when Leader =/= undefined -> ok; \
    _ -> ra:trigger_election(amqqueue:get_pid(Q)) \
    end || Q <- rabbit_amqqueue:list(), amqqueue:is_quorum(Q)].";

/// Writes down which queues have been declared. RabbitMQ 3.10 keeps the queue itself at once, but the
/// place of its messages (`names.dets` of its log library) half a second to three seconds later; killed in
/// between, it starts that queue empty.
const REGISTER: &str = "[ok = dets:sync(Table) || Table <- dets:all()].";

/// A running broker with a folder of its own.
pub(crate) struct Broker {
    keeper: Child,
    input: Option<ChildStdin>,
    output: BufReader<std::process::ChildStdout>,
    folder: PathBuf,
    port: u16,
}

/// The broker that all tests share; each takes a queue name of its own.
pub(crate) fn shared_url() -> String {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    if let Some(url) = services::url(services::RABBIT) {
        return url;
    }
    SHARED.get_or_init(Broker::start).url()
}

/// Held by a test with a broker of its own, so that a small machine runs few at once.
pub(crate) async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}

impl Broker {
    /// Starts one and waits until it serves.
    pub(crate) fn start() -> Self {
        assert!(
            std::fs::exists(SERVER).unwrap(),
            "no {SERVER}: run `make setup-test`, or install rabbitmq-server"
        );
        let folder = tempfile::Builder::new()
            .prefix("lockstep-broker-")
            .tempdir();
        let folder = folder.unwrap().keep();
        let [port, dist, epmd] = free_ports();
        std::fs::write(folder.join("plugins"), "[].").unwrap();
        std::fs::write(folder.join("rabbitmq.conf"), "").unwrap();
        let inside = |name: &str| folder.join(name).into_os_string();
        let mut keeper = Command::new("/bin/sh");
        keeper
            .args(["-c", KEEPER])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("SERVER", SERVER)
            .env("FOLDER", &folder)
            .env("HOME", &folder)
            .env("RABBITMQ_NODENAME", format!("test{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", dist.to_string())
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", inside("mnesia"))
            .env("RABBITMQ_LOG_BASE", inside("log"))
            .env("RABBITMQ_PID_FILE", inside("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", inside("plugins"))
            .env("RABBITMQ_CONFIG_FILE", inside("rabbitmq.conf"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none")
            .current_dir(&folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut keeper = keeper.spawn().unwrap();
        let mut broker = Self {
            input: keeper.stdin.take(),
            output: BufReader::new(keeper.stdout.take().unwrap()),
            keeper,
            folder,
            port,
        };
        broker.wait();
        broker
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port)
    }

    /// What has been declared up to here survives a kill, with its messages.
    pub(crate) fn register_queues(&self) {
        self.control(&["eval", REGISTER]);
    }

    /// `kill -9`, as a machine fails.
    pub(crate) fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
        let killed = Command::new("kill").args(["-9", pid.trim()]).status();
        assert!(killed.unwrap().success());
    }

    /// Starts it again in its folder, and waits until it serves and every queue has a leader.
    pub(crate) fn restart(&mut self) {
        self.input.as_mut().unwrap().write_all(b"again\n").unwrap();
        self.wait();
        self.control(&["eval", ELECT]);
    }

    /// Runs `rabbitmqctl` against it; what it says.
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        let mut control = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
        let control = control
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.folder)
            .env("RABBITMQ_NODENAME", format!("test{}@localhost", self.port))
            .env("ERL_EPMD_PORT", self.epmd_port())
            .args(arguments);
        let output = control.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// How many connections it lists in this state.
    pub(crate) fn connections(&self, state: &str) -> usize {
        let listed = self.control(&["list_connections", "state"]);
        let lines = listed.lines().map(str::trim);
        lines.filter(|line| *line == state).count()
    }

    /// As the keeper has it.
    fn epmd_port(&self) -> String {
        let environment = std::fs::read(format!("/proc/{}/environ", self.keeper.id())).unwrap();
        let environment = String::from_utf8(environment).unwrap();
        let port = environment
            .split('\0')
            .find_map(|it| it.strip_prefix("ERL_EPMD_PORT="));
        port.unwrap().to_owned()
    }

    fn wait(&mut self) {
        let mut said = String::new();
        while !said.contains("completed with") {
            let read = self.output.read_line(&mut said).unwrap();
            assert!(read > 0, "the broker ended before it was up: {said}");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.input.take());
        self.keeper.wait().unwrap();
    }
}

fn free_ports() -> [u16; 3] {
    // All are held until each has its own.
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
