//! Real documents: what a crawl of a folder of pages stores.

use std::path::Path;

use lockstep::clock::Clock;
use lockstep::crawl;
use lockstep::database::Database;
use lockstep::document::{Document, kind};
use lockstep::source::Source as _;
use lockstep::source::sqlite::SqliteSource;
use lockstep::{Error, Result};

/// The articles of the folder.
pub(crate) async fn read(pages: &Path) -> Result<Vec<Document>> {
    let folder = tempfile::tempdir().map_err(Error::unavailable("the bench", "make a folder"))?;
    let database = Database::open(&folder.path().join("lockstep.db"), &[SqliteSource::SCHEMA])?;
    let source = SqliteSource::new(database, Clock::system());
    let what = crawl::Request {
        target: pages.to_string_lossy().into_owned(),
        author: "Rust Authors".to_owned(),
        as_kind: None,
        browser: false,
        reference: None,
    };
    crawl::crawl(&source, &what, &crawl::Settings::default(), &()).await?;
    all(&source).await
}

/// Every article of a source.
pub(crate) async fn all(source: &SqliteSource) -> Result<Vec<Document>> {
    let (mut documents, mut after) = (Vec::new(), None);
    loop {
        let page = source.page(kind::ARTICLES, after, 200).await?.found;
        let Some(last) = page.last() else {
            return Ok(documents);
        };
        after = Some(last.key.id.clone());
        documents.extend(page);
    }
}
