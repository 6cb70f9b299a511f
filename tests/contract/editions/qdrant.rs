//! The editions on a Qdrant server over the suite, and what only several processes meet.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::reindex::{Configured, Edition, Editions as _, Event, Opening, or_moved};
use lockstep::vector::qdrant::{QdrantEditions, Settings};
use lockstep::vector::{Select, VectorStore as _, Write};
use lockstep::{Error, Recovery};
use qdrant_client::Qdrant;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, CreateAliasBuilder, CreateCollectionBuilder, Filter,
    VectorParamsMap,
};
use serde_json::{Value, json};

use super::{Subject, happened, mark, marked};
use crate::contract::vector::{at, key, tombstone};
use crate::support::qdrant::{Fault, Server};

const DIMENSION: usize = 4;

pub(crate) struct Served {
    editions: QdrantEditions<HashEmbedder>,
    server: Arc<Server>,
}

/// The index as a process with a model of so many values has it. A recipe of 0 stands for a model that is
/// gone, one of 1 for a model that is never opened.
fn with(server: &Arc<Server>, dimension: usize) -> Served {
    let embedder = HashEmbedder::new(dimension);
    let configured = Configured {
        edition: Edition {
            number: 0,
            model: embedder.model().clone(),
            pipeline: "p".to_owned(),
            recipe: json!(dimension % 1000),
        },
        embedder: Arc::new(embedder),
    };
    let opener = |recipe: Value| -> Opening<'static, HashEmbedder> {
        if recipe == 1 {
            return Box::pin(pending());
        }
        Box::pin(ready(match recipe.as_u64() {
            Some(dimension) if dimension > 0 => {
                Ok(HashEmbedder::new(usize::try_from(dimension).unwrap()))
            }
            _ => Err(Error::Stopped { part: "the model" }),
        }))
    };
    Served {
        editions: QdrantEditions::new(Settings::new(server.url()), configured, opener),
        server: Arc::clone(server),
    }
}

impl Subject for Served {
    type Editions = QdrantEditions<HashEmbedder>;

    async fn open() -> Self {
        let served = with(&Arc::new(Server::start().await), DIMENSION);
        served.editions.start().await.unwrap();
        served
    }

    fn editions(&self) -> &Self::Editions {
        &self.editions
    }

    async fn reopen(self) -> Self {
        let again = with(&self.server, DIMENSION);
        again.editions.start().await.unwrap();
        again
    }

    async fn has_files(&self, number: u32) -> bool {
        let client = client(&self.server);
        let names = client.list_collections().await.unwrap().collections;
        let suffix = format!("@{number}");
        let filter = Filter::must([Condition::matches("edition", i64::from(number))]);
        let count = CountPointsBuilder::new("lockstep_control")
            .filter(filter)
            .exact(true);
        let count = client.count(count).await.unwrap().result.unwrap().count;
        count > 0 || names.iter().any(|one| one.name.ends_with(&suffix))
    }
}

super::suite!(Served);

/// A client past our stores.
fn client(server: &Server) -> Qdrant {
    let client = Qdrant::from_url(&server.url()).skip_compatibility_check();
    client.build().unwrap()
}

/// The aliases, and what they point at.
async fn aliases(served: &Served) -> Vec<(String, String)> {
    let aliases = client(&served.server).list_aliases().await.unwrap().aliases;
    let mut found: Vec<_> = aliases
        .into_iter()
        .map(|one| (one.alias_name, one.collection_name))
        .collect();
    found.sort();
    found
}

/// Points them at this edition, past the register.
async fn point(server: &Server, edition: u32) {
    let client = client(server);
    for name in ["cleaned_posts", "vector_posts"] {
        client.delete_alias(name).await.unwrap();
        let moved = CreateAliasBuilder::new(format!("{name}@{edition}"), name);
        client.create_alias(moved).await.unwrap();
    }
}

/// Its first document would find it otherwise, in the middle of a worker's work.
#[tokio::test]
async fn collections_of_somebody_else_that_have_names_of_types_are_all_named() {
    let server = Arc::new(Server::start().await);
    for name in ["cleaned_notes", "cleaned_posts", "vector_posts"] {
        let none = Config::ParamsMap(VectorParamsMap::default());
        let theirs = CreateCollectionBuilder::new(name).vectors_config(none);
        client(&server).create_collection(theirs).await.unwrap();
    }
    let editions = with(&server, DIMENSION).editions;
    let may_store = async |kinds: &[&str]| {
        let kinds: Vec<_> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        editions.may_store(&kinds).await
    };
    let error = may_store(&["articles", "posts"]).await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Stop);
    let text = error.chain();
    for part in [
        "so: cleaned_posts, vector_posts;",
        "vector.name",
        "source.collections",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // What is not stored needs no name.
    may_store(&["articles"]).await.unwrap();
}

