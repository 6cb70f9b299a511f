use std::fs;

use rusqlite::params;

use super::writer::LOG_BYTES_MAX;
use super::*;
use crate::Recovery;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS note (number INTEGER PRIMARY KEY, text TEXT)";

fn fresh() -> (tempfile::TempDir, PathBuf, Database) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("lockstep.db");
    let database = Database::open(&path, &[SCHEMA]).unwrap();
    (home, path, database)
}

async fn add(database: &Database, number: i64, text: String) -> Result<()> {
    let add = move |transaction: &Transaction<'_>| {
        transaction.execute("INSERT INTO note VALUES (?1, ?2)", params![number, text])?;
        Ok(())
    };
    database.write(Durability::Ordered, add).await
}

async fn count(database: &Database) -> i64 {
    let count = |connection: &Connection| {
        Ok(connection.query_row("SELECT count(*) FROM note", [], |row| row.get(0))?)
    };
    database.read(count).await.unwrap()
}

#[tokio::test]
async fn writes_that_share_a_commit_fail_each_for_itself() {
    let (_home, path, database) = fresh();
    let add = |number| add(&database, number, "text".to_owned());
    let (a, b, c) = tokio::join!(add(1), add(1), add(2));
    assert!(a.is_ok() && c.is_ok());
    let error = b.unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    assert_eq!(count(&database).await, 2);
}

#[tokio::test]
async fn what_was_written_is_there_after_closing() {
    let (_home, path, database) = fresh();
    add(&database, 1, "text".to_owned()).await.unwrap();
    drop(database);
    assert!(!file::log(&path).exists());
    let database = Database::open(&path, &[SCHEMA]).unwrap();
    assert_eq!(count(&database).await, 1);
}

#[test]
fn a_newer_format_is_refused_by_naming_both_versions() {
    let (_home, path, database) = fresh();
    drop(database);
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    drop(connection);
    let error = Database::open(&path, &[SCHEMA]).unwrap_err();
    assert_eq!(error.recovery(), Recovery::Stop);
    let text = error.to_string();
    assert!(text.contains("version is 7"), "{text}");
    assert!(text.contains(&format!("up to {}", file::FORMAT)), "{text}");
}

#[test]
fn another_programs_database_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("lockstep.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    let error = Database::open(&path, &[SCHEMA]).unwrap_err().to_string();
    assert!(error.contains("another program"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_something_else_is_named_with_the_fix() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("lockstep.db");
    fs::write(&path, "a letter to my grandmother, ".repeat(100)).unwrap();
    let error = Database::open(&path, &[SCHEMA]).unwrap_err().to_string();
    assert!(error.contains("no SQLite database"), "{error}");
    assert!(error.contains("restore it from a backup"), "{error}");
    assert!(error.contains(path.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_found_out_at_the_start_after_an_unclean_end() {
    let (home, path, database) = fresh();
    for number in 0..200 {
        add(&database, number, "x".repeat(1000)).await.unwrap();
    }
    drop(database);
    // The pages of the table, not the first one, which holds the schema.
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..40960].fill(0xa5);
    let copy = home.path().join("copy.db");
    fs::write(&copy, bytes).unwrap();
    fs::write(file::log(&copy), "left behind").unwrap();
    let error = Database::open(&copy, &[SCHEMA]).unwrap_err();
    assert_eq!(error.recovery(), Recovery::Stop);
    let text = error.to_string();
    assert!(
        text.contains("damaged") && text.contains("backup"),
        "{text}"
    );
}

#[tokio::test]
async fn a_full_disk_is_said_and_waited_for_and_takes_nothing() {
    let (_home, _path, database) = fresh();
    let pages = |pages: i64| {
        let set = move |transaction: &Transaction<'_>| {
            Ok(transaction.pragma_update(None, "max_page_count", pages)?)
        };
        database.write(Durability::Ordered, set)
    };
    add(&database, 1, "stored".to_owned()).await.unwrap();
    pages(10).await.unwrap();
    let big = || "x".repeat(100_000);
    let (small, error) = tokio::join!(
        add(&database, 2, "beside it".to_owned()),
        add(&database, 3, big())
    );
    let error = error.unwrap_err();
    assert!(matches!(error.recovery(), Recovery::Retry(_)));
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(count(&database).await, 1 + i64::from(small.is_ok()));
    pages(1_000_000).await.unwrap();
    add(&database, 3, big()).await.unwrap();
}

#[tokio::test]
async fn reading_page_by_page_while_writing_keeps_the_log_bounded() {
    let (_home, path, database) = fresh();
    let page = |after: i64| {
        let page = move |connection: &Connection| {
            let select = "SELECT max(number) FROM (SELECT number FROM note WHERE number > ?1 \
                          ORDER BY number LIMIT 3)";
            let last: Option<i64> = connection.query_row(select, [after], |row| row.get(0))?;
            Ok(last)
        };
        database.read(page)
    };
    let (mut after, mut longest) = (0, 0);
    for number in 1..600 {
        let add = add(&database, number, "x".repeat(200_000));
        let (added, last) = tokio::join!(add, page(after));
        added.unwrap();
        after = last.unwrap().unwrap_or(0);
        longest = longest.max(fs::metadata(file::log(&path)).unwrap().len());
    }
    assert!(longest < 2 * u64::from(LOG_BYTES_MAX), "{longest}");
}

#[tokio::test]
async fn a_synced_handle_syncs_whatever_is_asked_for() {
    let (_home, _path, database) = fresh();
    let synchronous = |transaction: &Transaction<'_>| {
        let level = transaction.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0));
        Ok(level?)
    };
    let (normal, full) = (1, 2);
    let ordered = database.write(Durability::Ordered, synchronous);
    assert_eq!(ordered.await.unwrap(), normal);
    let synced = database.clone().synced();
    let ordered = synced.write(Durability::Ordered, synchronous);
    assert_eq!(ordered.await.unwrap(), full);
}
