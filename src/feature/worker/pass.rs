//! What a worker does with barriers: floors, watermarks, marks, and what the end of a generation hands on.
//!
//! ```text
//! barriers ──in every edition──> written ─> floors that all have passed act ─> ends hand on ─> settle
//! ```

use super::{One, Open, Worker};
use crate::Result;
use crate::change::{Act, Barrier, Place};
use crate::feature::floor;
use crate::queue::{Consumer, Generations, Tag};
use crate::reindex::Editions;
use crate::vector::{Floor, VectorStore, Watermark, Write};

impl<Q: Generations, T: Editions> Worker<'_, Q, T> {
    /// Does what barriers say: everything before each in its queue is settled or parked.
    pub(super) async fn pass(
        &self,
        consumer: &mut Q::Consumer,
        open: &Open<T>,
        barriers: Vec<(Tag, Place, Barrier)>,
    ) -> Result<()> {
        if barriers.is_empty() {
            return Ok(());
        }
        for (_, place, _) in &barriers {
            self.duty.passes(place.partition);
        }
        let mut editions = Vec::new();
        for index in open.indexes() {
            self.pass_in(index, &barriers).await?;
            editions.push((index.number, index.store.as_ref()));
        }
        floor::act_passed(self.ports.queue, &editions, &self.held_back).await?;
        // The searched edition first: what a copy to the new one does not find here yet has been copied
        // when it is read there.
        for store in open.stores().into_iter().rev() {
            hand_on(store, &barriers).await?;
        }
        consumer
            .settle(barriers.iter().map(|(tag, ..)| *tag).collect())
            .await
    }

    /// Does what barriers say in one edition.
    async fn pass_in(&self, index: &One<T>, barriers: &[(Tag, Place, Barrier)]) -> Result<()> {
        let store = index.store.as_ref();
        let control = store.control().await?;
        let mut writes = Vec::new();
        for (_, place, barrier) in barriers.iter().cloned() {
            match barrier {
                Barrier::Floor {
                    kind,
                    version,
                    act: Act::AtOnce,
                    ..
                } => {
                    floor::act(store, &kind, version).await?;
                }
                // A repeat of a barrier whose floor has acted has nothing left to do.
                Barrier::Floor { kind, version, .. } if control.voids(&kind, version) => {}
                Barrier::Floor {
                    id,
                    kind,
                    version,
                    act: Act::WhenPassed,
                } => {
                    writes.push(Write::Passed {
                        floor: Floor { id, kind, version },
                        place,
                    });
                }
                Barrier::Watermark {
                    version,
                    committed_ms,
                } => {
                    let mark = Watermark {
                        version,
                        committed_ms,
                    };
                    writes.push(Write::Watermark { place, mark });
                }
                // Of an edition that was given up, or is filled already.
                Barrier::Fill { edition, .. } if edition != index.number => {}
                Barrier::Fill { mark, .. } => writes.push(Write::Marked { mark, place }),
                // It hands on what is written here: see `hand_on`.
                Barrier::End { .. } => {}
            }
        }
        store.write(writes).await
    }
}

/// What the ends among these barriers hand on to the next generation, in one edition. Barriers in a row are
/// passed together: an end hands on what those before it have just written.
async fn hand_on<V: VectorStore>(store: &V, barriers: &[(Tag, Place, Barrier)]) -> Result<()> {
    let ends = barriers.iter().filter_map(|(_, place, barrier)| {
        let Barrier::End {
            partitions, next, ..
        } = barrier
        else {
            return None;
        };
        Some((*place, *partitions, *next))
    });
    let ends: Vec<_> = ends.collect();
    if ends.is_empty() {
        return Ok(());
    }
    let control = store.control().await?;
    let heirs = |(place, partitions, next)| floor::inherited(&control, place, partitions, next);
    let inherited: Vec<_> = ends.into_iter().flat_map(heirs).collect();
    if inherited.is_empty() {
        return Ok(());
    }
    store.write(inherited).await
}
