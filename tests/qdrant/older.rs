//! Collections that older programs have filled.

use lockstep::change::DocumentKey;
use lockstep::vector::lexical::of_question;
use lockstep::vector::{By, Nearest, Only, VectorStore, only};
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::points_update_operation::{Operation, SetPayload};
use qdrant_client::qdrant::{
    Condition, Filter, PointsSelector, PointsUpdateOperation, UpdateBatchPointsBuilder, Value,
};

use super::{client, document, open};
use crate::support::qdrant::Server;

/// Takes the labels away, as they were not there before; those of the other author are put in the place of
/// what a newer worker has written meanwhile.
async fn strip(server: &Server, kept: &str) {
    let null = Value {
        kind: Some(qdrant_client::qdrant::value::Kind::NullValue(0)),
    };
    let payload = ["labels", "dated_seconds"].map(|name| (name.to_owned(), null.clone()));
    let all_but = Filter::must_not([Condition::matches(
        "key_id",
        MatchValue::Keyword(format!("\"{kept}\"")),
    )]);
    let operation = Operation::SetPayload(SetPayload {
        payload: payload.into(),
        points_selector: Some(PointsSelector {
            points_selector_one_of: Some(PointsSelectorOneOf::Filter(all_but)),
        }),
        ..SetPayload::default()
    });
    let operation = PointsUpdateOperation {
        operation: Some(operation),
    };
    let request = UpdateBatchPointsBuilder::new("vector_posts@1", vec![operation]).wait(true);
    client(server).update_points_batch(request).await.unwrap();
}

fn asked(label: String) -> Nearest {
    Nearest {
        by: By::Words(of_question("tide")),
        only: Only::default().and(vec![label]),
        limit: 10,
    }
}

async fn found(store: &impl VectorStore, label: String) -> Vec<String> {
    let near = store.nearest(asked(label)).await.unwrap();
    let mut ids: Vec<_> = near.iter().map(|near| near.point.key.entry_id()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn points_without_labels_get_those_of_their_manifests_when_an_edition_is_opened() {
    let server = Server::start().await;
    let store = open(&server).await.unwrap();
    for number in 0..300 {
        let text = format!("tide {number}");
        let mut writes = document("posts", &text);
        rename(
            &mut writes,
            &number.to_string(),
            if number == 7 { "other" } else { "ada" },
        );
        store.write(writes).await.unwrap();
    }
    strip(&server, "7").await;
    assert_eq!(found(&store, only::author("ada")).await.len(), 0);
    let renewed = open(&server).await.unwrap();
    assert_eq!(found(&renewed, only::author("ada")).await.len(), 10);
    assert_eq!(found(&renewed, only::author("other")).await, ["7"]);
    // Once: there is nothing left to do.
    server.script(|script| script.answered.clear());
    open(&server).await.unwrap();
    let manifests = server.script(|script| {
        let is_read = |name: &&&str| **name == "points.get";
        script.answered.iter().filter(is_read).count()
    });
    assert_eq!(manifests, 0);
}

/// Makes the document another one, of this author.
fn rename(writes: &mut [lockstep::vector::Write], id: &str, author: &str) {
    use lockstep::vector::Write;
    let key = DocumentKey::text("posts", id);
    let metadata = || {
        [("author_id".to_owned(), author.into())]
            .into_iter()
            .collect()
    };
    let mut point_id = None;
    for write in writes {
        match write {
            Write::Upsert(points) => {
                for point in points {
                    point.id = lockstep::change::PointId::new(&key, &point.content, 0);
                    point_id = Some(point.id);
                    (point.key, point.metadata) = (key.clone(), metadata());
                }
            }
            Write::Manifest(manifest) => {
                (manifest.key, manifest.metadata) = (key.clone(), metadata());
                if let (Some(entry), Some(id)) = (manifest.points.first_mut(), point_id) {
                    entry.id = id;
                }
            }
            _ => {}
        }
    }
}
