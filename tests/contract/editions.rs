//! What everything that keeps editions of an index promises.

mod edge;
mod model;
mod qdrant;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use lockstep::reindex::{Editions, Event, Stage};
use lockstep::vector::lexical::of_question;
use lockstep::vector::{By, Nearest, Only, Point, Select, VectorStore as _, Write};

use crate::contract::vector::{at, key, point, tombstone};

/// Something under test.
pub(crate) trait Subject: Sized {
    /// What it keeps them in.
    type Editions: Editions;

    /// One empty edition.
    async fn open() -> Self;

    fn editions(&self) -> &Self::Editions;

    /// Ends it, as roughly as it can, and opens it again on what it kept.
    async fn reopen(self) -> Self;

    /// Whether anything of this edition is left.
    async fn has_files(&self, number: u32) -> bool;
}

macro_rules! suite {
    ($subject:ty) => {
        $crate::contract::editions::facts! { $subject;
            a_new_edition_is_empty_and_beside_the_other,
            one_edition_is_filled_at_a_time,
            who_changes_an_old_register_comes_too_late,
            the_switch_is_one_step,
            the_old_edition_goes_after_the_switch,
            what_was_given_up_leaves_nothing,
            nothing_is_removed_while_somebody_holds_it,
            of_two_who_remove_at_once_none_meets_half_an_edition,
            what_is_written_to_goes_on_after_the_old_edition_is_gone,
            a_search_by_words_reads_its_own_edition,
        }
    };
}
pub(crate) use suite;

macro_rules! facts {
    ($subject:ty; $($fact:ident,)*) => {
        $(#[tokio::test]
        async fn $fact() {
            let subject = <$subject as $crate::contract::editions::Subject>::open().await;
            $crate::contract::editions::$fact(subject).await;
        })*
    };
}
pub(crate) use facts;

/// The register after these events, each of which must be taken.
async fn happened<S: Subject>(subject: &S, events: &[Event]) {
    for event in events {
        let register = subject.editions().open().await.unwrap().register;
        let changed = subject.editions().change(&register, event.clone()).await;
        assert!(changed.unwrap(), "{event:?} in {register:?}");
    }
}

/// Stores a tombstone of this document in the edition that is searched, or in the other one.
async fn mark<S: Subject>(subject: &S, next: bool, id: &str) {
    let open = subject.editions().open().await.unwrap();
    let index = if next {
        open.next.unwrap()
    } else {
        open.current
    };
    let grave = tombstone(&key(id), at(1));
    let write = lockstep::vector::Write::Manifest(Box::new(grave));
    index.store.write(vec![write]).await.unwrap();
}

/// The documents of the edition that is searched, and of the other one.
async fn marked<S: Subject>(subject: &S) -> (Vec<String>, Option<Vec<String>>) {
    let open = subject.editions().open().await.unwrap();
    let all = || Select::After {
        after: None,
        limit: 10,
    };
    let ids = |found: Vec<lockstep::vector::Manifest>| {
        found.into_iter().map(|one| one.key.entry_id()).collect()
    };
    let current = open.current.store.manifests(all()).await.unwrap();
    let mut other = None;
    if let Some(next) = open.next {
        other = Some(ids(next.store.manifests(all()).await.unwrap()));
    }
    (ids(current), other)
}

pub(crate) async fn a_new_edition_is_empty_and_beside_the_other<S: Subject>(subject: S) {
    mark(&subject, false, "old").await;
    assert!(subject.editions().begin().await.unwrap());
    assert_eq!(marked(&subject).await, (vec!["old".into()], Some(vec![])));
    mark(&subject, true, "new").await;
    happened(&subject, &[Event::Copied]).await;
    let subject = subject.reopen().await;
    let both = (vec!["old".into()], Some(vec!["new".into()]));
    assert_eq!(marked(&subject).await, both);
    let register = subject.editions().open().await.unwrap().register;
    assert_eq!(register.next.unwrap().stage, Stage::Dual);
}

pub(crate) async fn one_edition_is_filled_at_a_time<S: Subject>(subject: S) {
    assert!(subject.editions().begin().await.unwrap());
    assert!(!subject.editions().begin().await.unwrap());
    let subject = subject.reopen().await;
    assert!(!subject.editions().begin().await.unwrap());
    let register = subject.editions().open().await.unwrap().register;
    assert_eq!((register.current.number, register.last), (1, 2));
}

pub(crate) async fn who_changes_an_old_register_comes_too_late<S: Subject>(subject: S) {
    let before = subject.editions().open().await.unwrap().register;
    subject.editions().begin().await.unwrap();
    let abandon = subject.editions().change(&before, Event::Abandoned).await;
    assert!(!abandon.unwrap());
    let now = subject.editions().open().await.unwrap().register;
    let impossible = subject.editions().change(&now, Event::Switched).await;
    assert!(!impossible.unwrap());
    assert_eq!(subject.editions().open().await.unwrap().register, now);
}

