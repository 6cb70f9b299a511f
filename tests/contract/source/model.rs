//! The simulation's source under the contract.

use lockstep::clock::Clock;
use lockstep::simulate::{Chaos, SourceModel};

use super::{Subject, suite};

pub(crate) struct Simulated(SourceModel);

impl Subject for Simulated {
    type Source = SourceModel;

    async fn open() -> Self {
        Self(SourceModel::new(Chaos::calm(), Clock::manual(1_000)))
    }

    fn source(&self) -> &SourceModel {
        &self.0
    }

    async fn reopen(self) -> Self {
        self
    }

    async fn lose_history(&self) {
        self.0.trim();
    }
}

suite!(Simulated);
