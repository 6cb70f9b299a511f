//! What a consumer asks of the broker, a step at a time: each is a future of its own, which outlives a
//! dropped `receive` and is gone on with by the next one.
//!
//! Each call of a step has a bound of its own. Nobody may poll a step for long, while a worker embeds: then the
//! first answer is there, and a bound of the whole step would be over before the second call goes out.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::join_all;
use lapin::{Acker, Channel};

use lapin::message::Delivery as Message;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::FieldTable;
use tokio::time::{Instant, timeout_at};

use super::broker::Broker;
use super::shelf::Subscribe;

/// Between two looks whether an answer can still come.
const LOOK: Duration = Duration::from_secs(1);

/// Ready with the deliveries of a new subscription, if it is one.
pub(super) type Stepping =
    Pin<Box<dyn Future<Output = lapin::Result<Option<lapin::Consumer>>> + Send>>;

/// Something that is done to a line by the broker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Subscribe(Subscribe),
    /// The subscription is cancelled, then what was done is acknowledged.
    Leave,
    /// Barriers go behind what was given back, up to the one with this tag.
    SendBack(u64),
    /// Whoever consumes nothing sees no end: it asks whether its generation is over.
    Look,
}

/// The subscriptions of a consumer's lines, all on its one channel.
#[derive(Debug)]
pub(super) struct Subscriptions {
    channel: Channel,
    /// The consumer tag of each line's.
    tags: Vec<Option<String>>,
    /// The longest wait for each answer that stands behind deliveries.
    within: Duration,
    /// The same for what takes the broker no time.
    written_within: Duration,
}

impl Subscriptions {
    /// Of so many lines, none of which is subscribed to.
    pub(super) fn new(channel: Channel, lines: usize, broker: &Broker) -> Self {
        Self {
            channel,
            tags: vec![None; lines],
            within: broker.deliver_within,
            written_within: broker.answer_within,
        }
    }

    /// The channel, which is closed when nobody has it any more.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    fn take(&mut self, line: usize) -> Option<String> {
        self.tags.get_mut(line)?.take()
    }

    /// Cancels a line's subscription, then acknowledges what was done of it.
    pub(super) fn leave(&mut self, line: usize, done: Vec<Message>) -> Stepping {
        let (channel, old) = (self.channel.clone(), self.take(line));
        let (within, written_within) = (self.within, self.written_within);
        Box::pin(async move {
            let is_up = || channel.status().connected();
            answered(within, is_up, cancel(&channel, old)).await?;
            for message in done {
                let ack = message.acker.ack(BasicAckOptions::default());
                answered(written_within, is_up, ack).await?;
            }
            Ok(None)
        })
    }

    /// Gives these back, behind all that was given back before.
    pub(super) fn send_back(&self, barriers: Vec<Acker>) -> Stepping {
        let (channel, within) = (self.channel.clone(), self.written_within);
        Box::pin(async move {
            let options = BasicNackOptions {
                requeue: true,
                ..BasicNackOptions::default()
            };
            for barrier in barriers {
                let is_up = || channel.status().connected();
                answered(within, is_up, barrier.nack(options)).await?;
            }
            Ok(None)
        })
    }

    /// Subscribes to the queue of a line, in place of its older subscription.
    pub(super) fn subscribe(&mut self, subscribe: Subscribe, queue: String) -> Stepping {
        // Sorted by age, since the broker gives back in the order of these.
        let tag = format!("{:05}.{:010}", subscribe.line, subscribe.epoch);
        let slot = self.tags.get_mut(subscribe.line);
        let old = slot.and_then(|slot| slot.replace(tag.clone()));
        let window = u16::try_from(subscribe.window).unwrap_or(u16::MAX);
        replace(
            (self.channel.clone(), self.within),
            (old, tag),
            queue,
            window,
        )
    }

    /// Ends the subscriptions of these lines, all within the time of one answer.
    pub(super) async fn cancel(&mut self, lines: Vec<usize>) -> lapin::Result<()> {
        let (channel, tags) = (&self.channel, &mut self.tags);
        let cancels = async {
            for line in lines {
                let tag = tags.get_mut(line).and_then(Option::take);
                cancel(channel, tag).await?;
            }
            Ok::<_, lapin::Error>(())
        };
        answered(self.within, || channel.status().connected(), cancels).await
    }
}