const FILLED: [Event; 3] = [Event::Copied, Event::Ended, Event::Clean];

#[tokio::test]
async fn other_programs_read_the_new_edition_after_one_request() {
    let served = Served::open().await;
    mark(&served, false, "old").await;
    assert_eq!(aliases(&served).await[0].1, "cleaned_posts@1");
    served.editions.begin().await.unwrap();
    mark(&served, true, "new").await;
    happened(&served, &FILLED).await;
    served.server.script(|script| script.answered.clear());
    happened(&served, &[Event::Switched]).await;
    let requests = served.server.script(|script| {
        let change = |name: &&&str| **name == "collections.update_aliases";
        script.answered.iter().filter(change).count()
    });
    assert_eq!(requests, 1);
    let now = aliases(&served).await;
    assert_eq!(now[0].1, "cleaned_posts@2");
    assert_eq!(now[1].1, "vector_posts@2");
}

/// Whoever finds the type recorded makes nothing of it again.
#[tokio::test]
async fn other_programs_see_a_new_type_whose_first_write_was_cut_off() {
    let served = Served::open().await;
    let current = served.editions.open().await.unwrap().current;
    let write = || vec![Write::Manifest(Box::new(tombstone(&key("one"), at(1))))];
    served.server.script(|script| {
        let fault = ("collections.update_aliases", Fault::Busy);
        script.faults.push(fault);
    });
    current.store.write(write()).await.unwrap_err();
    current.store.write(write()).await.unwrap();
    let names = aliases(&served).await.into_iter().map(|(name, _)| name);
    assert_eq!(names.collect::<Vec<_>>(), ["cleaned_posts", "vector_posts"]);
}

#[tokio::test]
async fn other_programs_see_a_type_that_is_new_after_a_switch() {
    let served = Served::open().await;
    served.editions.begin().await.unwrap();
    happened(&served, &FILLED).await;
    happened(&served, &[Event::Switched]).await;
    assert_eq!(aliases(&served).await, []);
    mark(&served, false, "new").await;
    assert_eq!(aliases(&served).await[0].1, "cleaned_posts@2");
}

/// As a worker does that has not seen the switch yet, with a type that is new to it.
#[tokio::test]
async fn aliases_that_were_pointed_back_are_right_after_the_removal() {
    let served = Served::open().await;
    mark(&served, false, "old").await;
    served.editions.begin().await.unwrap();
    mark(&served, true, "new").await;
    happened(&served, &FILLED).await;
    happened(&served, &[Event::Switched]).await;
    point(&served.server, 1).await;
    served.editions.remove(1).await.unwrap();
    let now = aliases(&served).await.into_iter().map(|(_, real)| real);
    assert_eq!(
        now.collect::<Vec<_>>(),
        ["cleaned_posts@2", "vector_posts@2"]
    );
}

/// An export that reads it page by page would otherwise end as if that were all.
#[tokio::test]
async fn who_reads_an_edition_that_another_process_removes_is_told() {
    let reader = Served::open().await;
    for id in ["one", "two"] {
        mark(&reader, false, id).await;
    }
    let index = reader.editions.open().await.unwrap().current;
    let page = |after| Select::After { after, limit: 1 };
    let first = index.store.manifests(page(None)).await.unwrap();
    let person = with(&reader.server, DIMENSION);
    person.editions.begin().await.unwrap();
    happened(&person, &FILLED).await;
    happened(&person, &[Event::Switched]).await;
    person.editions.remove(1).await.unwrap();
    let rest = index
        .store
        .manifests(page(Some(first[0].key.clone())))
        .await;
    let text = rest.unwrap_err().chain();
    assert!(
        text.contains("edition 1 of the index was removed"),
        "{text}"
    );
}

/// As a process that only searches does, whose editions nobody opens for writing.
#[tokio::test]
async fn who_only_searches_lets_go_of_an_edition_that_is_no_more() {
    let searcher = Served::open().await;
    let held = searcher.editions.searched().await.unwrap();
    let model = Arc::downgrade(&held.current.embedder);
    drop(held);
    let other = with(&searcher.server, 8);
    other.editions.begin().await.unwrap();
    happened(&other, &FILLED).await;
    happened(&other, &[Event::Switched]).await;
    other.editions.remove(1).await.unwrap();
    let now = searcher.editions.searched().await.unwrap();
    assert_eq!(now.current.embedder.model().dimension, 8);
    // The settings keep the one that they name.
    assert_eq!(model.strong_count(), 1);
}

