//! What holds for whole types and queues: a small collection of its own.
//!
//! | `what` | one point for each | other fields |
//! |---|---|---|
//! | `floor` | type | `type`, `version_*` |
//! | `passed` | floor and queue that passed it | `floor_id`, `type`, `version_*`, `partition`, `lane` |
//! | `watermark` | queue | `partition`, `lane`, `version_*`, `committed_high`, `committed_low` |
//! | `mark` | queue that has passed an end of the filling | `mark`, `partition`, `lane` |
//! | `type` | type, once its collections are there | `type` |
//! | `edition` | | the model: `name`, `digest`, `dimension` |
//! | `register` | | see `register` |
//!
//! All but the register are of one edition of the index, which is in the field `edition`: what one has
//! been told of the queues, another may not.

use std::collections::BTreeSet;

use qdrant_client::qdrant::points_update_operation::Operation;
use qdrant_client::qdrant::{Filter, Value};
use uuid::Uuid;

use super::guard::{self, KIND, VERSION, WATERMARK, at_or_below, not_above};
use super::link::Link;
use super::operation;
use super::payload::{self, Payload, Reader};
use super::server::Server;
use super::{read, write};
use crate::change::{Lane, Mark, Place, PointId};
use crate::feature::embed::Model;
use crate::vector::{Control, Floor, Watermark, Write};
use crate::{Error, Result};

/// Says what a point is.
pub(super) const WHAT: &str = "what";
/// The floor that a queue passed.
pub(super) const FLOOR_ID: &str = "floor_id";

const FLOOR: &str = "floor";
const PASSED: &str = "passed";
const LEVEL: &str = "watermark";
const MARK: &str = "mark";
const TYPE: &str = "type";
pub(super) const EDITION: &str = "edition";

const PARTITION: &str = "partition";
const LANE: &str = "lane";
const NAME: &str = "name";
const DIGEST: &str = "digest";
const DIMENSION: &str = "dimension";

/// The namespace of the points here; pinned, since a change would forget every floor.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c6f_636b_7374_6570_9f1d_3c52_70a1_0004);

/// The id of what these words name.
pub(super) fn id(words: &[&str]) -> PointId {
    PointId(Uuid::new_v5(&NAMESPACE, words.join("\0").as_bytes()))
}

/// The writes of an edition's control state; none for a write of anything else.
pub(super) fn operation(write: &Write, edition: u32) -> Option<Operation> {
    let number = edition.to_string();
    let of = |what, fields| {
        let mut payload = of(what, fields);
        payload.insert(EDITION.to_owned(), i64::from(edition).into());
        payload
    };
    match write {
        Write::Floor { kind, version } => {
            let mut payload = of(FLOOR, vec![(KIND, kind.as_str().into())]);
            payload.extend(payload::of_version(*version));
            let point = operation::bare(id(&[&number, FLOOR, kind]), payload);
            let lower = not_above(*version);
            Some(operation::upsert(vec![point], Some(lower)))
        }
        Write::Passed { floor, place } => {
            let floor_id = floor.id.to_string();
            let fields = vec![
                (FLOOR_ID, floor_id.as_str().into()),
                (KIND, floor.kind.as_str().into()),
            ];
            let mut payload = of(PASSED, fields);
            payload.extend(of_place(*place));
            payload.extend(payload::of_version(floor.version));
            let version = floor.version.to_string();
            let words = [
                &number,
                PASSED,
                &floor_id,
                &floor.kind,
                &version,
                &place_name(*place),
            ];
            Some(operation::upsert(
                vec![operation::bare(id(&words), payload)],
                None,
            ))
        }
        Write::Acted(floor) => Some(operation::delete(Filter::must([
            guard::equals(WHAT, PASSED),
            guard::equals(FLOOR_ID, &floor.to_string()),
            guard::is(EDITION, edition.into()),
        ]))),
        Write::Marked { mark, place } => {
            let mut payload = of(MARK, vec![(MARK, mark_name(*mark).into())]);
            payload.extend(of_place(*place));
            let words = [&number, MARK, mark_name(*mark), &place_name(*place)];
            let point = operation::bare(id(&words), payload);
            Some(operation::upsert(vec![point], None))
        }
        Write::Watermark { place, mark } => {
            let components = guard::watermark_components(*mark);
            let mut payload = of(LEVEL, Vec::new());
            payload.extend(of_place(*place));
            payload.extend(
                WATERMARK
                    .iter()
                    .zip(components)
                    .map(|(name, part)| ((*name).to_owned(), i64::from(part).into())),
            );
            let point = operation::bare(id(&[&number, LEVEL, &place_name(*place)]), payload);
            let lower = at_or_below(&WATERMARK, &components);
            Some(operation::upsert(vec![point], Some(lower)))
        }
        _ => None,
    }
}

pub(super) fn of<'a>(what: &str, fields: impl IntoIterator<Item = (&'a str, Value)>) -> Payload {
    [(WHAT, what.into())]
        .into_iter()
        .chain(fields)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn of_place(place: Place) -> Payload {
    [
        (PARTITION.to_owned(), i64::from(place.partition).into()),
        (LANE.to_owned(), lane_name(place.lane).into()),
    ]
    .into()
}

fn place_name(place: Place) -> String {
    format!("{} {}", place.partition, lane_name(place.lane))
}

fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Live => "live",
        Lane::Backfill => "backfill",
    }
}

fn mark_name(mark: Mark) -> &'static str {
    match mark {
        Mark::Begin => "begin",
        Mark::End => "end",
    }
}

