//! The logbook of the services under the contract, on a server that the tests own.

use lockstep::logbook::{Logbook as _, Runs};
use lockstep::source::Source as _;
use lockstep::source::mongo::MongoSource;

use super::{Subject, page, suite};
use crate::support::mongo::Home;

pub(crate) struct Mongo {
    home: Home,
    source: MongoSource,
}

impl Subject for Mongo {
    type Book = MongoSource;

    async fn open() -> Self {
        let home = Home::new();
        let source = home.open().await;
        Self { home, source }
    }

    fn book(&self) -> &MongoSource {
        &self.source
    }

    async fn reopen(self) -> Self {
        let source = self.home.open().await;
        Self { source, ..self }
    }
}

suite!(Mongo);

/// Also where the state database is the watched one, and everything of it is watched.
#[tokio::test]
async fn what_is_remembered_is_no_document_and_of_one_database() {
    let mut home = Home::new();
    home.settings.state_database = home.settings.database.clone();
    let mut other = Home::new();
    other.settings.state_database = home.settings.database.clone();
    let (source, other) = (home.open().await, other.open().await);
    source
        .save_pages(vec![page("a", "r", Some("d"))])
        .await
        .unwrap();
    assert!(source.claim("a", "one", (1, 100)).await.unwrap());
    assert_eq!(source.kinds().await.unwrap(), Vec::<String>::new());
    assert!(other.claim("a", "two", (1, 100)).await.unwrap());
    let under = lockstep::logbook::Pages::Under("r".to_owned(), None);
    assert_eq!(other.pages(under, 9).await.unwrap(), []);
    assert_eq!(other.runs(Runs::After(None), 9).await.unwrap(), []);
}
