//! What every logbook promises, as facts that run over each of them.
//!
//! A backend joins with a [`Subject`] and one line: `suite!(Subject);`.

mod mongo;
mod sqlite;

use lockstep::change::DocumentKey;
use lockstep::document::Document;
use lockstep::logbook::{Counts, Ended, Logbook, Page, Pages, Run, Runs};
use lockstep::source::Source;
use serde_json::{Value, json};

/// A backend under test.
pub(crate) trait Subject: Sized {
    /// Its logbook.
    type Book: Logbook + Source;

    /// An empty logbook.
    async fn open() -> Self;

    /// The logbook.
    fn book(&self) -> &Self::Book;

    /// Ends it and opens it again on what it kept.
    async fn reopen(self) -> Self;
}

/// One test for each fact.
macro_rules! suite {
    ($subject:ty) => {
        $crate::contract::logbook::facts! { $subject;
            a_page_is_read_as_it_was_saved_last,
            pages_are_found_by_document_and_by_root_in_the_order_of_links,
            all_pages_are_listed_in_the_order_of_links,
            documents_that_look_alike_have_pages_of_their_own,
            runs_are_listed_in_the_order_of_links,
            a_run_keeps_how_the_crawls_before_it_ended,
            everything_is_there_after_reopening,
            a_claim_is_one_owners_until_it_ends,
            of_many_who_claim_at_once_one_gets_the_link,
            documents_are_found_by_each_of_their_roots,
        }
    };
}
pub(crate) use suite;

macro_rules! facts {
    ($subject:ty; $($fact:ident,)*) => {
        $(
            #[tokio::test]
            async fn $fact() {
                $crate::contract::logbook::$fact::<$subject>().await;
            }
        )*
    };
}
pub(crate) use facts;

fn page(link: &str, root: &str, document: Option<&str>) -> Page {
    Page {
        link: link.to_owned(),
        root: root.to_owned(),
        at: format!("{link}/"),
        etag: Some("\"$a\u{1f600}\"".to_owned()),
        hash: Some("00ff".to_owned()),
        document: document.map(|id| DocumentKey::text("articles", id)),
        seen_ms: 7,
        ..Page::default()
    }
}

fn links(pages: &[Page]) -> Vec<&str> {
    pages.iter().map(|page| page.link.as_str()).collect()
}

pub(crate) async fn a_page_is_read_as_it_was_saved_last<S: Subject>() {
    let subject = S::open().await;
    let book = subject.book();
    let link = || Pages::Of("https://a.example/$x/0?a=1".to_owned());
    assert_eq!(book.pages(link(), 9).await.unwrap(), []);
    let mut page = page("https://a.example/$x/0?a=1", "r", Some("d"));
    book.save_pages(vec![page.clone()]).await.unwrap();
    assert_eq!(book.pages(link(), 9).await.unwrap(), [page.clone()]);
    page.missing_ms = Some(9);
    page.forget();
    book.save_pages(vec![page.clone()]).await.unwrap();
    assert_eq!(book.pages(link(), 9).await.unwrap(), [page]);
}

pub(crate) async fn pages_are_found_by_document_and_by_root_in_the_order_of_links<S: Subject>() {
    let subject = S::open().await;
    let book = subject.book();
    let pages = vec![
        page("c", "root", Some("one")),
        page("a", "root", Some("one")),
        page("b", "other", Some("one")),
        page("d", "root", Some("two")),
        page("e", "root", None),
    ];
    book.save_pages(pages).await.unwrap();
    let making = || Pages::Making(DocumentKey::text("articles", "one"));
    assert_eq!(
        links(&book.pages(making(), 9).await.unwrap()),
        ["a", "b", "c"]
    );
    assert_eq!(links(&book.pages(making(), 2).await.unwrap()), ["a", "b"]);
    let under = |after: Option<&str>| Pages::Under("root".to_owned(), after.map(str::to_owned));
    assert_eq!(
        links(&book.pages(under(None), 2).await.unwrap()),
        ["a", "c"]
    );
    let rest = book.pages(under(Some("c")), 9).await.unwrap();
    assert_eq!(links(&rest), ["d", "e"]);
    // One that makes another document now is found by that one.
    book.save_pages(vec![page("a", "root", Some("two"))])
        .await
        .unwrap();
    assert_eq!(links(&book.pages(making(), 9).await.unwrap()), ["b", "c"]);
}

pub(crate) async fn all_pages_are_listed_in_the_order_of_links<S: Subject>() {
    let subject = S::open().await;
    let book = subject.book();
    let pages = [("c", "r"), ("a", "s"), ("b", "r")].map(|(link, root)| page(link, root, None));
    book.save_pages(pages.into()).await.unwrap();
    let after = |after: Option<&str>| Pages::After(after.map(str::to_owned));
    assert_eq!(
        links(&book.pages(after(None), 2).await.unwrap()),
        ["a", "b"]
    );
    assert_eq!(
        links(&book.pages(after(Some("b")), 9).await.unwrap()),
        ["c"]
    );
}

pub(crate) async fn documents_that_look_alike_have_pages_of_their_own<S: Subject>() {
    let subject = S::open().await;
    let number = DocumentKey::from_json("articles", &serde_json::json!(5)).unwrap();
    let mut numbered = page("a", "r", None);
    numbered.document = Some(number.clone());
    let pages = vec![numbered, page("b", "r", Some("5"))];
    subject.book().save_pages(pages).await.unwrap();
    let found = subject.book().pages(Pages::Making(number), 9).await;
    assert_eq!(links(&found.unwrap()), ["a"]);
}

