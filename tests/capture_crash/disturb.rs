//! What is done to capture and its surroundings, and when.

use std::time::Duration;

use fastrand::Rng;
use tokio::task::block_in_place;

use super::scene::Scene;

/// What capture says when a message was not confirmed.
const REFUSED: &str = "publishing again";
/// How often it is to say so more: the first may be of a watermark, which the next one makes up for.
const REFUSALS: usize = 5;
/// The queues that carry changes.
const QUEUES: &str = r"^crash\.(changes|backfill)\.";
/// So few messages that the next ones are refused.
const FULL: &str = r#"{"max-length":1}"#;
/// As many as anybody has; without any limit the broker would not tell publishers that there is room again.
const ROOM: &str = r#"{"max-length":1000000}"#;

/// Something that happens while everybody works.
#[derive(Debug, Clone, Copy)]
pub(super) enum Disturbance {
    /// `kill -9` of capture; another is started.
    Kill,
    /// `kill -9` of capture while another stands by.
    TakeOver,
    /// Capture stands still until the one that stands by has taken over, then goes on.
    Freeze,
    /// `kill -9` of the broker; it is started again.
    Broker,
    /// The connections to MongoDB are cut.
    CutSource,
    /// The connections to the broker are cut.
    CutQueue,
    /// The broker refuses messages, one by one: its queues are full, since nobody reads them.
    Refuse,
}

impl Disturbance {
    const KINDS: [Self; 6] = [
        Self::Kill,
        Self::TakeOver,
        Self::Broker,
        Self::CutSource,
        Self::CutQueue,
        Self::Refuse,
    ];
}

/// Disturbances in a random order, each kind as often as any other.
#[derive(Debug, Default)]
pub(super) struct Deck {
    left: Vec<Disturbance>,
}

impl Deck {
    pub(super) fn draw(&mut self, random: &mut Rng) -> Disturbance {
        if self.left.is_empty() {
            self.left = Disturbance::KINDS.to_vec();
            random.shuffle(&mut self.left);
        }
        match self.left.pop() {
            Some(Disturbance::TakeOver) if random.bool() => Disturbance::Freeze,
            drawn => drawn.unwrap_or(Disturbance::Kill),
        }
    }
}

/// When it happens.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after the one before, whether or not all has recovered.
    After(Duration),
    /// When so many more changes have come through.
    Received(usize),
}

impl Moment {
    fn choose(random: &mut Rng) -> Self {
        if random.bool() {
            Self::After(Duration::from_millis(random.u64(0..=800)))
        } else {
            Self::Received(random.usize(1..=400))
        }
    }
}

impl Scene {
    /// Waits for a random moment, disturbs, and checks the saved position.
    pub(super) async fn disturb(&mut self, disturbance: Disturbance, random: &mut Rng) {
        self.wait(Moment::choose(random)).await;
        match disturbance {
            Disturbance::Kill => {
                self.active.take().unwrap().kill();
                self.check_position().await;
                self.active = Some(self.start());
            }
            Disturbance::TakeOver => {
                let standby = self.stand_by().await;
                self.active.replace(standby).unwrap().kill();
                self.check_position().await;
            }
            Disturbance::Freeze => {
                let standby = self.stand_by().await;
                let old = self.active.replace(standby).unwrap();
                old.freeze();
                self.active().until(&["capture is ours"]).await;
                old.thaw();
                old.until(&["another process has taken capture over"]).await;
            }
            Disturbance::Broker => {
                block_in_place(|| self.broker.kill());
                self.wait(Moment::After(Duration::from_millis(random.u64(0..=300))))
                    .await;
                block_in_place(|| self.broker.restart());
            }
            Disturbance::CutSource => self.to_source.cut(),
            Disturbance::CutQueue => self.to_queue.cut(),
            Disturbance::Refuse => self.refuse().await,
        }
        self.active().assert_running();
        self.check_position().await;
    }

    /// Full queues, until capture has been refused some messages and says so.
    async fn refuse(&mut self) {
        let before = self.active().count(REFUSED);
        self.folder.pause(true);
        let limit = |limit| ["set_policy", "full", QUEUES, limit, "--apply-to", "queues"];
        block_in_place(|| self.broker.control(&limit(FULL)));
        self.active().until_more(REFUSED, before + REFUSALS).await;
        block_in_place(|| self.broker.control(&limit(ROOM)));
        self.folder.pause(false);
    }

    async fn wait(&self, moment: Moment) {
        match moment {
            Moment::After(pause) => tokio::time::sleep(pause).await,
            Moment::Received(more) => {
                let enough = self.folder.folded().received() + more;
                let what = |_: &_| "more changes to come through".to_owned();
                self.folder
                    .until(what, |folded| folded.received() >= enough)
                    .await;
            }
        }
    }
}