/// Fills a second edition and switches to it.
async fn switched<S: Subject>(subject: &S) {
    mark(subject, false, "old").await;
    subject.editions().begin().await.unwrap();
    mark(subject, true, "new").await;
    let filled = [Event::Copied, Event::Ended, Event::Clean, Event::Switched];
    happened(subject, &filled).await;
}

pub(crate) async fn the_switch_is_one_step<S: Subject>(subject: S) {
    switched(&subject).await;
    assert_eq!(marked(&subject).await, (vec!["new".into()], None));
    let subject = subject.reopen().await;
    assert_eq!(marked(&subject).await, (vec!["new".into()], None));
    assert!(subject.has_files(1).await);
}

pub(crate) async fn the_old_edition_goes_after_the_switch<S: Subject>(subject: S) {
    switched(&subject).await;
    subject.editions().remove(1).await.unwrap();
    subject.editions().remove(1).await.unwrap();
    assert!(!subject.has_files(1).await && subject.has_files(2).await);
    let subject = subject.reopen().await;
    assert_eq!(marked(&subject).await, (vec!["new".into()], None));
    let register = subject.editions().open().await.unwrap().register;
    assert!(register.removing.is_empty());
}

pub(crate) async fn what_was_given_up_leaves_nothing<S: Subject>(subject: S) {
    subject.editions().begin().await.unwrap();
    mark(&subject, true, "new").await;
    happened(&subject, &[Event::Abandoned]).await;
    assert_eq!(marked(&subject).await, (vec![], None));
    subject.editions().remove(2).await.unwrap();
    assert!(!subject.has_files(2).await && subject.has_files(1).await);
    // The next one is new indeed.
    subject.editions().begin().await.unwrap();
    assert_eq!(marked(&subject).await, (vec![], Some(vec![])));
    let register = subject.editions().open().await.unwrap().register;
    assert_eq!(register.next.unwrap().edition.number, 3);
}

pub(crate) async fn nothing_is_removed_while_somebody_holds_it<S: Subject>(subject: S) {
    subject.editions().begin().await.unwrap();
    let held = subject.editions().open().await.unwrap().next.unwrap();
    happened(&subject, &[Event::Abandoned]).await;
    let mut removal = pin!(subject.editions().remove(2));
    let polled = removal
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled.map(drop), Poll::Pending);
    assert!(subject.has_files(2).await);
    assert_eq!(held.store.counts().await.unwrap().tombstones, 0);
    drop(held);
    removal.await.unwrap();
    assert!(!subject.has_files(2).await);
}

/// As whoever gives an edition up does, and whoever drives it.
pub(crate) async fn of_two_who_remove_at_once_none_meets_half_an_edition<S: Subject>(subject: S) {
    let editions = subject.editions();
    for number in 2..8 {
        assert!(editions.begin().await.unwrap());
        mark(&subject, true, "new").await;
        happened(&subject, &[Event::Abandoned]).await;
        let (one, two) = tokio::join!(editions.remove(number), editions.remove(number));
        one.unwrap();
        two.unwrap();
        assert!(!subject.has_files(number).await);
    }
}

pub(crate) async fn what_is_written_to_goes_on_after_the_old_edition_is_gone<S: Subject>(
    subject: S,
) {
    for round in 1..=3 {
        mark(&subject, false, &format!("old {round}")).await;
        subject.editions().begin().await.unwrap();
        mark(&subject, true, &format!("new {round}")).await;
        let filled = [Event::Copied, Event::Ended, Event::Clean, Event::Switched];
        happened(&subject, &filled).await;
        mark(&subject, false, &format!("after {round}")).await;
        subject.editions().remove(round).await.unwrap();
        mark(&subject, false, &format!("later {round}")).await;
        let (mut found, _) = marked(&subject).await;
        found.sort();
        let expected = ["after", "later", "new"].map(|word| format!("{word} {round}"));
        assert_eq!(found, expected);
    }
}

pub(crate) async fn a_search_by_words_reads_its_own_edition<S: Subject>(subject: S) {
    use lockstep::feature::embed::Embedder as _;
    assert!(subject.editions().begin().await.unwrap());
    let open = subject.editions().open().await.unwrap();
    let next = open.next.unwrap();
    let dimension = open.current.embedder.model().dimension;
    let point = |id: &str| Point {
        vector: (0..dimension)
            .map(|at| if at == 0 { 1.0 } else { 0.0 })
            .collect(),
        ..point(&key(id), "a tide", at(1))
    };
    open.current
        .store
        .write(vec![Write::Upsert(vec![point("old")])])
        .await
        .unwrap();
    next.store
        .write(vec![Write::Upsert(vec![point("new"), point("newer")])])
        .await
        .unwrap();
    let question = || Nearest {
        by: By::Words(of_question("tides")),
        only: Only::default(),
        limit: 10,
    };
    let old = open.current.store.nearest(question()).await.unwrap();
    let new = next.store.nearest(question()).await.unwrap();
    assert_eq!((old.len(), new.len()), (1, 2));
    assert_eq!(old[0].point.key, key("old"));
}
