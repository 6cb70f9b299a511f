//! The log of effects: what the engine's memory has and its disk may not have yet.
//!
//! Rows in the order in which the effects took place. They are appended in the transaction of the
//! manifests that rest on them, and all removed once the engine was flushed.

use qdrant_edge::EdgeShard;
use rusqlite::{Row, params};
use uuid::Uuid;

use super::points::{self, Effect};
use super::shard;
use super::tables::Tables;
use crate::change::PointId;
use crate::database::Database;
use crate::{Error, Result};

/// Effects read and applied at once when the log is replayed.
const PAGE_SIZE: i64 = 256;

/// Appends effects and says how many bytes they take.
pub(super) fn append(connection: Tables<'_>, effects: &[Effect]) -> Result<usize> {
    let mut insert = connection
        .prepare_cached("INSERT INTO vector_log (point, payload, vector) VALUES (?1, ?2, ?3)")?;
    let mut bytes = 0;
    for effect in effects {
        let (id, payload, vector) = match effect {
            Effect::Put {
                id,
                payload,
                vector,
            } => {
                let payload = serde_json::to_string(payload)
                    .map_err(|error| Error::malformed(format!("point {id}"), error.to_string()))?;
                let vector: Vec<u8> = vector.iter().flat_map(|one| one.to_le_bytes()).collect();
                (id, Some(payload), Some(vector))
            }
            Effect::Delete(id) => (id, None, None),
        };
        bytes += size_of::<PointId>() + payload.as_ref().map_or(0, String::len);
        bytes += vector.as_ref().map_or(0, Vec::len);
        insert.execute(params![id.0.as_bytes(), payload, vector])?;
    }
    Ok(bytes)
}

/// Removes everything: the engine's disk has it.
pub(super) fn empty(connection: Tables<'_>) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM vector_log")?
        .execute([])?;
    Ok(())
}

/// Brings what the last process left in the log into the engine's memory, and says how much that
/// was. The log stays, until the engine is flushed.
pub(super) async fn replay(shard: &EdgeShard, database: &Database, edition: u32) -> Result<usize> {
    let mut last = 0;
    let mut count = 0;
    loop {
        let rows = database
            .read(move |log| page(Tables::new(log, edition), last))
            .await?;
        let Some((sequence, _)) = rows.last() else {
            return Ok(count);
        };
        last = *sequence;
        count += rows.len();
        let effects: Vec<_> = rows.into_iter().map(|(_, effect)| effect).collect();
        shard::guarded(|| points::apply(shard, &effects))
            .map_err(|failure| shard::unwritable(shard.path(), &failure))?;
    }
}

/// The next effects after this place.
fn page(connection: Tables<'_>, after: i64) -> Result<Vec<(i64, Effect)>> {
    let mut select = connection.prepare_cached(
        "SELECT sequence, point, payload, vector FROM vector_log
         WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let rows = select.query_and_then(params![after, PAGE_SIZE], |row| {
        Ok((row.get(0)?, effect(row)?))
    })?;
    rows.collect()
}

fn effect(row: &Row<'_>) -> Result<Effect> {
    let id = PointId(Uuid::from_bytes(row.get(1)?));
    let (payload, vector): (Option<String>, Option<Vec<u8>>) = (row.get(2)?, row.get(3)?);
    let (Some(payload), Some(vector)) = (payload, vector) else {
        return Ok(Effect::Delete(id));
    };
    let (values, _) = vector.as_chunks();
    Ok(Effect::Put {
        id,
        payload: serde_json::from_str(&payload).map_err(|error| {
            Error::malformed(format!("point {id} in the log"), error.to_string())
        })?,
        vector: values.iter().map(|one| f32::from_le_bytes(*one)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use serde_json::json;

    use super::*;
    use crate::vector::edge::SCHEMA;

    #[test]
    fn effects_come_back_in_their_order_as_they_were() {
        let connection = Connection::open_in_memory().unwrap();
        for edition in [1, 2] {
            there_and_back(Tables::new(&connection, edition));
        }
        assert_eq!(Tables::editions(&connection).unwrap(), [1, 2]);
        Tables::new(&connection, 2).remove().unwrap();
        assert_eq!(Tables::editions(&connection).unwrap(), [1]);
    }

    fn there_and_back(connection: Tables<'_>) {
        connection.make(SCHEMA).unwrap();
        let id = PointId(Uuid::from_u128(7));
        let put = |number: f32| Effect::Put {
            id,
            payload: json!({"content": "text", "rank": -3})
                .as_object()
                .unwrap()
                .clone(),
            vector: vec![number, -0.0, f32::MIN_POSITIVE],
        };
        let effects = [put(0.1), Effect::Delete(id), put(0.3)];
        let bytes = append(connection, &effects).unwrap();
        assert_eq!(bytes, 3 * 16 + 2 * (28 + 3 * 4));
        let found = page(connection, 0).unwrap();
        let (places, found): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        assert_eq!(found, effects);
        assert_eq!(page(connection, places[1]).unwrap().len(), 1);
        empty(connection).unwrap();
        assert_eq!(page(connection, 0).unwrap(), []);
    }
}
