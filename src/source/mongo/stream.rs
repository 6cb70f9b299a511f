//! Opening a change stream: what is asked of the server.
//!
//! ```text
//! $changeStream ──> $match: watched collections, drops of all ──> $unset ──> $split (6.0.9)
//! ```

use std::time::Duration;

use bson::{Bson, Document as BsonDocument, RawDocumentBuf, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::options::{ChangeStreamOptions, FullDocumentType};

use super::connect::Server;
use super::fault::fault;
use super::place::{self, Place};
use super::{Images, OUR_COLLECTIONS, Scope, Settings, TEMPORARY};
use crate::Result;

/// A change stream that hands out bare BSON.
pub(super) type Stream = ChangeStream<RawDocumentBuf>;

/// How long the server waits before it answers that nothing happened.
const AWAIT: Duration = Duration::from_secs(1);

/// Events of one answer; the server bounds it to 16 MB besides.
const EVENTS_MAX: u32 = 1000;

/// Opens the stream at this place; every change after it will come.
pub(super) async fn open(server: &Server, from: &Place) -> Result<Stream> {
    let options = ChangeStreamOptions::builder()
        .full_document(match server.settings.images {
            Images::UpdateLookup => FullDocumentType::UpdateLookup,
            Images::WhenAvailable => FullDocumentType::WhenAvailable,
            Images::Required => FullDocumentType::Required,
        })
        .max_await_time(AWAIT)
        .batch_size(EVENTS_MAX);
    // `startAfter` takes the token of an invalidate too, which `resumeAfter` does not.
    let start = place::timestamp(place::just_after(from.time()));
    let options: ChangeStreamOptions = match from.token()? {
        Some(token) => options.start_after(token).build(),
        None => options.start_at_operation_time(start).build(),
    };
    let pipeline = pipeline(&server.settings, server.can_split);
    let database = server.database();
    let watch = match server.settings.scope {
        Scope::Database => {
            database
                .watch()
                .pipeline(pipeline)
                .with_options(options)
                .await
        }
        Scope::Cluster => {
            let watch = server.client.watch().pipeline(pipeline);
            watch.with_options(options).await
        }
    };
    Ok(watch
        .map_err(fault(&server.service, "open a change stream"))?
        .with_type())
}

fn pipeline(settings: &Settings, can_split: bool) -> Vec<BsonDocument> {
    let kind = watched(settings);
    let mut wanted = doc! { "$or": [
        { "ns.coll": kind.clone() },
        { "to.coll": kind },
        { "operationType": { "$in": ["dropDatabase", "invalidate"] } },
    ] };
    if settings.scope == Scope::Cluster {
        wanted.insert("ns.db", &settings.database);
    }
    // The new content is sent whole; what changed in it would be sent besides.
    let mut pipeline = vec![
        doc! { "$match": wanted },
        doc! { "$unset": "updateDescription" },
    ];
    if can_split {
        pipeline.push(doc! { "$changeStreamSplitLargeEvent": {} });
    }
    pipeline
}

/// The condition on a collection's name that [`Settings::watches`] is.
fn watched(settings: &Settings) -> Bson {
    if !settings.kinds.is_empty() {
        return doc! { "$in": &settings.kinds }.into();
    }
    let prefixes: Vec<_> = TEMPORARY.iter().map(|it| it.replace('.', "\\.")).collect();
    let pattern = format!("^({})", prefixes.join("|"));
    let mut condition = doc! { "$not": { "$regex": pattern }, "$exists": true };
    if settings.database == settings.state_database {
        condition.insert("$nin", OUR_COLLECTIONS.to_vec());
    }
    condition.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(kinds: &[&str]) -> Settings {
        let mut settings = Settings::new("mongodb://localhost", "twin");
        settings.kinds = kinds.iter().map(ToString::to_string).collect();
        settings
    }

    #[test]
    fn the_split_stage_is_the_last_and_only_where_the_server_knows_it() {
        let stages = |can_split| {
            let pipeline = pipeline(&settings(&["posts"]), can_split);
            let name = |stage: &BsonDocument| stage.keys().next().cloned().unwrap();
            pipeline.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(stages(false), ["$match", "$unset"]);
        assert_eq!(stages(true).last().unwrap(), "$changeStreamSplitLargeEvent");
    }

    #[test]
    fn the_stream_of_a_cluster_is_narrowed_to_the_database() {
        let mut settings = settings(&[]);
        settings.scope = Scope::Cluster;
        let wanted = pipeline(&settings, false).remove(0);
        let wanted = wanted.get_document("$match").unwrap();
        assert_eq!(wanted.get_str("ns.db").unwrap(), "twin");
    }

    #[test]
    fn our_own_collections_are_left_out_where_they_stand_beside_the_documents() {
        let mut settings = settings(&[]);
        assert!(settings.watches("positions") && !settings.watches("system.views"));
        assert!(!settings.watches("tmp.agg_out.1") && settings.watches("tmp"));
        settings.state_database = "twin".into();
        assert!(!settings.watches("positions") && !settings.watches("requests"));
        assert!(watched(&settings).to_string().contains("positions"));
    }
}