pub(crate) async fn runs_are_listed_in_the_order_of_links<S: Subject>() {
    let subject = S::open().await;
    let book = subject.book();
    let run = |link: &str, written| Run {
        link: link.to_owned(),
        counts: Counts {
            written,
            ..Counts::default()
        },
        ..Run::default()
    };
    for link in ["b", "a", "c"] {
        book.save_run(run(link, 1)).await.unwrap();
    }
    book.save_run(run("b", 2)).await.unwrap();
    let all = book.runs(Runs::After(None), 2).await.unwrap();
    assert_eq!(all, [run("a", 1), run("b", 2)]);
    let rest = book.runs(Runs::After(Some("b".to_owned())), 9).await;
    assert_eq!(rest.unwrap(), [run("c", 1)]);
    let one = book.runs(Runs::Of("b".to_owned()), 9).await.unwrap();
    assert_eq!(one, [run("b", 2)]);
}

pub(crate) async fn a_run_keeps_how_the_crawls_before_it_ended<S: Subject>() {
    let subject = S::open().await;
    let ended = |started_ms, error: Option<&str>| Ended {
        started_ms,
        finished_ms: started_ms + 1,
        counts: Counts {
            unchanged: 7,
            ..Counts::default()
        },
        error: error.map(str::to_owned),
        has_failed: error.is_some(),
    };
    let run = Run {
        link: "a".to_owned(),
        started_ms: 30,
        ended: vec![ended(20, Some("\"$no\u{1f600}\"")), ended(10, None)],
        ..Run::default()
    };
    subject.book().save_run(run.clone()).await.unwrap();
    let subject = subject.reopen().await;
    let book = subject.book();
    let of = book.runs(Runs::Of("a".to_owned()), 9).await.unwrap();
    let all = book.runs(Runs::After(None), 9).await.unwrap();
    assert_eq!((&of, &all), (&vec![run.clone()], &vec![run]));
}

pub(crate) async fn everything_is_there_after_reopening<S: Subject>() {
    let subject = S::open().await;
    let (page, run) = (
        page("a", "r", Some("d")),
        Run {
            link: "a".to_owned(),
            next_ms: Some(9),
            ..Run::default()
        },
    );
    subject.book().save_pages(vec![page.clone()]).await.unwrap();
    subject.book().save_run(run.clone()).await.unwrap();
    let subject = subject.reopen().await;
    let book = subject.book();
    let pages = book.pages(Pages::Of("a".to_owned()), 1).await.unwrap();
    let runs = book.runs(Runs::After(None), 9).await.unwrap();
    assert_eq!((pages, runs), (vec![page], vec![run]));
}

pub(crate) async fn a_claim_is_one_owners_until_it_ends<S: Subject>() {
    let subject = S::open().await;
    let book = subject.book();
    let claim = async |owner, now, until| book.claim("a", owner, (now, until)).await.unwrap();
    assert!(claim("one", 100, 200).await);
    assert!(!claim("two", 150, 250).await);
    assert!(claim("one", 190, 300).await, "the owner keeps it");
    assert!(!claim("two", 250, 350).await);
    assert!(claim("two", 300, 400).await, "it has ended");
    assert!(!claim("one", 350, 450).await);
    // Giving back what another one has takes nothing from it.
    claim("one", 350, 0).await;
    assert!(!claim("one", 350, 450).await);
    claim("two", 350, 0).await;
    assert!(claim("one", 350, 450).await, "it was given back");
}

pub(crate) async fn of_many_who_claim_at_once_one_gets_the_link<S: Subject>() {
    let subject = S::open().await;
    let book = subject.book();
    let claim = async |owner| book.claim("a", owner, (100, 200)).await.unwrap();
    let got = tokio::join!(claim("a"), claim("b"), claim("c"), claim("d"));
    let got = <[bool; 4]>::from(got).into_iter().filter(|got| *got);
    assert_eq!(got.count(), 1);
}

pub(crate) async fn documents_are_found_by_each_of_their_roots<S: Subject>() {
    let subject = S::open().await;
    let book = subject.book();
    let document = |kind: &str, id: &str, fields: Value| {
        let Value::Object(fields) = fields else {
            panic!("{fields} are no fields")
        };
        let key = DocumentKey::text(kind, id);
        Document { key, fields }
    };
    let stored = vec![
        document("articles", "outer", json!({"crawl_root": "file:///a"})),
        document(
            "articles",
            "both",
            json!({"crawl_root": ["file:///a", "file:///a/b"]}),
        ),
        document("articles", "inner", json!({"crawl_root": "file:///a/b"})),
        document("articles", "none", json!({"title": "file:///a"})),
        document(
            "articles",
            "strange",
            json!({"crawl_root": {"x": "file:///a"}}),
        ),
        document("posts", "other", json!({"crawl_root": "file:///a"})),
    ];
    book.save(stored).await.unwrap();
    let rooted = async |kind: &str, root: &str| {
        let roots = [root.to_owned(), "file:///elsewhere".to_owned()];
        let mut keys = book.rooted(kind, &roots).await.unwrap();
        keys.sort();
        keys
    };
    let article = |id| DocumentKey::text("articles", id);
    let outer = [article("both"), article("outer")];
    assert_eq!(rooted("articles", "file:///a").await, outer);
    let inner = [article("both"), article("inner")];
    assert_eq!(rooted("articles", "file:///a/b").await, inner);
    let posts = [DocumentKey::text("posts", "other")];
    assert_eq!(rooted("posts", "file:///a").await, posts);
    assert_eq!(rooted("notes", "file:///a").await, []);
    book.delete(vec![article("both")]).await.unwrap();
    assert_eq!(rooted("articles", "file:///a").await, [article("outer")]);
}