/// Reads the control state of an edition.
pub(super) async fn read(server: &Server, edition: u32) -> Result<Control> {
    let here = [FLOOR, PASSED, LEVEL, MARK].map(str::to_owned);
    let filter = Filter::must([
        guard::equals_one(WHAT, here.to_vec()),
        guard::is(EDITION, edition.into()),
    ]);
    let mut control = Control::default();
    for payload in read::payloads(&server.link, &server.names.control(), filter).await? {
        take(&mut control, Reader(payload)).ok_or_else(|| strange(&server.link))?;
    }
    Ok(control)
}

/// It is about the whole index, so no document is parked for it.
fn strange(link: &Link) -> Error {
    link.refused(
        "a point of its control collection is not ours, or a newer program's",
        "use the newest lockstep that works on this index, or another index (vector.name)",
    )
}

fn take(control: &mut Control, mut payload: Reader) -> Option<()> {
    let what = payload.text(WHAT)?;
    if what == MARK {
        let mark = match payload.text(MARK)?.as_str() {
            "begin" => Mark::Begin,
            "end" => Mark::End,
            _ => return None,
        };
        let places = control.marks.entry(mark).or_default();
        places.insert(payload.place()?);
        return Some(());
    }
    let version = payload.version()?;
    match what.as_str() {
        FLOOR => {
            control.floors.insert(payload.text(KIND)?, version);
        }
        PASSED => {
            let floor = Floor {
                id: Uuid::parse_str(&payload.text(FLOOR_ID)?).ok()?,
                kind: payload.text(KIND)?,
                version,
            };
            let places = control.passing.entry(floor).or_default();
            places.insert(payload.place()?);
        }
        LEVEL => {
            let [high, low] = [WATERMARK[VERSION.len()], WATERMARK[VERSION.len() + 1]];
            let high = u64::from(payload.component(high)?);
            let committed_ms = high << 32 | u64::from(payload.component(low)?);
            let mark = Watermark {
                version,
                committed_ms,
            };
            control.watermarks.insert(payload.place()?, mark);
        }
        _ => return None,
    }
    Some(())
}

impl Reader {
    fn place(&mut self) -> Option<Place> {
        Some(Place {
            partition: self.component(PARTITION)?,
            lane: match self.text(LANE)?.as_str() {
                "live" => Lane::Live,
                "backfill" => Lane::Backfill,
                _ => return None,
            },
        })
    }
}

/// The types of every edition.
pub(super) async fn types(server: &Server) -> Result<Vec<(u32, String)>> {
    let filter = Filter::must([guard::equals(WHAT, TYPE)]);
    let payloads = read::payloads(&server.link, &server.names.control(), filter).await?;
    let types = payloads.into_iter().map(|payload| {
        let mut payload = Reader(payload);
        Some((payload.component(EDITION)?, payload.text(KIND)?))
    });
    types
        .collect::<Option<_>>()
        .ok_or_else(|| strange(&server.link))
}

/// Records that the collections of a type are there.
pub(super) async fn record_type(server: &Server, kind: &str, edition: u32) -> Result<()> {
    let fields = [(KIND, kind.into()), (EDITION, i64::from(edition).into())];
    let id = id(&[&edition.to_string(), TYPE, kind]);
    let point = operation::bare(id, of(TYPE, fields));
    let operations = vec![operation::upsert(vec![point], None)];
    write::send(&server.link, &server.names.control(), operations).await
}

/// The model of an edition: the one recorded first.
pub(super) async fn model(server: &Server, edition: u32, given: &Model) -> Result<Model> {
    let fields = [
        (EDITION, i64::from(edition).into()),
        (NAME, given.name.as_str().into()),
        (DIGEST, given.digest.as_str().into()),
        (DIMENSION, dimension(given.dimension).into()),
    ];
    let point = operation::bare(model_id(edition), of(EDITION, fields));
    let first = vec![operation::upsert(vec![point], Some(operation::lacks(WHAT)))];
    write::send(&server.link, &server.names.control(), first).await?;
    let stored = stored_model(server, edition).await?;
    stored.ok_or_else(|| strange(&server.link))
}

fn model_id(edition: u32) -> PointId {
    id(&[&edition.to_string(), EDITION])
}

/// The model that was recorded for an edition; how many tokens it reads is not.
pub(super) async fn stored_model(server: &Server, edition: u32) -> Result<Option<Model>> {
    let filter = Filter::must([guard::one_of([model_id(edition)])]);
    let payloads = read::payloads(&server.link, &server.names.control(), filter).await?;
    let Some(payload) = payloads.into_iter().next() else {
        return Ok(None);
    };
    let mut payload = Reader(payload);
    let mut model = || {
        Some(Model {
            name: payload.text(NAME)?,
            digest: payload.text(DIGEST)?,
            dimension: payload.integer(DIMENSION)?.try_into().ok()?,
            token_limit: 0,
        })
    };
    model().map(Some).ok_or_else(|| strange(&server.link))
}

/// The editions of which anything is kept here.
pub(super) async fn editions(server: &Server) -> Result<BTreeSet<u32>> {
    let here = [TYPE, EDITION, FLOOR, PASSED, LEVEL, MARK].map(str::to_owned);
    let filter = Filter::must([guard::equals_one(WHAT, here.to_vec())]);
    let payloads = read::payloads(&server.link, &server.names.control(), filter).await?;
    let editions = payloads
        .into_iter()
        .map(|payload| Reader(payload).component(EDITION));
    editions
        .collect::<Option<_>>()
        .ok_or_else(|| strange(&server.link))
}

fn dimension(dimension: usize) -> i64 {
    i64::try_from(dimension).unwrap_or(i64::MAX)
}

/// Forgets everything of an edition whose collections are deleted.
pub(super) async fn forget_edition(server: &Server, edition: u32) -> Result<()> {
    let gone = Filter::must([guard::is(EDITION, edition.into())]);
    write::send(
        &server.link,
        &server.names.control(),
        vec![operation::delete(gone)],
    )
    .await
}
