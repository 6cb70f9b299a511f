//! The checkpoint of a session, and the save of it that is under way.
//!
//! Saves never overtake each other, so the latest one stands.

use std::future::Future;
use std::pin::Pin;

use crate::Result;
use crate::change::Position;
use crate::source::{Checkpoint, Checkpoints};

/// What is saved, and how far that is.
pub(super) struct Record<'a, C> {
    /// What the next save writes.
    pub(super) checkpoint: Checkpoint,
    checkpoints: &'a C,
    saving: Option<Saving<'a>>,
    /// Changes confirmed since the position was saved.
    unsaved: usize,
}

type Saving<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

impl<'a, C: Checkpoints> Record<'a, C> {
    pub(super) fn new(checkpoint: Checkpoint, checkpoints: &'a C) -> Self {
        Self {
            checkpoint,
            checkpoints,
            saving: None,
            unsaved: 0,
        }
    }

    /// Saves the last place before which everything is confirmed; done when this returns.
    pub(super) async fn save_at(&mut self, position: Position) -> Result<()> {
        self.move_to(position);
        self.save().await
    }

    /// Saves the checkpoint as it is, behind the save that is under way.
    pub(super) async fn save(&mut self) -> Result<()> {
        self.saved().await?;
        self.checkpoints.save(self.checkpoint.clone()).await
    }

    /// Counts changes that are confirmed up to this place, and begins to save it behind every so many of them,
    /// without waiting: nothing follows from it.
    pub(super) fn confirmed(&mut self, changes: usize, position: Position, save_after: usize) {
        self.unsaved += changes;
        if self.unsaved >= save_after && !self.is_saving() {
            self.move_to(position);
            let saving = self.checkpoints.save(self.checkpoint.clone());
            self.saving = Some(Box::pin(saving));
        }
    }

    /// Whether a save is under way.
    pub(super) fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Ready when the save that is under way is done. Cancel safe.
    pub(super) async fn saved(&mut self) -> Result<()> {
        let Some(under_way) = &mut self.saving else {
            return Ok(());
        };
        let done = under_way.await;
        self.saving = None;
        done
    }

    fn move_to(&mut self, position: Position) {
        self.checkpoint.position = position;
        self.unsaved = 0;
    }
}
