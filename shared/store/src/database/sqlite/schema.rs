//! Opens the database file, and creates its one table.

use std::{fs::File, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

pub use hearth_settings::Durability;
use rusqlite::{Connection, OpenFlags, ffi};

use super::failed;
use crate::StoreError;

/// The file's name in the data folder.
pub(crate) const FILE: &str = "store.db";
/// The version of the table below.
const VERSION: u32 = 1;
/// The time for which a statement waits for another program that has locked the file.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements in a connection's cache.
const STATEMENTS_MAX_COUNT: usize = 32;
/// Pages of the log, of 4 KB each, at which SQLite moves them into the database (checkpoint). A checkpoint syncs both
/// files, and writes wait for it, then answers for writes: with 4,000 pages, 1 % of the requests of 32 connections took over 80 ms; with
/// half of SQLite's default, 16 ms, and as many were answered.
const CHECKPOINT_PAGES: u32 = 500;
/// Size to which the log is truncated after a checkpoint.
const LOG_MAX_BYTES: u32 = 32 << 20;

/// One table for all aggregates, as in the cloud. Rows are in the order of insertion, with an index of their keys: most
/// keys are of runs, which sort between the others, and rows in that order would leave pages half empty.
const TABLE: &str = "
CREATE TABLE items (
    pk TEXT NOT NULL, sk TEXT NOT NULL,
    gsi1pk TEXT, gsi1sk TEXT, gsi2pk TEXT, gsi2sk TEXT,
    ttl INTEGER, v INTEGER NOT NULL, body TEXT NOT NULL, bytes BLOB
) STRICT;
CREATE UNIQUE INDEX items_key ON items (pk, sk);
CREATE INDEX items_gsi1 ON items (gsi1pk, gsi1sk, pk, sk) WHERE gsi1pk IS NOT NULL;
CREATE INDEX items_gsi2 ON items (gsi2pk, gsi2sk, pk, sk) WHERE gsi2pk IS NOT NULL;
CREATE INDEX items_ttl ON items (ttl) WHERE ttl IS NOT NULL;
";

/// Opens the file for writing, and creates the table if it is missing.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    let synchronous = match durability {
        Durability::Fsync => "FULL",
        Durability::Os => "NORMAL",
    };
    let connection = create(path, synchronous)?;
    let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0));
    match version.map_err(|error| failed("open", error))? {
        VERSION => Ok(connection),
        found => Err(StoreError::Newer { found, known: VERSION }),
    }
}

/// Opens a connection that writes to the file at `path`, and creates the table in it. SQLite's log gets the file's
/// permissions.
pub(crate) fn create(path: &Path, synchronous: &str) -> Result<Connection, StoreError> {
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| StoreError::from_io("open", &error))?;
    let prepare = || {
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        // Deleted content is overwritten with zeros.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_MAX_BYTES)?;
        let transaction = connection.transaction()?;
        if transaction.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))? == 0 {
            transaction.execute_batch(TABLE)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.commit()?;
        Ok(connection)
    };
    prepare().map_err(|error| failed("open", error))
}

/// Opens a connection that reads the file.
pub(super) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // In KiB. Small, since there are several connections and the operating system caches the pages anyway.
    connection.pragma_update(None, "cache_size", -512)?;
    Ok(connection)
}

/// Moves the log into the database, empties it, and closes the connection. Fails if a read in progress keeps the log from being
/// emptied.
pub(crate) fn close(connection: Connection) -> rusqlite::Result<()> {
    // The statement succeeds where the checkpoint doesn't; its row says so.
    let is_blocked = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    connection.close().map_err(|(_, error)| error)?;
    if is_blocked {
        let reason = "another connection reads the database".to_owned();
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), Some(reason)));
    }
    Ok(())
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(LOCK_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX_COUNT);
    Ok(connection)
}
