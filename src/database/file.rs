//! Opening the file: its format, its health, its settings; and what its errors mean.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use crate::{Error, Result};

/// The format that this program writes; raised when an older program could not read it.
///
/// 2: points may stand in the log of the vectors alone, which a program of format 1 would not
/// read. A file of format 1 is one whose log is empty.
///
/// 3: points and manifests carry a revision and a digest beside their version, which a program of
/// format 2 would take for metadata. What has none is of revision 0.
/// The index may be another edition than the first, whose tables are empty then; without a register
/// a file has the first one.
///
/// 4: the vectors' folder has the words of each text beside its meaning, which an older program cannot
/// open. A folder without them is copied when it is opened.
pub(super) const FORMAT: i64 = 4;
/// "Lock" in ASCII: tells our files from those of other programs.
const APPLICATION: i64 = 0x4c6f_636b;
/// How long the writer waits for reads under way when it empties the log.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Prepared statements kept a connection: more than the program has.
const STATEMENTS_MAX: usize = 128;
/// What to do about a file that is no use.
const FIX: &str = "restore it from a backup, or start anew with another data folder (--data) \
                   and crawl again";

/// Opens the file for the writer, checks it and makes its tables.
pub(super) fn open(path: &Path, schemas: &[&str]) -> Result<Connection> {
    // A log that is not empty was left by a process that did not end by itself.
    let unclean = std::fs::metadata(log(path)).is_ok_and(|log| log.len() > 0);
    let mut connection = prepare(path, unclean).map_err(|error| at_open(error, path))?;
    check_format(&connection, path)?;
    let made = make(&mut connection, schemas).map_err(Error::from);
    made.map_err(|error| named(error, path))?;
    sync_folder(path)?;
    Ok(connection)
}

/// Opens the file, which the writer has opened before, for a reader.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .and_then(|connection| {
            connection.busy_timeout(BUSY_WAIT)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
            Ok(connection)
        })
        .map_err(|error| named(error.into(), path))
}

/// The write-ahead log beside the file.
pub(super) fn log(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn prepare(path: &Path, unclean: bool) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // The first to read the file, and so the first to notice that it is something else.
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if unclean && format <= FORMAT {
        let health: String =
            connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if health != "ok" {
            let code = ffi::Error::new(ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(code, Some(health)));
        }
    }
    Ok(connection)
}

/// Refuses what a newer program or another one wrote, before anything is written to it.
fn check_format(connection: &Connection, path: &Path) -> Result<()> {
    let value = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let read = || -> rusqlite::Result<_> {
        let tables = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = connection.query_row(tables, [], |row| row.get(0))?;
        Ok((value("application_id")?, value("user_version")?, tables))
    };
    let (application, format, tables) = read().map_err(|error| at_open(error, path))?;
    let why = if application != APPLICATION && tables > 0 {
        format!("it is the database of another program: {FIX}")
    } else if format > FORMAT {
        format!(
            "its format version is {format}, and this program knows versions up to {FORMAT}: use \
             a newer lockstep, or another data folder (--data)"
        )
    } else {
        return Ok(());
    };
    Err(data(path, why))
}

fn make(connection: &mut Connection, schemas: &[&str]) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    connection.pragma_update(None, "journal_size_limit", super::writer::LOG_BYTES_MAX)?;
    let transaction = connection.transaction()?;
    for schema in schemas {
        transaction.execute_batch(schema)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Makes a new file's name survive a power cut.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(Error::unavailable("the data folder", "take a new file"))
}

/// Errors of the first reading, with what to do about them.
fn at_open(error: rusqlite::Error, path: &Path) -> Error {
    let why = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => format!("it is no SQLite database: {FIX}"),
        Some(ErrorCode::CannotOpen) => {
            "it cannot be opened: make it and its folder readable and writable".to_owned()
        }
        _ => return named(error.into(), path),
    };
    data(path, why)
}

fn data(path: &Path, why: String) -> Error {
    Error::Data {
        path: path.to_owned(),
        why,
    }
}

/// Puts the file's name into an error that was made where it was not known.
pub(super) fn named(error: Error, file: &Path) -> Error {
    match error {
        Error::Data { path, why } if path.as_os_str().is_empty() => data(file, why),
        other => other,
    }
}

/// The same error once more, for every write that shared the commit.
pub(super) fn shared(error: &rusqlite::Error) -> Error {
    let code = error.sqlite_error();
    let code = code.copied().unwrap_or(ffi::Error::new(ffi::SQLITE_ERROR));
    rusqlite::Error::SqliteFailure(code, Some(error.to_string())).into()
}

/// What the other writes of a group are told when one of them broke the transaction.
pub(super) fn taken_back() -> rusqlite::Error {
    let code = ffi::Error::new(ffi::SQLITE_ABORT_ROLLBACK);
    let why = "another write made SQLite take back the transaction";
    rusqlite::Error::SqliteFailure(code, Some(why.to_owned()))
}

/// What an error of `SQLite` means for us. The file's name is added by the caller of the work.
impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        let action = match error.sqlite_error_code() {
            // The index of the log is a file too, and it could not grow.
            _ if extended == Some(ffi::SQLITE_IOERR_SHMSIZE) => {
                "start its log, because the disk is full"
            }
            Some(ErrorCode::DiskFull) => "take a write, because the disk is full",
            Some(ErrorCode::SystemIoFailure) => "read or write, because the disk has a fault",
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OperationAborted
                | ErrorCode::OperationInterrupted
                | ErrorCode::OutOfMemory,
            ) => "get its turn",
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                return data(Path::new(""), format!("it is damaged ({error}): {FIX}"));
            }
            _ => return data(Path::new(""), error.to_string()),
        };
        Self::Unavailable {
            service: "the database".into(),
            action,
            source: error.into(),
        }
    }
}
