//! Which of what was fetched is handed out next.

use tokio::time::Instant;

use super::Shelf;
use super::line::{Held, State};
use crate::change::Lane;
use crate::queue::BACKFILL_BYTES;

/// One delivery in this many is of a backfill lane, while there are any.
const BACKFILL_SHARE: u32 = 8;

/// A message that may be handed out.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    line: usize,
    tag: u64,
    attempt: u32,
    bytes: usize,
}

impl<T> Shelf<T> {
    /// Hands out the next messages: live first, backfill one in [`BACKFILL_SHARE`] and no more than
    /// [`BACKFILL_BYTES`] of it, and alone what was fetched before. Nothing while a live line may still say something.
    pub(in crate::queue::rabbit) fn choose(&mut self, limit: usize, now: Instant) -> Vec<u64> {
        let mut live = self.free(Lane::Live, now).into_iter().peekable();
        let mut backfill = self.free(Lane::Backfill, now).into_iter().peekable();
        let mut chosen: Vec<Candidate> = Vec::new();
        let mut backfill_bytes = 0_usize;
        while chosen.len() < limit {
            let fits = |next: &Candidate| {
                backfill_bytes == 0 || backfill_bytes + next.bytes <= BACKFILL_BYTES as usize
            };
            if !backfill.peek().is_some_and(fits) {
                // Else a later one would go before it.
                backfill = Vec::new().into_iter().peekable();
            }
            let turn = self.since_backfill + 1 >= BACKFILL_SHARE && backfill.peek().is_some();
            let from_backfill = turn || live.peek().is_none();
            if from_backfill && !turn && self.may_come(Lane::Live, !chosen.is_empty(), now) {
                break;
            }
            let from = if from_backfill {
                &mut backfill
            } else {
                &mut live
            };
            let Some(next) = from.next_if(|next| next.attempt == 1 || chosen.is_empty()) else {
                break;
            };
            self.since_backfill = if from_backfill {
                0
            } else {
                self.since_backfill.saturating_add(1)
            };
            if from_backfill {
                backfill_bytes += next.bytes.max(1);
            }
            chosen.push(next);
            if next.attempt > 1 {
                break;
            }
        }
        for one in &chosen {
            if let Some(held) = self.held(one.line, one.tag) {
                held.state = State::Hand;
            }
        }
        chosen.into_iter().map(|one| one.tag).collect()
    }

    /// The free messages of a lane, oldest first.
    fn free(&self, lane: Lane, now: Instant) -> Vec<Candidate> {
        let lines = self.lines.iter().enumerate();
        let lines = lines.filter(|(_, line)| line.place.lane == lane);
        let mut free: Vec<_> = lines
            .flat_map(|(index, line)| {
                let candidate = move |(tag, held): (u64, &Held<T>)| Candidate {
                    line: index,
                    tag,
                    attempt: held.attempt,
                    bytes: held.bytes,
                };
                line.free(now).map(candidate)
            })
            .collect();
        free.sort_unstable_by_key(|candidate| candidate.tag);
        free
    }

    /// Whether a lane may still say something. While a batch is being filled (`strict`), a full window
    /// counts too: behind it there may be more.
    fn may_come(&self, lane: Lane, strict: bool, now: Instant) -> bool {
        let mut lines = self.lines.iter().filter(|line| line.place.lane == lane);
        lines.any(|line| line.is_unsure(now) || (strict && line.is_full()))
    }
}
