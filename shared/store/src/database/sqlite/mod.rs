//! The table as a SQLite file of this process: one thread writes, in group commits, and a few connections read.
//!
//! - [`writer`] owns the only connection that writes. Its thread takes the writes of a bounded queue and commits them
//!   together, in one transaction.
//! - [`apply`] executes one write within that transaction.
//! - [`reader`] has the connections that read. They run off the async threads, since a read may wait for the disk.
//! - [`schema`] opens the file.

mod apply;
mod failure;
mod queue;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};

use super::{Condition, Database, Item, Key, Page, Query, Write};
use crate::{StoreError, key_wrapper::SEALED_FIELD};
use apply::Executor;
use queue::{Task, Urgency};
use reader::Readers;
use writer::Writer;

pub(crate) use failure::failed;
pub use schema::Durability;
pub(crate) use schema::{FILE, close, create};

/// A SQLite database with the one table.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: Writer,
    readers: Readers,
}

impl Sqlite {
    /// Opens the file, and creates it if it doesn't exist.
    ///
    /// # Errors
    /// If it can't be opened for writing, isn't a database, or was created by a newer version.
    pub(crate) fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let connection = schema::open(path, durability)?;
        Ok(Self { writer: Writer::start(connection)?, readers: Readers::new(path) })
    }
}

/// True if an item of the file at `path` has a sealed secret. It reads the whole table.
pub(crate) fn has_sealed(path: &Path) -> Result<bool, StoreError> {
    let pattern = format!("%\"{SEALED_FIELD}\":%");
    let search = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut statement = connection.prepare("SELECT 1 FROM items WHERE body LIKE ?1 LIMIT 1")?;
        statement.exists([pattern.as_str()])
    };
    search().map_err(|error| failed("open", error))
}

/// Inserts items into a new database in one transaction.
pub(crate) fn insert_all(connection: &mut Connection, items: &[Item]) -> Result<(), StoreError> {
    let mut insert = || {
        let transaction = connection.transaction()?;
        {
            let mut executor = Executor::new(&transaction)?;
            for item in items {
                executor.write(&Write::Put(item.clone(), Condition::Always))?;
            }
        }
        transaction.commit()
    };
    insert().map_err(|error| failed("migrate", error))
}

#[async_trait]
impl Database for Sqlite {
    async fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let key = key.clone();
        self.readers.read("get", move |connection| reader::get(connection, &key)).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let keys = keys.to_vec();
        self.readers.read("get_many", move |connection| reader::get_many(connection, &keys)).await
    }

    async fn write(&self, write: Write) -> Result<(), StoreError> {
        self.writer.run(Task::Writes(vec![write]), Urgency::Now).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.writer.run(Task::Writes(writes), Urgency::Now).await
    }

    /// Executes the writes as one transaction, which may wait for other writes to be committed with it.
    async fn write_in_order(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.writer.run(Task::Writes(writes), Urgency::Soon).await
    }

    async fn write_deferred(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.writer.run(Task::Writes(writes), Urgency::Deferred).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let query = query.clone();
        self.readers.read("query", move |connection| reader::query(connection, &query)).await
    }

    async fn scan(&self, after: Option<&Key>) -> Result<Page, StoreError> {
        let after = after.cloned();
        self.readers.read("scan", move |connection| reader::scan(connection, after.as_ref())).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.readers.read("check", reader::check).await
    }

    fn writer_lag(&self) -> Duration {
        self.writer.lag()
    }

    async fn flush(&self) {
        // It fails only if the writer is closed, and then no write is queued.
        let _ = self.writer.run(Task::Flush, Urgency::Now).await;
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
