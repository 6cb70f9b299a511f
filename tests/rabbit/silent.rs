//! A broker that says nothing any more, over a connection that stays open.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::support::proxy::Proxy;

/// The longest wait for anything that has to happen.
const PATIENCE: Duration = Duration::from_mins(1);
/// What `channel.open` begins with.
const CHANNEL_OPEN: [u8; 4] = [0, 20, 0, 10];

/// These settings, by another way to the broker and with so much patience.
fn by(settings: &Settings, address: std::net::SocketAddr, answer_within: Duration) -> Settings {
    let mut by = settings.clone();
    by.url = format!("amqp://guest:guest@{address}");
    by.answer_within = answer_within;
    by.deliver_within = answer_within;
    by
}

/// Lets whoever connects in, and nothing through from the first channel on.
async fn mute(near: TcpStream, target: String) {
    let far = TcpStream::connect(target).await.unwrap();
    let ((mut near, mut to_near), (mut far, mut to_far)) = (near.into_split(), far.into_split());
    let there = async {
        let mut bytes = vec![0; 16 << 10];
        loop {
            let count = near.read(&mut bytes).await.unwrap_or(0);
            let said = &bytes[..count];
            if said.windows(4).any(|four| four == CHANNEL_OPEN) {
                std::future::pending::<()>().await;
            }
            if count == 0 || to_far.write_all(said).await.is_err() {
                return;
            }
        }
    };
    let back = tokio::io::copy(&mut far, &mut to_near);
    tokio::select! {
        () = there => {}
        _ = back => {}
    }
}

async fn serve(listener: TcpListener, target: &str) {
    let mut served = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.unwrap();
        served.spawn(mute(near, target.to_owned()));
    }
}

#[tokio::test]
async fn who_is_let_in_and_not_answered_gives_the_connection_up_and_says_so() {
    let settings = settings();
    let (_, target) = settings.url.rsplit_once('@').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let by = by(&settings, address, Duration::from_millis(500));
    let opening = RabbitQueue::open(by, Clock::manual(0));
    let opened = tokio::select! {
        opened = tokio::time::timeout(PATIENCE, opening) => opened.expect("it waits for ever"),
        () = serve(listener, target) => unreachable!("it serves for ever"),
    };
    let error = opened.unwrap_err();
    let retried = matches!(error.recovery(), lockstep::Recovery::Retry(_));
    assert!(retried, "{error:?}");
    assert!(error.chain().contains("open a channel"), "{error:?}");
}

#[tokio::test]
async fn a_subscription_that_is_not_answered_is_given_up() {
    let settings = settings();
    let (_, target) = settings.url.rsplit_once('@').unwrap();
    let proxy = Proxy::start(target.to_owned()).await;
    // Declared before, which may take a broker longer.
    open(&settings).await;
    let by = by(&settings, proxy.address(), Duration::from_secs(5));
    let queue = open(&by).await;
    let mut consumer = queue.consume(vec![0]).await.unwrap();
    proxy.stall(true);
    let received = tokio::time::timeout(PATIENCE, consumer.receive(1)).await;
    let error = received.expect("it waits for ever").unwrap_err();
    let retried = matches!(error.recovery(), lockstep::Recovery::Retry(_));
    assert!(retried, "{error:?}");
    drop(consumer);
    proxy.stall(false);
    // By then the connection that said nothing has gone, for this process.
    publish(&queue, vec![edit(0, 7, 10)]).await.unwrap();
    let mut consumer = queue.consume(vec![0]).await.unwrap();
    assert_eq!(drain(&mut consumer, 1).await, [7]);
}
