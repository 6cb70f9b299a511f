//! Servers that cannot be captured from, and what is said about them.

use lockstep::Error;
use lockstep::clock::Clock;
use lockstep::source::mongo::{MongoSource, Settings};

use crate::support::mongo::MongoServer;

async fn refused(url: &str) -> Error {
    let settings = Settings::new(url, "twin");
    let opened = MongoSource::open(settings, Clock::manual(0)).await;
    let error = opened.err().unwrap();
    assert!(!error.chain().contains("s3cret"), "{}", error.chain());
    error
}

#[tokio::test]
async fn a_standalone_server_is_refused_with_the_fix() {
    let server = MongoServer::start(&["--standalone"]);
    let error = refused(&server.url("test")).await;
    let Error::Refused { service, why, fix } = &error else {
        panic!("{error:?}");
    };
    assert!(service.contains(server.address()), "{service}");
    assert!(
        why.contains("replica set") && fix.contains("--replSet"),
        "{error}"
    );
}

#[tokio::test]
async fn wrong_credentials_are_refused_without_showing_them() {
    let server = MongoServer::start(&["--auth"]);
    let url = format!("mongodb://ada:s3cret@{}/", server.address());
    let error = refused(&url).await;
    let Error::Refused { service, why, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(service.contains(server.address()), "{service}");
    assert!(why.contains("password"), "{error}");
}

#[tokio::test]
async fn without_credentials_the_missing_permission_is_named() {
    let server = MongoServer::start(&["--auth"]);
    let error = refused(&server.url("test")).await;
    let Error::Refused { fix, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(fix.contains("changeStream"), "{error}");
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_named() {
    // Bound and not listening: nobody else gets the port meanwhile.
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let url = format!("mongodb://ada:s3cret@{address}/?serverSelectionTimeoutMS=100");
    let error = refused(&url).await;
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
