//! Saving and reading.

use lockstep::change::DocumentKey;
use lockstep::document::Document;
use lockstep::source::{Source, Watch};
use serde_json::json;

use super::{Subject, article, edits, fields};

async fn save<S: Subject>(subject: &S, documents: Vec<Document>) {
    Source::save(subject.source(), documents).await.unwrap();
}

/// Every document of a type, read in pages of `limit`.
async fn all<S: Subject>(subject: &S, kind: &str, limit: usize) -> Vec<Document> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = subject.source().page(kind, after, limit).await.unwrap();
        assert!(page.found.len() <= limit);
        let Some(last) = page.found.last() else {
            return all;
        };
        after = Some(last.key.id.clone());
        all.extend(page.found);
    }
}

pub(crate) async fn what_was_saved_is_read_in_the_order_of_the_keys<S: Subject>() {
    let subject = S::open().await;
    save(&subject, vec![article("a", "old"), article("b", "b")]).await;
    save(&subject, vec![article("a", "new")]).await;
    let keys = ["b", "none", "a"].map(|id| DocumentKey::text("articles", id));
    let reading = subject.source().read(keys.to_vec()).await.unwrap();
    assert_eq!(
        reading.found,
        [Some(fields("b")), None, Some(fields("new"))]
    );
}

/// In the order of the keys all the same, and each as often as it is asked for.
pub(crate) async fn a_read_of_many_megabytes_is_answered_part_by_part<S: Subject>() {
    let subject = S::open().await;
    let text = |id: &str| id.repeat(5 << 20);
    for id in ["a", "b", "c"] {
        save(&subject, vec![article(id, &text(id))]).await;
    }
    let ids = ["c", "a", "none", "c", "b"];
    let mut left = ids.map(|id| DocumentKey::text("articles", id)).to_vec();
    let mut all = Vec::new();
    while !left.is_empty() {
        let found = subject.source().read(left.clone()).await.unwrap().found;
        let held = found.iter().flatten().count();
        assert!(!found.is_empty() && held <= 2, "{held} documents of 5 MiB");
        left.drain(..found.len());
        all.extend(found);
    }
    for (id, found) in ids.into_iter().zip(&all) {
        let expected = (id != "none").then(|| fields(&text(id)));
        assert!(*found == expected, "{id} is another one");
    }
    assert_eq!(all.len(), ids.len());
}

pub(crate) async fn ids_that_look_alike_stay_apart<S: Subject>() {
    let subject = S::open().await;
    let ids = [
        json!(5),
        json!("5"),
        json!({"$oid": "65f0a1b2c3d4e5f6a7b8c9d0"}),
    ];
    let keys = ids.map(|id| DocumentKey::from_json("posts", &id).unwrap());
    for key in &keys {
        let (key, fields) = (key.clone(), fields(&key.id));
        save(&subject, vec![Document { key, fields }]).await;
    }
    let found = subject.source().read(keys.to_vec()).await.unwrap().found;
    assert_eq!(found, keys.clone().map(|key| Some(fields(&key.id))));
    let gone = vec![keys[0].clone()];
    assert_eq!(subject.source().delete(gone).await.unwrap(), 1);
    assert_eq!(all(&subject, "posts", 10).await.len(), 2);
}

pub(crate) async fn pages_hold_each_document_once_in_an_order_that_stays<S: Subject>() {
    let subject = S::open().await;
    let documents = (0..25).map(|n| article(&format!("{:02}", n * 7 % 25), "text"));
    save(&subject, documents.collect()).await;
    let mut ids: Vec<_> = all(&subject, "articles", 4).await;
    assert_eq!(ids, all(&subject, "articles", 100).await);
    assert_eq!(ids.len(), 25);
    ids.dedup_by(|a, b| a.key == b.key);
    assert_eq!(ids.len(), 25);
}

pub(crate) async fn a_page_holds_its_own_type_only<S: Subject>() {
    let subject = S::open().await;
    let key = DocumentKey::text("posts", "a");
    let post = Document {
        key,
        fields: fields("post"),
    };
    save(&subject, vec![article("a", "article"), post.clone()]).await;
    assert_eq!(all(&subject, "posts", 10).await, [post]);
    assert_eq!(all(&subject, "repositories", 10).await, []);
}

