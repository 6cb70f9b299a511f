//! The embedded logbook under the contract.

use lockstep::clock::Clock;
use lockstep::database::Database;
use lockstep::logbook::Logbook as _;
use lockstep::source::sqlite::SqliteSource;

use super::{Subject, suite};

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
    type Book = SqliteSource;

    async fn open() -> Self {
        open(tempfile::tempdir().unwrap())
    }

    fn book(&self) -> &SqliteSource {
        &self.source
    }

    async fn reopen(self) -> Self {
        drop(self.source);
        open(self.home)
    }
}

suite!(Embedded);

#[tokio::test]
async fn a_claim_of_a_process_that_is_gone_is_void() {
    let subject = Embedded::open().await;
    assert!(subject.book().claim("a", "one", (1, 100)).await.unwrap());
    let subject = subject.reopen().await;
    assert!(subject.book().claim("a", "two", (2, 100)).await.unwrap());
}
