//! The simulation's store over the suite.

use lockstep::simulate::{Chaos, VectorModel};

use super::Subject;

pub(crate) struct Simulated(VectorModel);

impl Subject for Simulated {
    type Store = VectorModel;

    async fn open() -> Self {
        Self(VectorModel::new(Chaos::calm()))
    }

    fn store(&self) -> &VectorModel {
        &self.0
    }

    async fn reopen(self) -> Self {
        self
    }
}

super::suite!(Simulated);
