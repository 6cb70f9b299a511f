//! The embedded queue under the contract.

use lockstep::change::{Lane, Place};
use lockstep::clock::Clock;
use lockstep::database::{Database, Durability};
use lockstep::queue::sqlite::SqliteQueue;

use super::{PARTITIONS, Subject, suite};

pub(crate) struct Embedded {
    home: tempfile::TempDir,
    database: Database,
    queue: SqliteQueue,
}

async fn open(home: tempfile::TempDir) -> Embedded {
    let path = home.path().join("lockstep.db");
    let database = Database::open(&path, &[SqliteQueue::SCHEMA]).unwrap();
    let queue = SqliteQueue::open(database.clone(), PARTITIONS, Clock::manual(5_000));
    Embedded {
        home,
        queue: queue.await.unwrap(),
        database,
    }
}

impl Subject for Embedded {
    type Queue = SqliteQueue;

    async fn open() -> Self {
        open(tempfile::tempdir().unwrap()).await
    }

    fn queue(&self) -> &SqliteQueue {
        &self.queue
    }

    async fn reopen(self) -> Self {
        drop((self.queue, self.database));
        open(self.home).await
    }

    async fn inject(&self, place: Place, bytes: &[u8]) -> bool {
        let body = bytes.to_vec();
        let row = place.partition * 2 + u32::from(place.lane == Lane::Backfill);
        let insert = move |transaction: &rusqlite::Transaction<'_>| {
            let insert = "INSERT INTO messages (place, is_change, body) VALUES (?1, 1, ?2)";
            transaction.execute(insert, rusqlite::params![row, body])?;
            Ok(())
        };
        let done = self.database.write(Durability::Ordered, insert).await;
        done.is_ok()
    }
}

suite!(Embedded);

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let subject = Embedded::open().await;
    let database = subject.database.clone();
    let other = SqliteQueue::open(database, PARTITIONS + 1, Clock::manual(0)).await;
    let error = other.unwrap_err().to_string();
    assert!(
        error.contains('3') && error.contains("made with 2"),
        "{error}"
    );
}
