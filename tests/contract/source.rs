//! What every source promises, as facts that run over each of them.
//!
//! A backend joins with a [`Subject`] and one line: `suite!(Subject);`.

mod documents;
mod log;
mod model;
mod mongo;
mod sqlite;

use lockstep::change::{DocumentKey, Operation};
use lockstep::document::{Document, Fields};
use lockstep::source::{Body, Checkpoints, Event, Source, Watch};
use serde_json::json;

/// A backend under test.
pub(crate) trait Subject: Sized {
    /// Its source, which keeps the checkpoint too.
    type Source: Source + Checkpoints;

    /// An empty source.
    async fn open() -> Self;

    /// The source.
    fn source(&self) -> &Self::Source;

    /// Ends the source and opens it again on what it kept.
    async fn reopen(self) -> Self;

    /// Makes it lose the history of everything that has happened so far.
    async fn lose_history(&self);
}

/// Runs every fact over a backend.
macro_rules! suite {
    ($subject:ty) => {
        $crate::contract::source::facts! { $subject;
            documents: what_was_saved_is_read_in_the_order_of_the_keys,
            documents: a_read_of_many_megabytes_is_answered_part_by_part,
            documents: ids_that_look_alike_stay_apart,
            documents: pages_hold_each_document_once_in_an_order_that_stays,
            documents: a_page_holds_its_own_type_only,
            documents: kinds_are_those_that_have_documents_sorted,
            documents: content_is_never_older_than_its_time,
            documents: everything_saved_is_there_after_reopening,
            documents: concurrent_saves_all_happen,
            documents: what_is_given_to_a_document_changes_nothing_else_of_it,
            log: every_edit_is_an_event_in_order,
            log: deleting_what_is_not_there_is_no_event,
            log: giving_a_document_fields_is_an_update_of_all_of_it,
            log: watching_from_a_position_continues_after_it,
            log: watching_from_nowhere_starts_at_the_end,
            log: here_is_what_was_handed_out,
            log: a_dropped_call_loses_no_event,
            log: a_waiting_watch_is_woken_by_a_save,
            log: a_quiet_source_says_so,
            log: positions_hold_after_reopening,
            log: lost_history_is_said_to_a_new_watch_and_to_an_open_one,
            log: the_checkpoint_is_the_last_one_saved,
        }
    };
}
pub(crate) use suite;

/// One test for each fact.
macro_rules! facts {
    ($subject:ty; $($room:ident: $fact:ident,)*) => {
        $(
            #[tokio::test]
            async fn $fact() {
                $crate::contract::source::$room::$fact::<$subject>().await;
            }
        )*
    };
}
pub(crate) use facts;

/// An article with a text `_id`.
fn article(id: &str, text: &str) -> Document {
    Document {
        key: DocumentKey::text("articles", id),
        fields: fields(text),
    }
}

fn fields(text: &str) -> Fields {
    let fields = json!({"platform": "test", "content": {"Content": text}, "a": null});
    fields.as_object().unwrap().clone()
}

/// The next `count` edits, idle events left out.
async fn edits(watch: &mut impl Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let next = watch.next(count - events.len()).await.unwrap();
        assert!(!next.is_empty() && next.len() <= count - events.len());
        events.extend(next.into_iter().filter(|event| event.body != Body::Idle));
    }
    events
}

/// Readable form of an edit's event.
fn said(event: &Event) -> (String, Operation, Option<Fields>) {
    match &event.body {
        Body::Edit {
            key,
            operation,
            fields,
        } => (key.entry_id(), *operation, fields.clone()),
        other => panic!("{other:?} is no edit"),
    }
}
