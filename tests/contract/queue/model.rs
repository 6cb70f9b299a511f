//! The simulation's queue under the contract.

use lockstep::change::Place;
use lockstep::clock::Clock;
use lockstep::simulate::{Chaos, QueueModel};

use super::{PARTITIONS, Subject, suite};

pub(crate) struct Simulated(QueueModel);

impl Subject for Simulated {
    type Queue = QueueModel;

    async fn open() -> Self {
        Self(QueueModel::new(
            PARTITIONS,
            Chaos::calm(),
            Clock::manual(5_000),
        ))
    }

    fn queue(&self) -> &QueueModel {
        &self.0
    }

    async fn reopen(self) -> Self {
        self
    }

    async fn inject(&self, place: Place, _bytes: &[u8]) -> bool {
        self.0.garbage(place);
        true
    }
}

suite!(Simulated);
