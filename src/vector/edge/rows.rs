//! Manifests, floors and watermarks as rows, and the tables of one edition.
//!
//! Each write is one statement with its condition in it. Versions are blobs of sixteen bytes whose
//! byte order is version order. A manifest has the twenty-four bytes of its stamp, which begin with
//! those of its version; the sixteen of one from before there were revisions are below every revision.

use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::tables::Tables;
use crate::change::{DocumentKey, Lane, Mark, Place, Version};
use crate::feature::embed::Model;
use crate::vector::{Control, Counts, Floor, Manifest, Select, Watermark, Write};
use crate::{Error, Result};

/// The tables; repeatable.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS vector_model (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    digest TEXT NOT NULL,
    name TEXT NOT NULL,
    dimension INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS vector_manifest (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version BLOB NOT NULL,
    deleted INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;
CREATE INDEX IF NOT EXISTS vector_manifest_deleted ON vector_manifest (deleted);
CREATE TABLE IF NOT EXISTS vector_floor (
    kind TEXT PRIMARY KEY,
    version BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS vector_passed (
    floor BLOB NOT NULL,
    kind TEXT NOT NULL,
    version BLOB NOT NULL,
    partition INTEGER NOT NULL,
    lane TEXT NOT NULL,
    PRIMARY KEY (floor, kind, version, partition, lane)
) STRICT;
CREATE TABLE IF NOT EXISTS vector_mark (
    mark TEXT NOT NULL,
    partition INTEGER NOT NULL,
    lane TEXT NOT NULL,
    PRIMARY KEY (mark, partition, lane)
) STRICT;
CREATE TABLE IF NOT EXISTS vector_watermark (
    partition INTEGER NOT NULL,
    lane TEXT NOT NULL,
    version BLOB NOT NULL,
    committed_ms INTEGER NOT NULL,
    PRIMARY KEY (partition, lane)
) STRICT;
CREATE TABLE IF NOT EXISTS index_register (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    register TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS vector_log (
    sequence INTEGER PRIMARY KEY,
    point BLOB NOT NULL,
    payload TEXT,
    vector BLOB
) STRICT;
";

/// Performs a write of a row; leaves writes of points alone.
pub(super) fn apply(connection: Tables<'_>, write: &Write) -> Result<()> {
    match write {
        Write::Manifest(manifest) => put_manifest(connection, manifest),
        Write::Floor { kind, version } => run(
            connection,
            "INSERT INTO vector_floor VALUES (?1, ?2) ON CONFLICT DO UPDATE
             SET version = max(version, excluded.version)",
            params![kind, version.to_bytes()],
        ),
        Write::Passed { floor, place } => run(
            connection,
            "INSERT OR IGNORE INTO vector_passed VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                floor.id.as_bytes(),
                floor.kind,
                floor.version.to_bytes(),
                place.partition,
                lane_name(place.lane)
            ],
        ),
        Write::Acted(floor) => run(
            connection,
            "DELETE FROM vector_passed WHERE floor = ?1",
            params![floor.as_bytes()],
        ),
        Write::Marked { mark, place } => run(
            connection,
            "INSERT OR IGNORE INTO vector_mark VALUES (?1, ?2, ?3)",
            params![mark_name(*mark), place.partition, lane_name(place.lane)],
        ),
        Write::Watermark { place, mark } => run(
            connection,
            "INSERT INTO vector_watermark VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
             SET version = excluded.version, committed_ms = excluded.committed_ms
             WHERE (excluded.version, excluded.committed_ms) > (version, committed_ms)",
            params![
                place.partition,
                lane_name(place.lane),
                mark.version.to_bytes(),
                signed(mark.committed_ms)?
            ],
        ),
        Write::Collect { key, version } => run(
            connection,
            "DELETE FROM vector_manifest
             WHERE kind = ?1 AND id = ?2 AND substr(version, 1, 16) = ?3 AND deleted",
            params![key.kind, key.id, version.to_bytes()],
        ),
        Write::Raise { .. } | Write::Upsert(_) | Write::Sweep { .. } => Ok(()),
    }
}

fn run(connection: Tables<'_>, sql: &str, params: impl rusqlite::Params) -> Result<()> {
    connection.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

fn put_manifest(connection: Tables<'_>, manifest: &Manifest) -> Result<()> {
    let body = serde_json::to_string(manifest)
        .map_err(|error| malformed(&manifest.key, &error.to_string()))?;
    run(
        connection,
        "INSERT INTO vector_manifest VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE
         SET version = excluded.version, deleted = excluded.deleted, body = excluded.body
         WHERE version <= excluded.version",
        params![
            manifest.key.kind,
            manifest.key.id,
            manifest.stamp.to_bytes(),
            manifest.deleted,
            body
        ],
    )
}

/// Reads manifests; see the port.
pub(super) fn manifests(
    connection: Tables<'_>,
    select: &Select<DocumentKey>,
) -> Result<Vec<Manifest>> {
    match select {
        Select::Of(keys) => {
            let mut statement = connection
                .prepare_cached("SELECT body FROM vector_manifest WHERE kind = ?1 AND id = ?2")?;
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                let body = statement
                    .query_row(params![key.kind, key.id], |row| row.get::<_, String>(0))
                    .optional()?;
                found.extend(body.map(|body| manifest(&body)).transpose()?);
            }
            Ok(found)
        }
        Select::After { after, limit } => {
            // No key comes before the empty one, and none is it: an `_id` is never empty text.
            let (kind, id) = after
                .as_ref()
                .map_or(("", ""), |key| (key.kind.as_str(), key.id.as_str()));
            let mut statement = connection.prepare_cached(
                "SELECT body FROM vector_manifest WHERE (kind, id) > (?1, ?2)
                 ORDER BY kind, id LIMIT ?3",
            )?;
            let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
            let bodies =
                statement.query_map(params![kind, id, limit], |row| row.get::<_, String>(0))?;
            bodies.map(|body| manifest(&body?)).collect()
        }
    }
}

fn manifest(body: &str) -> Result<Manifest> {
    serde_json::from_str(body)
        .map_err(|error| Error::malformed("a stored manifest", error.to_string()))
}

fn malformed(key: &DocumentKey, why: &str) -> Error {
    Error::malformed(format!("manifest of {key}"), why)
}

/// Reads floors and watermarks.
pub(super) fn control(connection: Tables<'_>) -> Result<Control> {
    let mut control = Control::default();
    let mut floors = connection.prepare_cached("SELECT kind, version FROM vector_floor")?;
    for floor in floors.query_map([], |row| Ok((row.get(0)?, version(row, 1)?)))? {
        let (kind, version) = floor?;
        control.floors.insert(kind, version);
    }
    let mut passed = connection
        .prepare_cached("SELECT floor, kind, version, partition, lane FROM vector_passed")?;
    let rows = passed.query_map([], |row| {
        let floor = Floor {
            id: Uuid::from_bytes(row.get(0)?),
            kind: row.get(1)?,
            version: version(row, 2)?,
        };
        Ok((floor, place(row, 3)?))
    })?;
    for row in rows {
        let (floor, place) = row?;
        control.passing.entry(floor).or_default().insert(place);
    }
    let mut marks = connection
        .prepare_cached("SELECT partition, lane, version, committed_ms FROM vector_watermark")?;
    let rows = marks.query_map([], |row| {
        let mark = Watermark {
            version: version(row, 2)?,
            committed_ms: row.get::<_, i64>(3)?.unsigned_abs(),
        };
        Ok((place(row, 0)?, mark))
    })?;
    for row in rows {
        let (place, mark) = row?;
        control.watermarks.insert(place, mark);
    }
    let mut marked = connection.prepare_cached("SELECT mark, partition, lane FROM vector_mark")?;
    for row in marked.query_map([], |row| Ok((mark(row, 0)?, place(row, 1)?)))? {
        let (mark, place) = row?;
        control.marks.entry(mark).or_default().insert(place);
    }
    Ok(control)
}

/// Counts manifests; the points are counted elsewhere.
pub(super) fn counts(connection: Tables<'_>) -> Result<Counts> {
    let mut count =
        connection.prepare_cached("SELECT count(*) FROM vector_manifest WHERE deleted = ?1")?;
    let mut of = |deleted: bool| count.query_row([deleted], |row| row.get::<_, i64>(0));
    Ok(Counts {
        documents: of(false)?.unsigned_abs(),
        tombstones: of(true)?.unsigned_abs(),
        points: 0,
    })
}

/// The model that the vectors were made with; none before the first start.
pub(super) fn model(connection: Tables<'_>) -> Result<Option<Model>> {
    let mut select =
        connection.prepare_cached("SELECT digest, name, dimension FROM vector_model")?;
    let model = select
        .query_row([], |row| {
            let dimension: u32 = row.get(2)?;
            Ok(Model {
                digest: row.get(0)?,
                name: row.get(1)?,
                dimension: dimension as usize,
                token_limit: 0,
            })
        })
        .optional()?;
    Ok(model)
}

/// Stores the model, once.
pub(super) fn put_model(connection: Tables<'_>, model: &Model) -> Result<()> {
    let dimension = u32::try_from(model.dimension)
        .map_err(|_| Error::malformed("the model", "its vectors are too long"))?;
    run(
        connection,
        "INSERT OR IGNORE INTO vector_model VALUES (1, ?1, ?2, ?3)",
        params![model.digest, model.name, dimension],
    )
}

fn version(row: &Row<'_>, column: usize) -> rusqlite::Result<Version> {
    Ok(Version::from_bytes(row.get(column)?))
}

fn place(row: &Row<'_>, column: usize) -> rusqlite::Result<Place> {
    let lane = match row.get_ref(column + 1)?.as_str()? {
        "live" => Lane::Live,
        _ => Lane::Backfill,
    };
    Ok(Place {
        partition: row.get(column)?,
        lane,
    })
}

fn mark(row: &Row<'_>, column: usize) -> rusqlite::Result<Mark> {
    Ok(match row.get_ref(column)?.as_str()? {
        "begin" => Mark::Begin,
        _ => Mark::End,
    })
}

fn mark_name(mark: Mark) -> &'static str {
    match mark {
        Mark::Begin => "begin",
        Mark::End => "end",
    }
}

fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Live => "live",
        Lane::Backfill => "backfill",
    }
}

/// `SQLite` counts in signed numbers; no clock reaches their end.
fn signed(milliseconds: u64) -> Result<i64> {
    i64::try_from(milliseconds)
        .map_err(|_| Error::malformed("a watermark", "its time is past the year 292 million"))
}
