//! The seed's programs on either side of the queue.

use super::*;

#[tokio::test]
async fn a_message_as_the_seeds_producer_sends_it_is_taken() {
    let settings = settings();
    let queue = open(&settings).await;
    let (_connection, channel) = stranger(&settings.url).await;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    // What pika sends for `json.dumps(change, default=json_util.default)` with delivery mode 2.
    let body = br#"{"platform": "medium", "content": {"Title": "T", "Content": "text"}, "published_at": {"$date": 1700000000123}, "author_id": {"$oid": "65f0a1b2c3d4e5f6a7b8c9d1"}, "type": "articles", "entry_id": "65f0a1b2c3d4e5f6a7b8c9d0"}"#;
    let properties = BasicProperties::default().with_delivery_mode(2);
    let (name, options) = (queue.queue_name(live(0)), BasicPublishOptions::default());
    let publish = channel.basic_publish("".into(), name.into(), options, body, properties);
    assert!(publish.await.unwrap().await.unwrap().is_ack());
    let mut consumer = queue.consume(vec![0]).await.unwrap();
    let delivery = consumer.receive(1).await.unwrap().remove(0);
    let Ok(Message::Change(change)) = delivery.message else {
        panic!("{delivery:?}")
    };
    let id = serde_json::json!({"$oid": "65f0a1b2c3d4e5f6a7b8c9d0"});
    assert_eq!(change.key, DocumentKey::from_json("articles", &id).unwrap());
    assert_eq!(
        (change.version, change.operation),
        (Version::NONE, Operation::Insert)
    );
    let fields = change.fields.unwrap();
    assert_eq!(
        fields["published_at"],
        serde_json::json!({"$date": "2023-11-14T22:13:20.123Z"})
    );
    assert!(!fields.contains_key("type") && !fields.contains_key("entry_id"));
}

#[tokio::test]
async fn the_seeds_consumer_gets_a_copy_that_its_body_alone_explains() {
    let mut settings = settings();
    let name = format!("{}-default", settings.name);
    settings.seed_consumers = Some(name.clone());
    let queue = open(&settings).await;
    let (_connection, channel) = stranger(&settings.url).await;
    // As the seed's pipeline does on its own start.
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declare = channel.queue_declare(name.clone().into(), durable, FieldTable::default());
    declare.await.unwrap();
    let id = serde_json::json!({"$oid": "65f0a1b2c3d4e5f6a7b8c9d0"});
    let key = DocumentKey::from_json("articles", &id).unwrap();
    let fields = serde_json::json!({"platform": "medium", "content": {"Title": "T"}});
    let of = |operation, fields: Option<&serde_json::Value>, sequence| {
        let version = Version::read(1, Time::from_sequence(sequence));
        let fields = fields.and_then(|fields| fields.as_object().cloned());
        let change = Change::new(key.clone(), version, operation, fields, 0);
        Outgoing::change(change, Lane::Live, PARTITIONS)
    };
    let batch = vec![
        of(Operation::Insert, Some(&fields), 1),
        of(Operation::Delete, None, 2),
    ];
    let confirms = publish(&queue, batch).await.unwrap();
    assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
    let get = || channel.basic_get(name.clone().into(), BasicGetOptions { no_ack: true });
    let copy = get().await.unwrap().expect("there is a copy");
    let body: serde_json::Value = serde_json::from_slice(&copy.data).unwrap();
    let expected = serde_json::json!({
        "platform": "medium", "content": {"Title": "T"},
        "type": "articles", "entry_id": "65f0a1b2c3d4e5f6a7b8c9d0",
    });
    assert_eq!(body, expected);
    assert!(get().await.unwrap().is_none(), "it knows no deletes");
    let mut consumer = queue.consume(vec![0, 1]).await.unwrap();
    let mut ours = 0;
    while ours < 2 {
        ours += consumer.receive(2).await.unwrap().len();
    }
}

#[tokio::test]
async fn a_seed_consumer_that_is_away_holds_publishing_up_before_its_queue_grows_beyond_its_bound()
{
    let mut settings = settings();
    settings.seed_consumers = Some(format!("{}-default", settings.name));
    settings.seed_backlog_max = 2;
    let queue = open(&settings).await;
    let batch = vec![edit(0, 0, 10), edit(0, 1, 10)];
    let confirms = publish(&queue, batch).await.unwrap();
    assert!(confirms.iter().all(is_confirmed));
    let late = publish(&queue, vec![edit(0, 2, 10)]).await;
    let error = late.unwrap_err();
    assert!(matches!(error.recovery(), lockstep::Recovery::Retry(_)));
    assert!(
        error.chain().contains("start its consumer"),
        "{}",
        error.chain()
    );
}

