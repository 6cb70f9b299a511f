//! What a broker that will not have us is told as.

use lapin::types::AMQPValue;

use super::*;

async fn error(settings: &Settings) -> lockstep::Error {
    RabbitQueue::open(settings.clone(), Clock::manual(0))
        .await
        .unwrap_err()
}

fn url(settings: &Settings, from: &str, to: &str) -> String {
    let url = settings.url.replace(from, to);
    assert_ne!(url, settings.url);
    url
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_refused_with_the_difference_and_the_fix() {
    let settings = settings();
    let (_connection, channel) = stranger(&settings.url).await;
    let name = format!("{}.changes.1.1", settings.name);
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declare = channel.queue_declare(name.clone().into(), durable, FieldTable::default());
    declare.await.unwrap();
    let error = error(&settings).await.to_string();
    assert!(
        error.contains(&name) && error.contains("inequivalent arg"),
        "{error}"
    );
    assert!(
        error.contains("127.0.0.1") && error.contains("delete it"),
        "{error}"
    );
}

#[tokio::test]
async fn a_queue_of_the_seed_with_arguments_is_refused_with_the_setting_that_names_it() {
    let mut settings = settings();
    let name = format!("{}-default", settings.name);
    let (_connection, channel) = stranger(&settings.url).await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(60_000));
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declare = channel.queue_declare(name.clone().into(), durable, arguments);
    declare.await.unwrap();
    let queue = open(&settings).await;
    let taken = queue.take_in(&name, |_| {}, std::future::pending()).await;
    settings.seed_consumers = Some(name);
    for (error, setting) in [
        (taken.unwrap_err(), "queue.seed_producers"),
        (error(&settings).await, "queue.seed_consumers"),
    ] {
        assert_eq!(error.recovery(), lockstep::Recovery::Stop);
        let error = error.chain();
        assert!(error.contains(setting), "{error}");
        assert!(!error.contains("queue.name"), "{error}");
    }
}

/// What tells a broker that is new enough; older ones take it.
#[tokio::test]
async fn a_classic_queue_with_an_argument_of_quorum_queues_is_refused() {
    let settings = settings();
    open(&settings).await;
    let (_connection, channel) = stranger(&settings.url).await;
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-dead-letter-strategy".into(),
        AMQPValue::LongString("at-least-once".into()),
    );
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let declare = channel.queue_declare("".into(), exclusive, arguments);
    let error = declare.await.unwrap_err().to_string();
    assert!(error.contains("x-dead-letter-strategy"), "{error}");
}

/// A worker goes by it, and it is for capture to change.
#[tokio::test]
async fn the_stored_number_of_partitions_is_the_one_that_holds() {
    let mut settings = settings();
    open(&settings).await;
    settings.partitions = 3;
    assert_eq!(open(&settings).await.partitions(), PARTITIONS);
    // What the broker says of a long name has no room for the number.
    settings.name = format!("{}-{}", settings.name, "long".repeat(28));
    open(&settings).await;
    settings.partitions = 2;
    assert_eq!(open(&settings).await.partitions(), 3);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_never_shown() {
    let mut settings = settings();
    settings.url = url(&settings, ":guest@", ":s3cret@");
    let error = error(&settings).await;
    assert_eq!(error.recovery(), lockstep::Recovery::Stop);
    let error = error.chain();
    assert!(
        error.contains("127.0.0.1") && error.contains("the password"),
        "{error}"
    );
    assert!(!error.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn an_unknown_virtual_host_is_refused_with_the_fix() {
    let mut settings = settings();
    settings.url.push_str("/nowhere");
    let error = error(&settings).await.chain();
    assert!(error.contains("create the virtual host nowhere"), "{error}");
}

/// After a network was cut, the broker counts for a while the connections that are gone.
#[tokio::test]
async fn who_may_have_no_more_connections_now_may_have_them_later() {
    let _alone = broker::alone().await;
    let broker = Broker::start();
    let settings = settings_at(broker.url());
    let none = r#"{"max-connections": 0}"#;
    let limits: [(&[&str], &[&str]); 2] = [
        (
            &["set_user_limits", "guest", none],
            &["clear_user_limits", "guest", "all"],
        ),
        (&["set_vhost_limits", none], &["clear_vhost_limits"]),
    ];
    for (limit, clear) in limits {
        broker.control(limit);
        let error = error(&settings).await;
        let retried = matches!(error.recovery(), lockstep::Recovery::Retry(_));
        assert!(retried, "{error:?}");
        let error = error.chain();
        assert!(error.contains("connection limit (0)"), "{error}");
        broker.control(clear);
    }
    open(&settings).await;
}

#[tokio::test]
async fn a_host_that_does_not_answer_may_answer_later() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let error = error(&settings_at(format!("amqp://guest:s3cret@{address}"))).await;
    assert!(
        matches!(error.recovery(), lockstep::Recovery::Retry(_)),
        "{error:?}"
    );
    let error = error.chain();
    assert!(
        error.contains(&address.to_string()) && !error.contains("s3cret"),
        "{error}"
    );
}
