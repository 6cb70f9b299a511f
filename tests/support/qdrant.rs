//! A server of Qdrant's public protocol, in memory, for tests that cannot have Qdrant itself.
//!
//! It answers the requests that our backend sends, and evaluates their filters; a request, a field or a
//! condition that it does not know is an error, never ignored. It is held to the contract suite like the
//! backends, through our own client. What it does is written from the protocol's description, and
//! compared with a real server by running the same suite there (`make test-services`).

mod collections;
mod filter;
mod nearest;
mod points;
mod service;
mod state;

use std::sync::{Arc, Mutex};

use ::qdrant_client::qdrant::collections_server::CollectionsServer;
use ::qdrant_client::qdrant::points_server::PointsServer;
use ::qdrant_client::qdrant::qdrant_server::QdrantServer;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::transport::Server as Transport;
use tonic::transport::server::TcpIncoming;

pub(crate) use self::filter::meets;
use self::service::Service;
use self::state::State;

/// What one request meets, instead of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not done, and nothing says so.
    Hold,
    /// It is done, and nothing says so.
    Lose,
    /// It is refused for now.
    Busy,
    /// It is answered before it is done, which only a write can be.
    Late,
}

/// How a server is set up, and what is to go wrong.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// What it calls its version.
    pub(crate) version: String,
    /// The key that it asks for.
    pub(crate) api_key: Option<String>,
    /// What the next requests of these names meet, each once.
    pub(crate) faults: Vec<(&'static str, Fault)>,
    /// Names of the requests that were answered.
    pub(crate) answered: Vec<&'static str>,
}

/// A running server; it ends with its value.
#[derive(Debug)]
pub(crate) struct Server {
    address: String,
    script: Arc<Mutex<Script>>,
    _serving: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let script = Script {
            version: "1.18.3".to_owned(),
            ..Script::default()
        };
        let script = Arc::new(Mutex::new(script));
        let state = Arc::new(Mutex::new(State::default()));
        let service = Service::new(state, Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let points = PointsServer::new(service.clone()).max_decoding_message_size(usize::MAX);
        let router = Transport::builder()
            .add_service(points)
            .add_service(CollectionsServer::new(service.clone()))
            .add_service(QdrantServer::new(service));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            router.serve_with_incoming(incoming).await.unwrap();
        });
        Self {
            address,
            script,
            _serving: serving,
        }
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes what happens.
    pub(crate) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap())
    }
}
