//! Changing the partition count: no change is sent until every queue of the old count is done with.
//!
//! ```text
//! count is another ──> `end` to every queue ──each settled──> next generation ──> read on
//! ```
//!
//! The queue keeps how far this has come, so that whoever captures after a crash goes on with it.

use super::pipeline::{Pipeline, Room};
use crate::Result;
use crate::change::Lane;
use crate::queue::{Generations, Outgoing, Turn};

/// Returns when the queue has the partition count that the settings ask for. Cancel safe.
///
/// # Errors
/// Any of the queue; called again, it goes on.
pub(super) async fn settle<Q: Generations>(queue: &Q, jitter: Option<u64>) -> Result<()> {
    let mut sent = false;
    loop {
        match queue.turn(sent).await? {
            Turn::Stays => return Ok(()),
            Turn::End(barrier) => {
                let partitions = queue.partitions();
                let mut batch = Outgoing::barrier(&barrier, Lane::Live, partitions);
                batch.extend(Outgoing::barrier(&barrier, Lane::Backfill, partitions));
                let mut pipeline = Pipeline::new(queue, Room::ONE_BATCH, jitter);
                pipeline.push(batch, ());
                pipeline.confirmed().await?;
                sent = true;
            }
            Turn::Begun => sent = false,
        }
    }
}
