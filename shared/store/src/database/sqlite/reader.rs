//! The connections that read. Each serves one read at a time, on a thread that may wait for the disk.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension as _, Result, Row, Rows, params, params_from_iter};
use tokio::sync::Semaphore;

use super::{
    failed,
    queue::closed,
    schema::{self, LOCK_TIMEOUT},
};
use crate::{
    StoreError,
    database::{Cursor, Item, Key, PAGE_MAX_BYTES, Page, Query, Sort},
};

/// Maximum number of connections, and so of concurrent reads.
const READERS_MAX_COUNT: u32 = 4;
/// The character that sorts behind all others: a prefix followed by it ends the range of that prefix.
const LAST_CHAR: char = char::MAX;

/// The connections, which are opened when they are needed.
#[derive(Debug)]
pub(super) struct Readers {
    pool: Arc<Pool>,
    /// One for each connection. A read has it until it ends, also if its caller stops waiting.
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
struct Pool {
    path: PathBuf,
    free: Mutex<Vec<Connection>>,
}

impl Pool {
    fn free(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        let pool = Arc::new(Pool { path: path.to_owned(), free: Mutex::default() });
        Self { pool, permits: Arc::new(Semaphore::new(READERS_MAX_COUNT as usize)) }
    }

    /// Reads with one of the connections. A connection whose read failed is closed.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed(operation))?;
        let pool = Arc::clone(&self.pool);
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let free = pool.free().pop();
            let connection = free.map_or_else(|| schema::open_to_read(&pool.path), Ok)?;
            let read = read(&connection)?;
            pool.free().push(connection);
            Ok(read)
        });
        let read = reading.await.map_err(|error| StoreError::unreadable(format!("{operation}: {error}")))?;
        read.map_err(|error| failed(operation, error))
    }

    /// Number of connections without a read.
    #[cfg(test)]
    pub(super) fn free_count(&self) -> usize {
        self.permits.available_permits()
    }

    /// Waits for the reads in progress, for a limited time, and closes the connections, so that the log can be emptied. Later reads
    /// fail.
    pub(super) async fn close(&self) {
        // The reads that wait for a connection come first. None begins after the permits are here.
        let all = tokio::time::timeout(LOCK_TIMEOUT, self.permits.acquire_many(READERS_MAX_COUNT)).await;
        if all.is_err() {
            tracing::warn!("a read of the database hasn't ended; its log can't be emptied");
        }
        self.permits.close();
        self.pool.free().clear();
    }
}

pub(super) fn check(connection: &Connection) -> Result<()> {
    connection.query_row("SELECT count(*) FROM (SELECT 1 FROM items LIMIT 1)", [], |_| Ok(()))
}

pub(super) fn get(connection: &Connection, key: &Key) -> Result<Option<Item>> {
    let mut statement = connection.prepare_cached(
        "SELECT pk, sk, gsi1pk, gsi1sk, gsi2pk, gsi2sk, ttl, v, body, bytes FROM items WHERE pk = ?1 AND sk = ?2",
    )?;
    statement.query_row(params![key.pk, key.sk], item).optional()
}

pub(super) fn get_many(connection: &Connection, keys: &[Key]) -> Result<Vec<Item>> {
    let items = keys.iter().map(|key| get(connection, key).transpose());
    items.flatten().collect()
}

pub(super) fn query(connection: &Connection, query: &Query) -> Result<Page> {
    let (sql, values) = select(query);
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    page(statement.query(params_from_iter(values))?, limit, |last| cursor(query, last))
}

/// Reads a page of all items, in the order of their keys.
pub(super) fn scan(connection: &Connection, after: Option<&Key>) -> Result<Page> {
    let mut statement = connection.prepare_cached(
        "SELECT pk, sk, gsi1pk, gsi1sk, gsi2pk, gsi2sk, ttl, v, body, bytes FROM items WHERE (pk, sk) > (?1, ?2) \
         ORDER BY pk, sk",
    )?;
    // No item has an empty key.
    let (pk, sk) = after.map_or(("", ""), |key| (&key.pk, &key.sk));
    let rows = statement.query(params![pk, sk])?;
    page(rows, usize::MAX, |last| Cursor { key: last.key.clone(), index: None })
}

/// Reads items until the page has `limit` of them, or is large enough. `cursor` is that of a page's last item.
fn page(mut rows: Rows<'_>, limit: usize, cursor: impl FnOnce(&Item) -> Cursor) -> Result<Page> {
    let mut page = Page { items: Vec::new(), next: None };
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let item = item(row)?;
        bytes += item.size();
        page.items.push(item);
        if page.items.len() >= limit || bytes >= PAGE_MAX_BYTES {
            page.next = page.items.last().map(cursor);
            break;
        }
    }
    Ok(page)
}

/// The SQL statement of a query, and its values.
fn select(query: &Query) -> (String, Vec<&str>) {
    let (direction, behind) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    let (pk, sk, order) = match query.index {
        None => ("pk", "sk", format!("sk {direction}")),
        Some(crate::database::Index::Gsi1) => {
            ("gsi1pk", "gsi1sk", format!("gsi1sk {direction}, pk {direction}, sk {direction}"))
        }
        Some(crate::database::Index::Gsi2) => {
            ("gsi2pk", "gsi2sk", format!("gsi2sk {direction}, pk {direction}, sk {direction}"))
        }
    };
    let mut sql = format!(
        "SELECT pk, sk, gsi1pk, gsi1sk, gsi2pk, gsi2sk, ttl, v, body, bytes FROM items WHERE {pk} = ?"
    );
    let mut values = vec![&*query.pk];
    match &query.sort {
        Sort::All => {}
        Sort::Prefix(prefix) => {
            sql.push_str(&format!(" AND {sk} >= ? AND {sk} < ? || '{LAST_CHAR}'"));
            values.extend([&**prefix, prefix]);
        }
        Sort::Between(from, to) => {
            sql.push_str(&format!(" AND {sk} BETWEEN ? AND ?"));
            values.extend([&**from, to]);
        }
    }
    match &query.after {
        None => {}
        Some(Cursor { key, index: None }) => {
            sql.push_str(&format!(" AND sk {behind} ?"));
            values.push(&key.sk);
        }
        Some(Cursor { key, index: Some(index) }) => {
            sql.push_str(&format!(" AND ({sk}, pk, sk) {behind} (?, ?, ?)"));
            values.extend([&*index.sk, &key.pk, &key.sk]);
        }
    }
    sql.push_str(&format!(" ORDER BY {order}"));
    (sql, values)
}

/// The cursor behind an item of a query's results.
fn cursor(query: &Query, item: &Item) -> Cursor {
    let index = match query.index {
        None => None,
        Some(crate::database::Index::Gsi1) => item.gsi1.clone(),
        Some(crate::database::Index::Gsi2) => item.gsi2.clone(),
    };
    Cursor { key: item.key.clone(), index }
}

fn item(row: &Row<'_>) -> Result<Item> {
    let index = |pk: Option<String>, sk: Option<String>| pk.zip(sk).map(|(pk, sk)| Key { pk, sk });
    Ok(Item {
        key: Key { pk: row.get(0)?, sk: row.get(1)? },
        gsi1: index(row.get(2)?, row.get(3)?),
        gsi2: index(row.get(4)?, row.get(5)?),
        ttl: row.get(6)?,
        version: row.get(7)?,
        body: row.get(8)?,
        bytes: row.get(9)?,
    })
}
