//! Saving and deleting: acknowledged by a majority, and journalled.
//!
//! ```text
//! documents ──runs of one collection, by bytes──> update {replace, upsert}, in order
//! some fields ────────────the same──────────────> update {$set}
//! ```

use std::collections::BTreeMap;

use bson::{Bson, Document as BsonDocument, doc};

use super::connect::Server;
use super::fault::{DUPLICATE_KEY, fault, unwritten};
use super::{id, json};
use crate::change::DocumentKey;
use crate::document::Document;
use crate::source::check_names;
use crate::{Error, Result};

/// Documents of one command. A message may have 48 MB; one document may have 16.
const COUNT_MAX: usize = 1000;
const BYTES_MAX: usize = 16 << 20;

/// How often a command goes on after such a collision.
const COLLISIONS_MAX: usize = 10;

/// What a document is given: all that it is to be, or some fields beside what it has.
#[derive(Clone, Copy)]
enum Given {
    Whole,
    Fields,
}

/// Updates of one collection, in order.
struct Run {
    kind: String,
    updates: Vec<Bson>,
    bytes: usize,
}

impl Server {
    /// Stores the documents in this order.
    pub(super) async fn save(&self, documents: Vec<Document>) -> Result<()> {
        self.write(documents, Given::Whole).await
    }

    /// Gives them these fields, in this order.
    pub(super) async fn amend(&self, fields: Vec<Document>) -> Result<()> {
        check_names(&fields)?;
        let (mut ours, mut refused) = (Vec::with_capacity(fields.len()), None);
        // One that cannot be written from here keeps no other one.
        for document in fields {
            match id::value(&document.key.id) {
                Ok(_) => ours.push(document),
                Err(error) => refused = Some(error),
            }
        }
        self.write(ours, Given::Fields).await?;
        refused.map_or(Ok(()), Err)
    }

    async fn write(&self, documents: Vec<Document>, given: Given) -> Result<()> {
        let mut run: Option<Run> = None;
        for Document { key, fields } in documents {
            if fields.is_empty() && matches!(given, Given::Fields) {
                continue;
            }
            let mut stored = json::stored(&key, fields)?;
            let size = bson::serialize_to_vec(&stored);
            let bytes = size
                .map_err(|error| Error::malformed(format!("document {key}"), error.to_string()))?
                .len();
            let joins = run.as_ref().is_some_and(|run| {
                run.kind == key.kind
                    && run.updates.len() < COUNT_MAX
                    && run.bytes + bytes <= BYTES_MAX
            });
            if !joins && let Some(full) = run.take() {
                self.update(full).await?;
            }
            let run = run.get_or_insert_with(|| Run {
                kind: key.kind,
                updates: Vec::new(),
                bytes: 0,
            });
            run.bytes += bytes;
            let one = doc! { "_id": stored.get("_id").cloned().unwrap_or(Bson::Null) };
            let update = match given {
                Given::Whole => doc! { "q": one, "u": stored, "upsert": true },
                Given::Fields => {
                    stored.remove("_id");
                    doc! { "q": one, "u": { "$set": stored } }
                }
            };
            run.updates.push(update.into());
        }
        match run {
            Some(last) => self.update(last).await,
            None => Ok(()),
        }
    }

    async fn update(&self, run: Run) -> Result<()> {
        let (kind, mut updates) = (run.kind, run.updates);
        for _ in 0..COLLISIONS_MAX {
            let command = doc! {
                "update": &kind,
                "updates": updates.clone(),
                "ordered": true,
                "writeConcern": { "w": "majority", "j": true },
            };
            let reply = self.database().run_command(command).await;
            let reply = reply.map_err(fault(&self.service, "save documents"))?;
            match first_error(&reply) {
                None => return Ok(()),
                Some((DUPLICATE_KEY, at, _)) => drop(updates.drain(..at.min(updates.len()))),
                Some((code, _, said)) => {
                    return Err(unwritten(&self.service, "save documents", code, &said));
                }
            }
        }
        let why = format!("others keep writing the same ids of {kind}");
        Err(Error::unavailable(self.service.clone(), "save documents")(
            why,
        ))
    }

    /// Deletes the documents; how many were there.
    pub(super) async fn delete(&self, keys: Vec<DocumentKey>) -> Result<usize> {
        let mut by_kind: BTreeMap<String, Vec<Bson>> = BTreeMap::new();
        // One that cannot be deleted from here keeps no other one.
        let mut refused = None;
        for key in keys {
            match id::value(&key.id) {
                Ok(id) => by_kind.entry(key.kind).or_default().push(id),
                Err(error) => refused = Some(error),
            }
        }
        let mut deleted = 0;
        for (kind, ids) in by_kind {
            let collection = self.database().collection::<BsonDocument>(&kind);
            for ids in ids.chunks(COUNT_MAX) {
                let done = collection.delete_many(exactly(ids)).await;
                let done = done.map_err(fault(&self.service, "delete documents"))?;
                deleted += usize::try_from(done.deleted_count).unwrap_or(usize::MAX);
            }
        }
        refused.map_or(Ok(deleted), Err)
    }
}

/// The condition that an `_id` is one of these, and of the same type: 5 alone would match 5.0.
fn exactly(ids: &[Bson]) -> BsonDocument {
    let (numbers, others): (Vec<_>, Vec<_>) = ids
        .iter()
        .cloned()
        .partition(|id| matches!(id, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)));
    let typed = |id: Bson| {
        let element_type = id.element_type() as i32;
        doc! { "_id": { "$eq": id, "$type": element_type } }
    };
    let mut either = vec![doc! { "_id": { "$in": others } }];
    either.extend(numbers.into_iter().map(typed));
    doc! { "$or": either }
}

/// The first error that a command's reply holds although it says ok: code, index and text.
fn first_error(reply: &BsonDocument) -> Option<(i32, usize, String)> {
    let write = reply.get_array("writeErrors").ok();
    let write = write.and_then(|errors| errors.first()?.as_document());
    let error = write.or_else(|| reply.get_document("writeConcernError").ok())?;
    let index = error.get_i32("index").unwrap_or(0);
    Some((
        error.get_i32("code").unwrap_or(0),
        usize::try_from(index).unwrap_or(0),
        error
            .get_str("errmsg")
            .unwrap_or("a write error")
            .to_owned(),
    ))
}
