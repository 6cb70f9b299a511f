//! The connections of a scripted server: one task for each, all of them ended with it.

use std::sync::{Arc, Mutex};

use bson::Document;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::message::{self, Request};
use super::state::{Answer, State};
use super::{Asked, Stopped};

/// What a member's connections share with the test.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) state: Arc<Mutex<State>>,
    /// Says that the state may answer differently now.
    pub(super) changed: watch::Sender<()>,
}

/// Accepts until it is dropped.
pub(super) async fn accept(listener: TcpListener, member: usize, shared: Shared) -> Stopped {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, member, shared.clone()));
        // A connection that could not read what it was sent fails the test that looks at the log.
        while connections.try_join_next().is_some() {}
    }
}

/// Answers one command after the other, until either side ends the connection.
async fn serve(mut stream: TcpStream, member: usize, shared: Shared) {
    let spelling = shared.state.lock().unwrap().setup.spelling.clone();
    while let Some(request) = message::read(&mut stream, &spelling).await {
        shared.record(member, &request.body);
        let (reply, whole) = shared.answer(member, &request).await;
        let bytes = message::reply(request.id, &reply, &spelling);
        let sent = if whole {
            &bytes[..]
        } else {
            &bytes[..bytes.len() / 2]
        };
        if request.wants_reply && stream.write_all(sent).await.is_err() || !whole {
            return;
        }
    }
}

impl Shared {
    fn record(&self, member: usize, body: &Document) {
        let name = body.keys().next().unwrap().clone();
        let body = body.clone();
        let asked = Asked { name, member, body };
        self.state.lock().unwrap().asked.push(asked);
    }

    /// The reply, and whether the connection lives to send all of it.
    async fn answer(&self, member: usize, request: &Request) -> (Document, bool) {
        let (mut patient, mut until) = (true, None);
        loop {
            // Subscribed before the look, so that no change falls between.
            let mut changed = self.changed.subscribe();
            let answer = self.look(member, &request.body, patient);
            if !matches!(answer, Answer::Wait(_)) {
                self.changed.send_replace(());
            }
            match answer {
                Answer::Reply(reply) => return (reply, true),
                Answer::Cut(reply) => return (reply, false),
                Answer::Slow(gate, reply) => {
                    gate.pass().await;
                    return (reply, true);
                }
                Answer::Never => std::future::pending().await,
                Answer::Wait(time) => {
                    let until = *until.get_or_insert_with(|| Instant::now() + time);
                    patient = timeout_at(until, changed.changed()).await.is_ok();
                }
            }
        }
    }

    fn look(&self, member: usize, command: &Document, patient: bool) -> Answer {
        let mut state = self.state.lock().unwrap();
        state.answer(member, command, patient)
    }
}
