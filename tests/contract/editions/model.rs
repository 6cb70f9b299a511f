//! The simulation's editions over the suite.

use lockstep::simulate::{Chaos, EditionsModel};

use super::Subject;

pub(crate) struct Simulated(EditionsModel);

impl Subject for Simulated {
    type Editions = EditionsModel;

    async fn open() -> Self {
        Self(EditionsModel::new(Chaos::calm()))
    }

    fn editions(&self) -> &EditionsModel {
        &self.0
    }

    async fn reopen(self) -> Self {
        self
    }

    async fn has_files(&self, number: u32) -> bool {
        self.0.is_there(number)
    }
}

super::suite!(Simulated);
