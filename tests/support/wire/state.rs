//! What the members of a scripted server share, and the answer to each command.
//!
//! ```text
//! command ──> refused by the setup? ──> hello ──> secondary? ──> change stream: script, log
//!                                                            └──> anything else: well, and empty
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Binary, Bson, DateTime, Document, Timestamp, doc};

use super::event::COLLECTION;
use super::log::Log;
use super::script::{Act, Failure, Gate, NOT_A_REPLICA_SET, NOT_WRITABLE_PRIMARY, On, Step};
use super::stream::Cursor;
use super::{Asked, Setup};

/// The name of the replica set.
pub(super) const SET: &str = "scripted";
/// How long an unchanged server may keep a hello waiting that allows it.
const HELLO_WAIT_MS: i64 = 10_000;

/// What becomes of a command.
#[derive(Debug)]
pub(super) enum Answer {
    Reply(Document),
    /// Half of the reply, then the end of the connection.
    Cut(Document),
    /// The reply when the gate is opened.
    Slow(Gate, Document),
    /// No reply, and the connection stays.
    Never,
    /// Ask again when something changed, and once more, impatiently, after this time.
    Wait(Duration),
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) members: Vec<SocketAddr>,
    pub(super) setup: Setup,
    pub(super) primary: usize,
    /// Members that say nothing any more.
    pub(super) silent: BTreeSet<usize>,
    /// The primary's term, which is also the version of the topology.
    pub(super) term: i64,
    pub(super) script: VecDeque<Step>,
    pub(super) log: Log,
    pub(super) cursors: BTreeMap<i64, Cursor>,
    pub(super) cursor_last: i64,
    pub(super) asked: Vec<Asked>,
}

impl State {
    pub(super) fn new(members: Vec<SocketAddr>, setup: Setup, script: VecDeque<Step>) -> Self {
        Self {
            members,
            setup,
            primary: 0,
            silent: BTreeSet::new(),
            term: 1,
            script,
            log: Log::new(),
            cursors: BTreeMap::new(),
            cursor_last: 0,
            asked: Vec::new(),
        }
    }

    /// Answers a command that came to this member; an impatient one is not told to wait.
    pub(super) fn answer(&mut self, member: usize, command: &Document, patient: bool) -> Answer {
        let name = command.keys().next().unwrap().as_str();
        let refusal = self.setup.refuses.iter().find(|(what, _)| *what == name);
        let mut answer = match (name, refusal) {
            _ if self.silent.contains(&member) => Answer::Never,
            ("hello" | "isMaster" | "ismaster", _) => self.hello(member, command, patient),
            (_, Some((_, failure))) => Answer::Reply(failure.reply()),
            (_, None) if member != self.primary => Answer::Reply(self.not_primary()),
            ("aggregate", None) if is_change_stream(command) && self.setup.standalone => {
                Answer::Reply(NOT_A_REPLICA_SET.reply())
            }
            ("aggregate", None) if is_change_stream(command) => self.open(command),
            ("getMore", None) => self.more(command, patient),
            ("find", None) if command.get_str(name).is_ok_and(|of| of == COLLECTION) => {
                self.find(command)
            }
            (_, None) => Answer::Reply(self.well(name, command)),
        };
        match &mut answer {
            Answer::Reply(reply) | Answer::Cut(reply) | Answer::Slow(_, reply) => self.stamp(reply),
            Answer::Never | Answer::Wait(_) => {}
        }
        answer
    }

    /// The next member is elected; cursors end with the old one's office.
    pub(super) fn elect(&mut self) -> Document {
        self.primary = (self.primary + 1) % self.members.len();
        self.cursors.clear();
        self.refuse(NOT_WRITABLE_PRIMARY.resumable())
    }

    /// An error by the script; one that tells of a change of state raises the topology's version, so
    /// that a driver looks again at once.
    pub(super) fn refuse(&mut self, failure: Failure) -> Document {
        let mut reply = failure.reply();
        if failure.changes_state() {
            self.term += 1;
            reply.insert("topologyVersion", self.topology_version());
        }
        reply
    }

    fn not_primary(&self) -> Document {
        let mut reply = NOT_WRITABLE_PRIMARY.resumable().reply();
        reply.insert("topologyVersion", self.topology_version());
        reply
    }