/// Acknowledges these; false where the connection of one is closed.
pub(super) async fn acknowledge(done: &[Message]) -> lapin::Result<bool> {
    let acks = done
        .iter()
        .map(|message| message.acker.ack(BasicAckOptions::default()));
    let acked: lapin::Result<Vec<bool>> = join_all(acks).await.into_iter().collect();
    Ok(acked?.into_iter().all(|acked| acked))
}

/// What the broker answers, which fails where that does not come within this time. It begins with the call, and an
/// answer that came while nobody polled is taken however late.
///
/// It fails sooner where what it was asked on is down at two looks in a row: the client now and then forgets an
/// answer when the socket is closed, and then it does not come.
pub(super) async fn answered<T>(
    within: Duration,
    is_up: impl Fn() -> bool,
    asked: impl Future<Output = lapin::Result<T>>,
) -> lapin::Result<T> {
    let mut asked = pin!(asked);
    let until = Instant::now() + within;
    let mut was_up = true;
    loop {
        let look = until.min(Instant::now() + LOOK);
        let elapsed = match timeout_at(look, asked.as_mut()).await {
            Ok(answer) => return answer,
            Err(elapsed) => elapsed,
        };
        let is_up = is_up();
        if look == until || (!is_up && !was_up) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, elapsed).into());
        }
        was_up = is_up;
    }
}

/// Subscribes to a queue as `tag`, with so many messages in flight, in place of an older subscription.
fn replace(
    (channel, within): (Channel, Duration),
    (old, tag): (Option<String>, String),
    queue: String,
    window: u16,
) -> Stepping {
    Box::pin(async move {
        let is_up = || channel.status().connected();
        answered(within, is_up, cancel(&channel, old)).await?;
        // Holds for consumers that begin after it.
        let qos = channel.basic_qos(window, BasicQosOptions::default());
        answered(within, is_up, qos).await?;
        let options = BasicConsumeOptions::default();
        let none = FieldTable::default();
        let consume = channel.basic_consume(queue.into(), tag.into(), options, none);
        answered(within, is_up, consume).await.map(Some)
    })
}

async fn cancel(channel: &Channel, tag: Option<String>) -> lapin::Result<()> {
    match tag {
        Some(tag) => {
            let options = BasicCancelOptions::default();
            channel.basic_cancel(tag.into(), options).await
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_the_broker_does_not_answer_fails() {
        let call = answered(WITHIN, || true, pending::<lapin::Result<()>>());
        let failed = tokio::time::timeout(2 * WITHIN, call).await;
        assert!(failed.expect("it waits for ever").is_err());
    }

    /// Down between these seconds, and answered after that many.
    async fn answers(down: std::ops::Range<u64>, after: u64) -> (bool, Duration) {
        let begun = Instant::now();
        let is_up = || !down.contains(&begun.elapsed().as_secs());
        let asked = tokio::time::sleep(Duration::from_secs(after)).map(Ok::<_, lapin::Error>);
        let answer = answered(WITHIN, is_up, asked).await;
        (answer.is_ok(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_the_client_has_forgotten_is_not_waited_for_once_its_channel_is_down() {
        let (is_answered, after) = answers(5..100, 1000).await;
        assert!(!is_answered);
        assert!(after < Duration::from_secs(10), "{after:?}");
        // What is down at one look may be on its way to say why.
        assert!(answers(5..6, 20).await.0);
        assert!(answers(100..101, 20).await.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_nobody_polls_for_long_is_not_taken_for_a_silent_broker() {
        let (answer, first) = oneshot::channel::<()>();
        let (second_answer, second) = oneshot::channel::<()>();
        let answer_of = |answer: oneshot::Receiver<()>| answer.map(|_| Ok::<_, lapin::Error>(()));
        let mut step: Stepping = Box::pin(async move {
            answered(WITHIN, || true, answer_of(first)).await?;
            answered(WITHIN, || true, answer_of(second)).await?;
            answered(WITHIN, || true, ready(Ok(None))).await
        });
        assert!((&mut step).now_or_never().is_none());
        answer.send(()).unwrap();
        tokio::time::advance(WITHIN + Duration::from_secs(1)).await;
        // Here the first answer is taken, and the second call goes out.
        assert!((&mut step).now_or_never().is_none());
        second_answer.send(()).unwrap();
        tokio::time::advance(WITHIN + Duration::from_secs(1)).await;
        assert!(matches!((&mut step).now_or_never(), Some(Ok(None))));
    }
}
