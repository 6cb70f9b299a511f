//! An index that is not whole, or not ours.

use lockstep::change::PointId;
use lockstep::feature::embed::Model;
use lockstep::vector::qdrant::{QdrantStore, Settings};
use lockstep::vector::{VectorStore, lexical};
use qdrant_client::qdrant::vector_output::Vector;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, GetPointsBuilder, VectorParamsBuilder, VectorParamsMap,
    VectorsConfigBuilder, VectorsSelector,
};

use super::{assert_stops, client, contents, document, model, open};
use crate::support::qdrant::Server;

#[tokio::test]
async fn an_index_of_another_model_is_refused_with_the_command_that_builds_it_again() {
    let server = Server::start().await;
    open(&server).await.unwrap();
    let longer = Model {
        name: "longer".to_owned(),
        dimension: 5,
        ..model()
    };
    let other = Model {
        name: "other".to_owned(),
        digest: "ff".repeat(32),
        ..model()
    };
    for given in [longer, other] {
        let settings = Settings::new(server.url());
        let opened = QdrantStore::open(settings, &given, 1).await;
        let made = "made with test (4 dimensions";
        assert_stops(opened, &[made, &given.name, "lockstep reindex"]);
    }
    open(&server).await.unwrap();
}

#[tokio::test]
async fn vectors_of_another_dimension_are_refused_with_the_command_that_builds_them_again() {
    let server = Server::start().await;
    let store = open(&server).await.unwrap();
    store.write(document("posts", "one")).await.unwrap();
    let client = client(&server);
    client.delete_collection("vector_posts@1").await.unwrap();
    let mut sizes = VectorsConfigBuilder::default();
    let params = VectorParamsBuilder::new(8, Distance::Cosine);
    sizes.add_named_vector_params("dense", params);
    let create = CreateCollectionBuilder::new("vector_posts@1").vectors_config(sizes);
    client.create_collection(create).await.unwrap();
    let opened = open(&server).await;
    assert_stops(
        opened,
        &["vector_posts", "8 values", "4", "lockstep reindex"],
    );
}

#[tokio::test]
async fn a_collection_that_is_gone_is_named() {
    let server = Server::start().await;
    let store = open(&server).await.unwrap();
    store.write(document("posts", "one")).await.unwrap();
    store.write(document("articles", "two")).await.unwrap();
    let client = client(&server);
    client.delete_collection("vector_posts@1").await.unwrap();
    let gone = ["vector_posts", "restore it", "lockstep snapshot"];
    assert_stops(store.counts().await, &gone);
    assert_stops(store.write(document("posts", "three")).await, &gone);
    assert_stops(open(&server).await, &gone);
    client.delete_collection("lockstep_control").await.unwrap();
    let opened = open(&server).await;
    assert_stops(opened, &["lockstep_control", "restore it"]);
}

#[tokio::test]
async fn a_type_that_was_half_made_is_made_whole() {
    let server = Server::start().await;
    let store = open(&server).await.unwrap();
    let half = CreateCollectionBuilder::new("cleaned_posts@1")
        .vectors_config(Config::ParamsMap(VectorParamsMap::default()));
    client(&server).create_collection(half).await.unwrap();
    store.write(document("posts", "one")).await.unwrap();
    assert_eq!(contents(&store).await, ["one"]);
    let whole = open(&server).await.unwrap();
    assert_eq!(whole.counts().await.unwrap().documents, 1);
}

#[tokio::test]
async fn a_type_that_another_process_made_is_seen() {
    let server = Server::start().await;
    let ours = open(&server).await.unwrap();
    let theirs = open(&server).await.unwrap();
    let both = [&ours, &theirs].map(|store| store.write(document("posts", "one")));
    for outcome in futures_util::future::join_all(both).await {
        outcome.unwrap();
    }
    assert_eq!(contents(&ours).await, ["one"]);
    theirs.write(document("articles", "two")).await.unwrap();
    assert_eq!(contents(&ours).await.len(), 2);
    assert_eq!(ours.counts().await.unwrap().documents, 2);
}

#[tokio::test]
async fn the_words_of_a_chunk_stand_beside_its_meaning() {
    let server = Server::start().await;
    let store = open(&server).await.unwrap();
    let text = "The queues of a queue, 2024";
    store.write(document("posts", text)).await.unwrap();
    let key = lockstep::change::DocumentKey::text("posts", "a");
    let id = PointId::new(&key, text, 0).to_string();
    let get = GetPointsBuilder::new("vector_posts@1", vec![id.into()])
        .with_payload(true)
        .with_vectors(VectorsSelector {
            names: vec!["sparse".to_owned()],
        });
    let found = client(&server).get_points(get).await.unwrap().result;
    let vectors = found[0].vectors.as_ref().unwrap();
    let Some(Vector::Sparse(words)) = vectors.get_vector_by_name("sparse") else {
        panic!("{vectors:?} should be sparse");
    };
    let expected = lexical::of_text(text);
    assert_eq!(words.indices, expected.ids);
    assert_eq!(words.values, expected.weights);
    assert_eq!(expected.ids, {
        let mut ids =
            [lexical::of_question("queue"), lexical::of_question("2024")].map(|words| words.ids[0]);
        ids.sort_unstable();
        ids
    });
}

#[tokio::test]
async fn a_collection_of_somebody_else_with_a_name_of_ours_is_refused_before_anything_is_made() {
    let server = Server::start().await;
    let client = client(&server);
    let mut vectors = VectorsConfigBuilder::default();
    let params = VectorParamsBuilder::new(4, Distance::Cosine);
    vectors.add_named_vector_params("theirs", params);
    let theirs = CreateCollectionBuilder::new("cleaned_posts").vectors_config(vectors);
    client.create_collection(theirs).await.unwrap();
    let store = open(&server).await.unwrap();
    let written = store.write(document("posts", "one")).await;
    assert_stops(written, &["cleaned_posts", "vector.name"]);
    let there = client.list_collections().await.unwrap().collections;
    assert!(!there.iter().any(|one| one.name.contains('@')), "{there:?}");
    // Of another type the store takes what it is given.
    store.write(document("articles", "two")).await.unwrap();
}