    fn hello(&self, member: usize, command: &Document, patient: bool) -> Answer {
        let known = command.get_document("topologyVersion").ok();
        let known = known.and_then(|version| version.get_i64("counter").ok());
        if patient && known == Some(self.term) {
            let wait_ms = command.get_i64("maxAwaitTimeMS").unwrap_or(HELLO_WAIT_MS);
            return Answer::Wait(Duration::from_millis(wait_ms.cast_unsigned()));
        }
        let primary = member == self.primary && !self.setup.uninitiated;
        let mut hello = doc! {
            "helloOk": true, "ismaster": primary, "isWritablePrimary": primary,
            "topologyVersion": self.topology_version(), "minWireVersion": 0,
            "maxWireVersion": self.setup.wire_version, "maxBsonObjectSize": 16 << 20,
            "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000,
            "logicalSessionTimeoutMinutes": 30, "readOnly": false, "ok": 1.0,
        };
        if self.setup.uninitiated {
            hello.extend(doc! { "isreplicaset": true, "secondary": false });
        } else if !self.setup.standalone {
            let hosts: Vec<_> = self.members.iter().map(ToString::to_string).collect();
            let mut election = [0; 12];
            election[4..].copy_from_slice(&self.term.to_be_bytes());
            hello.extend(doc! {
                "setName": SET, "setVersion": 1, "secondary": !primary,
                "electionId": ObjectId::from_bytes(election),
                "primary": hosts[self.primary].as_str(), "me": hosts[member].as_str(),
                "hosts": hosts, "lastWrite": {"lastWriteDate": DateTime::from_millis(0)},
            });
        }
        Answer::Reply(hello)
    }

    fn topology_version(&self) -> Document {
        doc! {"processId": ObjectId::from_bytes([7; 12]), "counter": self.term}
    }

    /// Documents, unless the script holds them back.
    fn find(&mut self, command: &Document) -> Answer {
        let reply = self.well("find", command);
        match self.turn(On::Find) {
            Some(Act::Slow(gate)) => Answer::Slow(gate, reply),
            Some(other) => panic!("{other:?} is no step of a find"),
            None => Answer::Reply(reply),
        }
    }

    /// The answer of a server that does what it is told.
    fn well(&self, name: &str, command: &Document) -> Document {
        let mut reply = match name {
            "buildInfo" => doc! {"version": "7.0.14", "versionArray": [7, 0, 14, 0]},
            "find" | "aggregate" | "listCollections" => {
                let database = command.get_str("$db").unwrap_or_default();
                let place = command.get_str(name).unwrap_or("$cmd");
                let found = match (name, place) {
                    ("find", COLLECTION) => found(&self.setup.stored, command),
                    _ => Vec::new(),
                };
                doc! {"cursor": {
                    "id": 0_i64, "ns": format!("{database}.{place}"), "firstBatch": found,
                    "atClusterTime": self.log.now(),
                }}
            }
            "listDatabases" => doc! {"databases": [], "totalSize": 0_i64},
            "findAndModify" => doc! {"value": Bson::Null, "lastErrorObject": {"n": 0}},
            "saslStart" => doc! {
                "conversationId": 1, "done": true,
                "payload": Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![] },
            },
            _ => doc! {"n": 1, "nModified": 1},
        };
        reply.insert("ok", 1.0);
        reply
    }

    /// Every member of a set says what time it is.
    fn stamp(&self, reply: &mut Document) {
        if self.setup.standalone {
            return;
        }
        let now: Timestamp = self.log.now();
        let hash = Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes: vec![0; 20],
        };
        reply.insert("operationTime", now);
        reply.insert(
            "$clusterTime",
            doc! {"clusterTime": now, "signature": {"hash": hash, "keyId": 0_i64}},
        );
    }
}

/// What a find gets: the documents of the ids that it names, or those from its bound on.
fn found(stored: &[Document], command: &Document) -> Vec<Document> {
    let id = |document: &Document| document.get("_id").cloned();
    let from = command.get_document("min").ok().and_then(id);
    let named = command.get_document("filter").ok();
    let named = named.and_then(|filter| filter.get_document("_id").ok());
    let named = named.and_then(|ids| ids.get_array("$in").ok());
    let limit = command.get_i64("limit").unwrap_or(i64::MAX);
    let rows = stored.iter();
    let rows = rows.skip_while(|row| from.is_some() && id(row) != from);
    let rows =
        rows.filter(|row| named.is_none_or(|ids| ids.iter().any(|it| row.get("_id") == Some(it))));
    rows.take(usize::try_from(limit).unwrap_or(usize::MAX))
        .cloned()
        .collect()
}

/// An error with which the setup refuses a command whenever it comes.
pub(crate) type Refusal = (&'static str, Failure);

fn is_change_stream(command: &Document) -> bool {
    let first = command.get_array("pipeline").unwrap().first();
    first.is_some_and(|stage| stage.as_document().unwrap().contains_key("$changeStream"))
}
