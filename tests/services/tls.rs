//! Services behind TLS, with a certificate authority that only this test has, and a virtual host.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use mongodb::bson::Document;

use super::{Place, article};
use crate::doctor::{Found, found};
use crate::support::broker::{self, Broker};
use crate::support::mongo::MongoServer;
use crate::support::qdrant::Server;
use crate::support::tls::{Authority, Terminator};

const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

/// Sets the three addresses, each of a server behind TLS, and what is trusted for two of them. `source` has the
/// driver's own options of TLS.
fn set(place: &mut Place, servers: &[Terminator; 3], source: &str, trusted: &str) {
    let [mongo, rabbit, qdrant] = servers.each_ref().map(Terminator::address);
    place.settings.extend([
        (
            "LOCKSTEP_SOURCE_URL",
            format!("mongodb://{mongo}/?directConnection=true&tls=true{source}"),
        ),
        (
            "LOCKSTEP_QUEUE_URL",
            format!("amqps://guest:guest@{rabbit}/twin"),
        ),
        ("LOCKSTEP_VECTOR_URL", format!("https://{qdrant}")),
        ("SSL_CERT_FILE", trusted.to_owned()),
    ]);
}

/// Three servers of these names that nobody reaches: a client turns back at their certificates.
async fn facades(authority: &Authority, names: &[&str]) -> [Terminator; 3] {
    let facade = async || Terminator::start(authority, names, "127.0.0.1:1".to_owned()).await;
    [facade().await, facade().await, facade().await]
}

/// What is said of each of the three, all of which have to have failed, with its address.
fn refusals(place: &Place, servers: &[Terminator; 3]) -> [Found; 3] {
    let ended = place.run(&["doctor", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let refusals = ["source", "queue", "index"].map(|name| found(&ended, name));
    for (refusal, server) in refusals.iter().zip(servers) {
        let address = server.address().to_string();
        assert_eq!(refusal.outcome, "failed", "{refusal:?}");
        assert!(refusal.said.contains(&address), "{refusal:?}");
    }
    refusals
}

/// Options of the source that trust this file, and do not wait long.
fn trusting(file: &str) -> String {
    format!("&tlsCAFile={file}&serverSelectionTimeoutMS=2000")
}

async fn has_queue(url: &str, name: &str) -> bool {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declare = channel.queue_declare(name.into(), passive, FieldTable::default());
    declare.await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_goes_all_the_way_over_tls_and_through_a_virtual_host() {
    let _alone = broker::alone().await;
    let broker = Broker::start();
    broker.control(&["add_vhost", "twin"]);
    broker.control(&["set_permissions", "-p", "twin", "guest", ".*", ".*", ".*"]);
    let plain = broker.url();
    let (_, rabbit) = plain.split_once('@').unwrap();
    let (mongo, qdrant) = (MongoServer::start(&[]), Server::start().await);
    let authority = Authority::new();
    let servers = [
        Terminator::start(&authority, &HERE, mongo.address().to_owned()).await,
        Terminator::start(&authority, &HERE, rabbit.to_owned()).await,
        Terminator::start(&authority, &HERE, qdrant.address()).await,
    ];
    let mut place = Place::new();
    let file = authority.file().to_str().unwrap();
    set(&mut place, &servers, &trusting(file), file);
    let name = &place.home.settings.database;
    let database = mongo.client().await.database(name);
    let articles = database.collection::<Document>("articles");
    let looms = article("looms", "Jacquard cards weave algebraical patterns.");
    articles.insert_one(looms).await.unwrap();
    let mut roles = [place.start(&["capture"]), place.start(&["feature"])];
    roles[1].until(&["working"]).await;
    place.ask(&["resync", "articles"]);
    let verified = place.ask(&["verify", "--vectors"]);
    assert_eq!(verified["clean"], true, "{verified}");
    assert_eq!(verified["documents"], 1, "{verified}");
    assert_eq!(place.titles("algebraical patterns"), ["On looms"]);
    for role in &mut roles {
        role.assert_running();
    }
    // Nothing of it is in the virtual host that is there without being made.
    let queue = format!("{name}.changes.1.0");
    assert!(has_queue(&format!("{plain}/twin"), &queue).await);
    assert!(!has_queue(&plain, &queue).await);
    for role in roles {
        role.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_authority_that_is_not_trusted_is_refused_with_the_fix() {
    let (theirs, other) = (Authority::new(), Authority::new());
    let servers = facades(&theirs, &HERE).await;
    let mut place = Place::new();
    let trusted = other.file().to_str().unwrap();
    // The driver of the source has its own list without a file.
    let source = "&serverSelectionTimeoutMS=2000";
    set(&mut place, &servers, source, trusted);
    let [source, queue, index] = refusals(&place, &servers);
    for refusal in [&source, &queue, &index] {
        assert!(refusal.said.contains("is not trusted"), "{refusal:?}");
        assert!(!refusal.said.contains("guest:guest"), "{refusal:?}");
    }
    assert!(source.fix.contains("tlsCAFile"), "{source:?}");
    assert!(queue.fix.contains("SSL_CERT_FILE"), "{queue:?}");
    assert!(index.fix.contains("SSL_CERT_FILE"), "{index:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_host_name_is_refused_with_the_fix() {
    let authority = Authority::new();
    // Their addresses are of 127.0.0.1.
    let servers = facades(&authority, &["localhost"]).await;
    let mut place = Place::new();
    let file = authority.file().to_str().unwrap();
    set(&mut place, &servers, &trusting(file), file);
    let settings = ["source.url", "queue.url", "vector.url"];
    for (refusal, setting) in refusals(&place, &servers).iter().zip(settings) {
        assert!(refusal.said.contains("not for this host"), "{refusal:?}");
        assert!(refusal.fix.contains(setting), "{refusal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_authorities_that_is_not_there_is_told_as_that() {
    let servers = facades(&Authority::new(), &HERE).await;
    let mut place = Place::new();
    let missing = place.data().join("missing.pem");
    let missing = missing.to_str().unwrap();
    set(&mut place, &servers, &trusting(missing), missing);
    let ended = place.run(&["doctor", "--json"]);
    let source = found(&ended, "source");
    assert!(source.said.starts_with("source.url: "), "{source:?}");
    assert!(source.said.contains(missing), "{source:?}");
    for name in ["queue", "index"] {
        let found = found(&ended, name);
        assert!(found.said.contains("no authority"), "{found:?}");
        assert!(found.fix.contains("SSL_CERT_FILE"), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_does_not_wait_for_a_certificate_that_it_does_not_trust() {
    let (theirs, other) = (Authority::new(), Authority::new());
    let [_, rabbit, _] = facades(&theirs, &HERE).await;
    let mut place = Place::new();
    let address = rabbit.address().to_string();
    let url = format!("amqps://guest:s3cret@{address}/twin");
    let trusted = other.file().to_str().unwrap().to_owned();
    place.settings.push(("LOCKSTEP_QUEUE_URL", url));
    place.settings.push(("SSL_CERT_FILE", trusted));
    let ended = place.run(&["capture"]);
    assert_ne!(ended.code, Some(0), "{ended:?}");
    for part in [
        address.as_str(),
        "over TLS, vhost twin",
        "is not trusted",
        "SSL_CERT_FILE",
    ] {
        assert!(ended.error.contains(part), "{part} in {ended:?}");
    }
    assert!(!ended.error.contains("waiting for a service"), "{ended:?}");
    assert!(!ended.error.contains("s3cret"), "{ended:?}");
}
