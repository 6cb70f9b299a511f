//! The checkpoint that the model keeps.

use super::{SourceModel, index};
use crate::Result;
use crate::source::{Checkpoint, Checkpoints};

impl Checkpoints for SourceModel {
    async fn load(&self) -> Result<Option<Checkpoint>> {
        self.chaos.step("source", "load the checkpoint").await?;
        self.answered("load the checkpoint")?;
        Ok(self.state().checkpoint.clone())
    }

    async fn save(&self, checkpoint: Checkpoint) -> Result<()> {
        self.chaos.step("source", "save the checkpoint").await?;
        self.answered("save the checkpoint")?;
        {
            let mut state = self.state();
            let before = state.checkpoint.as_ref().map(|before| before.resets);
            if before.is_none_or(|resets| checkpoint.resets > resets) {
                state.snapshot_from = index(&checkpoint.position);
            }
            tracing::trace!(?checkpoint, "saved");
            state.checkpoint = Some(checkpoint);
        }
        self.chaos.step("source", "save the checkpoint").await
    }
}