#[tokio::test]
async fn what_one_process_begins_another_one_fills_and_a_third_one_searches() {
    let old = Served::open().await;
    mark(&old, false, "old").await;
    // Its settings name another model; the worker has to open that one by itself.
    let new = with(&old.server, 8);
    new.editions.start().await.unwrap();
    let open = new.editions.searched().await.unwrap();
    assert_eq!(open.current.embedder.model().dimension, DIMENSION);
    assert!(open.note(&new.editions.configured()).is_some());
    assert!(new.editions.begin().await.unwrap());
    let open = old.editions.open().await.unwrap();
    assert_eq!(open.next.unwrap().embedder.model().dimension, 8);
    mark(&old, true, "new").await;
    happened(&new, &FILLED).await;
    happened(&old, &[Event::Switched]).await;
    for served in [&old, &new] {
        assert_eq!(marked(served).await, (vec!["new".into()], None));
        let current = served.editions.open().await.unwrap().current;
        assert_eq!(current.embedder.model().dimension, 8);
    }
}

#[tokio::test]
async fn of_two_processes_that_change_the_register_at_once_one_is_told() {
    let one = Served::open().await;
    let two = with(&one.server, DIMENSION);
    let (a, b) = tokio::join!(one.editions.begin(), two.editions.begin());
    assert!(a.unwrap() ^ b.unwrap());
    let register = one.editions.open().await.unwrap().register;
    let (a, b) = tokio::join!(
        one.editions.change(&register, Event::Copied),
        two.editions.change(&register, Event::Abandoned)
    );
    assert!(a.unwrap() ^ b.unwrap());
}

#[tokio::test]
async fn whoever_works_with_an_edition_that_others_remove_leaves_nothing_and_tries_again() {
    let worker = Served::open().await;
    mark(&worker, false, "old").await;
    let person = with(&worker.server, DIMENSION);
    person.editions.begin().await.unwrap();
    let open = worker.editions.open().await.unwrap();
    let next = open.next.as_ref().unwrap();
    happened(&person, &[Event::Abandoned]).await;
    person.editions.remove(2).await.unwrap();
    let grave = tombstone(&key("late"), at(1));
    let late = next
        .store
        .write(vec![Write::Manifest(Box::new(grave))])
        .await;
    let late = or_moved(&worker.editions, &open.register, late).await;
    let error = late.unwrap_err();
    assert!(matches!(error.recovery(), Recovery::Retry(_)), "{error:?}");
    assert!(!worker.has_files(2).await);
    assert_eq!(marked(&worker).await, (vec!["old".into()], None));
}

#[tokio::test]
async fn a_switch_that_was_cut_off_after_the_aliases_is_taken_back_by_a_drop() {
    let served = Served::open().await;
    mark(&served, false, "old").await;
    served.editions.begin().await.unwrap();
    mark(&served, true, "new").await;
    happened(&served, &FILLED).await;
    // What is left of a process that was killed between the two.
    point(&served.server, 2).await;
    assert_eq!(marked(&served).await.0, ["old"]);
    happened(&served, &[Event::Abandoned]).await;
    served.editions.remove(2).await.unwrap();
    assert_eq!(aliases(&served).await[0].1, "cleaned_posts@1");
    assert_eq!(marked(&served).await, (vec!["old".into()], None));
}

#[tokio::test]
async fn a_model_that_cannot_be_opened_stops_who_writes_and_nobody_who_searches() {
    let served = Served::open().await;
    mark(&served, false, "old").await;
    // Its recipe is read as 0.
    let elsewhere = with(&served.server, 1000);
    elsewhere.editions.start().await.unwrap();
    elsewhere.editions.begin().await.unwrap();
    assert_eq!(marked(&served).await, (vec!["old".into()], None));
    let error = served
        .editions
        .open()
        .await
        .unwrap()
        .writable()
        .unwrap_err();
    assert_eq!(error.recovery(), Recovery::Stop);
    let text = error.chain();
    assert!(text.contains("lockstep reindex --drop"), "{text}");
    happened(&elsewhere, &FILLED).await;
    happened(&elsewhere, &[Event::Switched]).await;
    let error = served.editions.open().await.unwrap_err();
    assert!(error.chain().contains("cannot be opened here"), "{error:?}");
}

#[tokio::test]
async fn a_model_that_is_still_being_opened_keeps_nobody_from_searching() {
    let served = Served::open().await;
    mark(&served, false, "old").await;
    // Its recipe is read as 1.
    let elsewhere = with(&served.server, 1001);
    elsewhere.editions.start().await.unwrap();
    elsewhere.editions.begin().await.unwrap();
    let searching = async {
        // Often enough that the other one is where he waits.
        for _ in 0..20 {
            let open = served.editions.searched().await.unwrap();
            assert!(open.register.next.is_some());
        }
    };
    tokio::select! {
        biased;
        _ = served.editions.open() => panic!("nothing opens that model"),
        done = tokio::time::timeout(Duration::from_mins(1), searching) => done.unwrap(),
    }
    // Nor from giving it up.
    happened(&elsewhere, &[Event::Abandoned]).await;
    served.editions.remove(2).await.unwrap();
    assert_eq!(marked(&served).await, (vec!["old".into()], None));
}
