//! The embedded source under the contract.

use lockstep::change::Operation;
use lockstep::clock::Clock;
use lockstep::database::Database;
use lockstep::source::sqlite::SqliteSource;
use lockstep::source::{Checkpoint, Checkpoints, Source, Watch};

use super::{Subject, article, edits, said, suite};

pub(crate) struct Embedded {
    home: tempfile::TempDir,
    source: SqliteSource,
}

fn open(home: tempfile::TempDir) -> Embedded {
    let database = Database::open(&home.path().join("lockstep.db"), &[SqliteSource::SCHEMA]);
    let source = SqliteSource::new(database.unwrap(), Clock::manual(1_000));
    Embedded { home, source }
}

impl Subject for Embedded {
    type Source = SqliteSource;

    async fn open() -> Self {
        open(tempfile::tempdir().unwrap())
    }

    fn source(&self) -> &SqliteSource {
        &self.source
    }

    async fn reopen(self) -> Self {
        drop(self.source);
        open(self.home)
    }

    async fn lose_history(&self) {
        // The log is trimmed up to a saved checkpoint.
        let watch = self.source.watch(None).await.unwrap();
        let checkpoint = Checkpoint {
            epoch: 1,
            position: watch.here().0,
            snapshot: lockstep::capture::SnapshotPlan::default(),
            kinds: std::collections::BTreeSet::new(),
            watched: None,
            resets: 0,
        };
        Checkpoints::save(&self.source, checkpoint).await.unwrap();
    }
}

suite!(Embedded);

#[tokio::test]
async fn time_does_not_go_back_when_the_log_was_trimmed_to_nothing() {
    let subject = Embedded::open().await;
    let first = vec![article("a", "1"), article("b", "1")];
    Source::save(subject.source(), first).await.unwrap();
    let before = subject.source().watch(None).await.unwrap().here();
    subject.lose_history().await;
    let subject = subject.reopen().await;
    let mut watch = subject.source().watch(Some(before.0)).await.unwrap();
    let again = vec![article("a", "2")];
    Source::save(subject.source(), again).await.unwrap();
    let events = edits(&mut watch, 1).await;
    assert!(events[0].time > before.1);
    assert_eq!(said(&events[0]).1, Operation::Replace);
}

#[tokio::test]
async fn counts_are_those_of_each_type() {
    let subject = Embedded::open().await;
    let documents = vec![article("a", "1"), article("b", "1")];
    Source::save(subject.source(), documents).await.unwrap();
    let counts = subject.source().counts().await.unwrap();
    assert_eq!(counts, [("articles".to_owned(), 2)]);
}