pub(crate) async fn kinds_are_those_that_have_documents_sorted<S: Subject>() {
    let subject = S::open().await;
    assert!(subject.source().kinds().await.unwrap().is_empty());
    let mut documents = Vec::new();
    for kind in ["posts", "articles", "repositories"] {
        let key = DocumentKey::text(kind, "a");
        let fields = fields("text");
        documents.push(Document { key, fields });
    }
    save(&subject, documents).await;
    let gone = vec![DocumentKey::text("repositories", "a")];
    subject.source().delete(gone).await.unwrap();
    let kinds = subject.source().kinds().await.unwrap();
    assert_eq!(kinds, ["articles", "posts"]);
}

pub(crate) async fn content_is_never_older_than_its_time<S: Subject>() {
    let subject = S::open().await;
    let mut watch = subject.source().watch(None).await.unwrap();
    let keys = vec![DocumentKey::text("articles", "a")];
    let before = subject.source().read(keys.clone()).await.unwrap();
    assert!(before.time >= watch.here().1);
    save(&subject, vec![article("a", "text")]).await;
    let event = edits(&mut watch, 1).await.remove(0);
    // What was read without the edit was read before it.
    assert!(before.time < event.time);
    let after = subject.source().read(keys).await.unwrap();
    let page = subject.source().page("articles", None, 1).await.unwrap();
    assert_eq!((after.found.len(), page.found.len()), (1, 1));
    // Content that holds the edit may say any time at which it was true, or an earlier one.
    save(&subject, vec![article("a", "newer")]).await;
    let newer = edits(&mut watch, 1).await.remove(0);
    assert!(after.time < newer.time && page.time < newer.time);
}

pub(crate) async fn everything_saved_is_there_after_reopening<S: Subject>() {
    let subject = S::open().await;
    save(&subject, vec![article("a", "a"), article("b", "b")]).await;
    let gone = vec![DocumentKey::text("articles", "a")];
    subject.source().delete(gone).await.unwrap();
    let subject = subject.reopen().await;
    assert_eq!(all(&subject, "articles", 10).await, [article("b", "b")]);
}

pub(crate) async fn concurrent_saves_all_happen<S: Subject>() {
    let subject = S::open().await;
    let one = |name: &'static str| {
        let subject = &subject;
        async move {
            for number in 0..10 {
                let own = article(&format!("{name}{number}"), name);
                save(subject, vec![own, article("shared", name)]).await;
            }
        }
    };
    tokio::join!(one("a"), one("b"), one("c"));
    assert_eq!(all(&subject, "articles", 7).await.len(), 31);
}

pub(crate) async fn what_is_given_to_a_document_changes_nothing_else_of_it<S: Subject>() {
    let subject = S::open().await;
    save(&subject, vec![article("a", "old"), article("b", "b")]).await;
    let given = |id: &str, fields: serde_json::Value| Document {
        key: DocumentKey::text("articles", id),
        fields: serde_json::from_value(fields).unwrap(),
    };
    let batch = vec![
        given("a", json!({"author": "Ada", "count": 1})),
        given("none", json!({"author": "Ada"})),
        given("b", json!({})),
        given("a", json!({"count": {"of": 2}})),
    ];
    subject.source().amend(batch).await.unwrap();
    let mut expected = fields("old");
    expected.insert("author".to_owned(), json!("Ada"));
    expected.insert("count".to_owned(), json!({"of": 2}));
    let keys = ["a", "none", "b"].map(|id| DocumentKey::text("articles", id));
    let found = subject.source().read(keys.to_vec()).await.unwrap().found;
    assert_eq!(found, [Some(expected), None, Some(fields("b"))]);
    // Some sources would take these for paths into a field.
    for name in ["count.of", "$count"] {
        let mut path = given("a", json!({}));
        path.fields.insert(name.to_owned(), json!(3));
        let refused = subject.source().amend(vec![path]).await.unwrap_err();
        assert!(refused.to_string().contains(name), "{refused}");
    }
}