#[tokio::test]
async fn what_a_seed_producer_sends_to_its_own_queue_is_moved_to_ours() {
    let settings = settings();
    let queue = open(&settings).await;
    let producer = Producer::new(&settings).await;
    producer.send("no json").await;
    producer.send(POST).await;
    let name = producer.queue.as_str();
    let mut consumer = queue.consume(vec![0, 1]).await.unwrap();
    let delivery = tokio::select! {
        moved = queue.take_in(name, |_| {}, std::future::pending()) => panic!("{moved:?}"),
        delivery = consumer.receive(1) => delivery.unwrap().remove(0),
    };
    let Ok(Message::Change(change)) = delivery.message else {
        panic!("{delivery:?}")
    };
    assert_eq!(change.key, DocumentKey::text("posts", "a"));
    assert_eq!(
        (change.version, change.committed_ms),
        (Version::NONE, 5_000)
    );
    assert_eq!(delivery.place.partition, change.key.partition(PARTITIONS));
    let parked = queue.parked(None, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert!(parked[0].reason.contains("no JSON"), "{}", parked[0].reason);
}

#[tokio::test]
async fn what_a_producer_sends_is_moved_in_its_order_whatever_its_size() {
    let settings = settings();
    let queue = open(&settings).await;
    let producer = Producer::new(&settings).await;
    // The first large one comes when many were fetched at once, and the next ones alone.
    let count: usize = 120;
    for number in 0..count {
        let is_large = (60..63).contains(&number);
        let bytes = if is_large { 12 << 20 } else { 10 };
        let text = "x".repeat(bytes);
        let body = serde_json::json!({"n": number, "t": text, "type": "posts", "entry_id": "a"});
        producer.send(&body.to_string()).await;
    }
    let name = producer.queue.as_str();
    let mut consumer = queue.consume(vec![0, 1]).await.unwrap();
    let receive = async {
        let mut moved = Vec::new();
        while moved.len() < count {
            let deliveries = consumer.receive(64).await.unwrap();
            for delivery in &deliveries {
                let Ok(Message::Change(change)) = &delivery.message else {
                    panic!("{delivery:?}")
                };
                let number = change.fields.as_ref().unwrap()["n"].as_u64();
                moved.push(usize::try_from(number.unwrap()).unwrap());
            }
            let tags = deliveries.iter().map(|delivery| delivery.tag);
            consumer.settle(tags.collect()).await.unwrap();
        }
        moved
    };
    let moved = tokio::select! {
        ended = queue.take_in(name, |_| {}, std::future::pending()) => panic!("{ended:?}"),
        moved = receive => moved,
    };
    assert_eq!(moved, (0..count).collect::<Vec<_>>());
}

#[tokio::test]
async fn of_two_who_move_what_producers_send_one_waits_until_the_other_is_gone() {
    let settings = settings();
    let queue = open(&settings).await;
    let producer = Producer::new(&settings).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async {
        stopped.await.ok();
    };
    let mut first = Box::pin(queue.take_in(&producer.queue, |_| {}, stopped));
    producer.send(POST).await;
    let mut consumer = queue.consume(vec![0, 1]).await.unwrap();
    tokio::select! {
        moved = &mut first => panic!("{moved:?}"),
        delivery = consumer.receive(1) => drop(delivery.unwrap()),
    }
    let another = || queue.take_in(&producer.queue, |_| {}, std::future::pending());
    let second = tokio::time::timeout(std::time::Duration::from_mins(1), another());
    let second = tokio::select! {
        moved = &mut first => panic!("{moved:?}"),
        second = second => second.expect("it is not let in").unwrap_err(),
    };
    assert!(matches!(second.recovery(), lockstep::Recovery::Retry(_)));
    let said = second.chain();
    assert!(said.contains("exclusive"), "{said}");
    stop.send(()).unwrap();
    first.await.unwrap();
    producer.send(POST).await;
    // The broker may see the first one for a moment longer; capture tries again, too.
    let moved = loop {
        tokio::select! {
            refused = another() => drop(refused.unwrap_err()),
            delivery = consumer.receive(1) => break delivery.unwrap(),
        }
    };
    assert_eq!(moved.len(), 1);
}

/// What a producer of the seed's sends.
const POST: &str = r#"{"n": 1, "type": "posts", "entry_id": "a"}"#;

/// A producer with a plain queue of its own.
struct Producer {
    _connection: Connection,
    channel: Channel,
    queue: String,
}

impl Producer {
    async fn new(settings: &Settings) -> Self {
        let queue = format!("{}-default", settings.name);
        let (connection, channel) = stranger(&settings.url).await;
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let declare = channel.queue_declare(queue.clone().into(), durable, FieldTable::default());
        declare.await.unwrap();
        let confirms = ConfirmSelectOptions::default();
        channel.confirm_select(confirms).await.unwrap();
        Self {
            _connection: connection,
            channel,
            queue,
        }
    }

    async fn send(&self, body: &str) {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let to = self.queue.clone().into();
        let publish =
            (self.channel).basic_publish("".into(), to, options, body.as_bytes(), properties);
        assert!(publish.await.unwrap().await.unwrap().is_ack());
    }
}
