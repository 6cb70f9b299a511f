//! Which of what is free is handed out next.

use rusqlite::{Connection, OptionalExtension, params};
use tokio::time::Instant;

use super::hands::Hands;
use super::number;
use crate::Result;
use crate::change::Place;
use crate::queue::BACKFILL_BYTES;

/// One delivery in this many is of a backfill lane, while there are any.
const BACKFILL_SHARE: u32 = 8;

/// A free message.
pub(super) struct Candidate {
    pub(super) sequence: i64,
    pub(super) place: Place,
    attempts: u32,
    bytes: u32,
}

/// The free messages of these places, oldest first, at most `limit`.
pub(super) fn free(
    connection: &Connection,
    hands: &mut Hands,
    places: &[Place],
    (now, limit): (Instant, usize),
) -> Result<Vec<Candidate>> {
    let again = "SELECT attempts, length(body) FROM messages WHERE sequence = ?1";
    let mut again = connection.prepare_cached(again)?;
    let new = "SELECT sequence, attempts, is_change, length(body) FROM messages \
               WHERE place = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
    let mut new = connection.prepare_cached(new)?;
    let earlier = "SELECT 1 FROM messages WHERE place = ?1 AND sequence < ?2 LIMIT 1";
    let mut earlier = connection.prepare_cached(earlier)?;
    let rows_max = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for &place in places {
        for sequence in hands.due(place, now).into_iter().take(limit) {
            let row = again.query_row([sequence], |row| Ok((row.get(0)?, row.get(1)?)));
            match row.optional()? {
                Some((attempts, bytes)) => found.push(Candidate {
                    sequence,
                    place,
                    attempts,
                    bytes,
                }),
                // Settled by a call that was dropped before it could say so.
                None => hands.rest_no_more(place, sequence),
            }
        }
        let mut rows = new.query(params![number(place), hands.cursor(place), rows_max])?;
        while let Some(row) = rows.next()? {
            let (sequence, is_change): (i64, bool) = (row.get(0)?, row.get(2)?);
            // A barrier waits, and what is behind it too, until all before it is done.
            if !is_change && earlier.exists(params![number(place), sequence])? {
                break;
            }
            found.push(Candidate {
                sequence,
                place,
                attempts: row.get(1)?,
                bytes: row.get(3)?,
            });
        }
    }
    found.sort_unstable_by_key(|candidate| candidate.sequence);
    found.truncate(limit);
    Ok(found)
}

/// Live first, backfill one in [`BACKFILL_SHARE`] and no more than [`BACKFILL_BYTES`] of it; what was received before
/// comes alone.
pub(super) fn choose(
    live: Vec<Candidate>,
    backfill: Vec<Candidate>,
    limit: usize,
    since_backfill: &mut u32,
) -> Vec<Candidate> {
    let (mut live, mut backfill) = (live.into_iter().peekable(), backfill.into_iter().peekable());
    let (mut chosen, mut backfill_bytes) = (Vec::new(), 0_u32);
    while chosen.len() < limit {
        let fits =
            |next: &Candidate| backfill_bytes == 0 || backfill_bytes + next.bytes <= BACKFILL_BYTES;
        if !backfill.peek().is_some_and(fits) {
            // Else a later one would go before it.
            backfill = Vec::new().into_iter().peekable();
        }
        let turn = *since_backfill + 1 >= BACKFILL_SHARE && backfill.peek().is_some();
        let from_backfill = turn || live.peek().is_none();
        let from = if from_backfill {
            &mut backfill
        } else {
            &mut live
        };
        let Some(next) = from.next_if(|next| next.attempts == 0 || chosen.is_empty()) else {
            break;
        };
        *since_backfill = if from_backfill {
            0
        } else {
            since_backfill.saturating_add(1)
        };
        if from_backfill {
            backfill_bytes += next.bytes.max(1);
        }
        let alone = next.attempts > 0;
        chosen.push(next);
        if alone {
            break;
        }
    }
    chosen
}
