//! Surroundings in which nothing can work: one error that names the host, the cause and the fix.

use lockstep::Error;
use lockstep::source::Source as _;
use tokio::net::TcpListener;

use super::connect;
use crate::support::wire::{
    AUTHENTICATION_FAILED, BAD_VALUE, KEY_NOT_FOUND, NAMESPACE_NOT_FOUND, NOT_YET_INITIALIZED,
    Scripted, Setup, UNAUTHORIZED, fail_open,
};

/// A user whose password must never be shown.
const USER: &str = "ada:hunter2@";

/// The one error, which is for a person to act on, with everything that it has to say.
async fn refusal(setup: Setup, user: &str, options: &str, says: &[&str]) {
    let server = Scripted::with(setup, []).await;
    let url = server.url_of(user) + options;
    let error = connect(&url).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert_says(&error, &server.hosts(), says);
}

fn assert_says(error: &Error, host: &str, says: &[&str]) {
    let text = error.chain();
    for part in says.iter().chain([&host]) {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    for secret in ["hunter2", "mongodb://"] {
        assert!(
            !text.contains(secret) && !format!("{error:?}").contains(secret),
            "{error:?}"
        );
    }
    assert!(!text.contains('\n'), "{text:?}");
}

fn refusing(command: &'static str, failure: crate::support::wire::Failure) -> Setup {
    Setup {
        refuses: vec![(command, failure)],
        ..Setup::default()
    }
}

#[tokio::test]
async fn a_standalone_server() {
    let setup = Setup {
        standalone: true,
        ..Setup::default()
    };
    refusal(
        setup,
        "",
        "",
        &["change streams need a replica set", "--replSet"],
    )
    .await;
}

/// The usual mistake: the URL names a replica set, and the server is none.
#[tokio::test]
async fn a_standalone_server_under_the_url_of_a_set() {
    let setup = Setup {
        standalone: true,
        ..Setup::default()
    };
    let says = ["change streams need a replica set", "--replSet"];
    refusal(
        setup,
        "",
        "?replicaSet=scripted&serverSelectionTimeoutMS=300",
        &says,
    )
    .await;
}

#[tokio::test]
async fn wrong_credentials() {
    let setup = refusing("saslStart", AUTHENTICATION_FAILED);
    refusal(setup, USER, "", &["password", "source.url"]).await;
}

#[tokio::test]
async fn no_permission_for_change_streams() {
    let setup = refusing("aggregate", UNAUTHORIZED);
    refusal(
        setup,
        USER,
        "&authMechanism=PLAIN",
        &["changeStream", "grant"],
    )
    .await;
}

#[tokio::test]
async fn no_permission_for_anything() {
    let setup = refusing("find", UNAUTHORIZED);
    refusal(setup, USER, "&authMechanism=PLAIN", &["grant"]).await;
}

#[tokio::test]
async fn a_missing_database() {
    let setup = refusing("aggregate", NAMESPACE_NOT_FOUND);
    refusal(setup, "", "", &["database", "source.database"]).await;
}

#[tokio::test]
async fn a_version_that_is_not_supported() {
    // MongoDB 4.2 and 3.6.
    for wire_version in [8, 6] {
        let setup = Setup {
            wire_version,
            ..Setup::default()
        };
        refusal(setup, "", "", &["use MongoDB 4.4 or later"]).await;
    }
}

/// As a server does that cannot reckon with its clock as the lease asks: it says so for ever.
#[tokio::test]
async fn a_command_that_will_never_be_done_ends_the_wait_for_the_lease() {
    let server = Scripted::with(refusing("findAndModify", BAD_VALUE), []).await;
    let source = connect(&server.url()).await.unwrap();
    let error = source.acquire("ada").await.unwrap_err();
    assert_eq!(error.recovery(), lockstep::Recovery::Stop);
    assert_says(&error, &server.hosts(), &["BadValue", "source.url"]);
}

#[tokio::test]
async fn a_stream_that_will_never_be_opened_says_why() {
    let (server, source) = super::open(Setup::default()).await;
    server.play([fail_open(BAD_VALUE)]);
    let error = source.watch(None).await.unwrap_err();
    assert_eq!(error.recovery(), lockstep::Recovery::Stop);
    // The same with the label that says that it may pass.
    server.play([fail_open(BAD_VALUE.labelled("RetryableError"))]);
    let error = source.watch(None).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    source.watch(None).await.unwrap();
}

/// The one error, which is to be waited out; and then it works.
async fn only_for_now(setup: Setup, says: &[&str]) {
    let server = Scripted::with(setup, []).await;
    let url = server.url_of(USER) + "&authMechanism=PLAIN&serverSelectionTimeoutMS=";
    let error = connect(&(url.clone() + "300")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_says(&error, &server.hosts(), says);
    server.recover();
    connect(&(url + "30000")).await.unwrap();
}

/// A member of a set with users comes back before it has the keys by which it signs.
#[tokio::test]
async fn a_member_that_has_just_come_back() {
    let setup = refusing("saslStart", KEY_NOT_FOUND);
    only_for_now(setup, &["KeyNotFound"]).await;
}

#[tokio::test]
async fn a_set_that_has_just_begun() {
    let setup = refusing("find", NOT_YET_INITIALIZED);
    only_for_now(setup, &["NotYetInitialized"]).await;
}

#[tokio::test]
async fn a_set_that_is_initiated_after_its_server_has_started() {
    let setup = Setup {
        uninitiated: true,
        ..Setup::default()
    };
    only_for_now(setup, &["never initiated", "rs.initiate()"]).await;
}

/// It may be there later: capture keeps trying.
#[tokio::test]
async fn an_unreachable_host() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let url = format!("mongodb://{USER}{host}/?serverSelectionTimeoutMS=200");
    let error = connect(&url).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_says(&error, &host, &["refused"]);
}
