//! Tests of SQLite alone: group commits, the queue's bounds, expiry, failing disks. Tests of both databases are in
//! `tests/suites/store`.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use futures::future::join_all;
use tokio::sync::oneshot;

use super::*;
use crate::database::{Query, Sort};

fn open(folder: &tempfile::TempDir) -> Sqlite {
    Sqlite::open(&folder.path().join(FILE), Durability::Os).unwrap()
}

fn item(pk: &str, sk: &str) -> Item {
    Item::new(Key::new(pk, sk), 1, &serde_json::json!({"state": "open"})).unwrap()
}

#[tokio::test]
async fn failed_condition_fails_its_own_write_only() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    // All at once, so that many are committed together; every second one is a duplicate.
    let puts = (0..400).map(|number| {
        let item = item("p", &format!("{:04}", number / 2));
        database.write(Write::Put(item, Condition::Absent))
    });
    let results = join_all(puts).await;
    assert_eq!(results.iter().filter(|result| matches!(result, Err(StoreError::Conflict))).count(), 200);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 200);
    let page = database.query(&Query::partition("p", Sort::All)).await.unwrap();
    assert_eq!(page.items.len(), 200);
    assert_eq!(database.writer_lag(), Duration::ZERO);
}

/// Number of transactions in the log. The frame that ends one has the size of the database
/// (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).
fn count_commits(folder: &tempfile::TempDir) -> usize {
    const HEADER_BYTES: usize = 32;
    const FRAME_HEADER_BYTES: usize = 24;
    let log = std::fs::read(folder.path().join("store.db-wal")).unwrap();
    let page_size = u32::from_be_bytes(log[8..12].try_into().unwrap());
    let frames = log[HEADER_BYTES..].chunks(FRAME_HEADER_BYTES + usize::try_from(page_size).unwrap());
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn writes_that_wait_are_committed_together() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    database.flush().await;
    let before = count_commits(&folder);
    let other = Connection::open(folder.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let puts = (0..400).map(|number| {
        let item = item("p", &format!("{number:04}"));
        database.write(Write::Put(item, Condition::Absent))
    });
    let puts = join_all(puts);
    tokio::pin!(puts);
    // The first waits for the lock, and the others for the first.
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut puts).await.is_err());
    other.execute_batch("ROLLBACK").unwrap();
    for result in puts.await {
        result.unwrap();
    }
    let commits = count_commits(&folder) - before;
    // On a busy machine not all are in the queue when the lock is released.
    assert!((2..=10).contains(&commits), "400 writes were {commits} transactions");
}

#[test]
fn durability_decides_whether_a_commit_is_synced() {
    // NORMAL and FULL: <https://www.sqlite.org/pragma.html#pragma_synchronous>.
    for (durability, level) in [(Durability::Os, 1), (Durability::Fsync, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::open(&folder.path().join(FILE), durability).unwrap();
        let synchronous: u32 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        assert_eq!(synchronous, level, "{durability:?}");
    }
}

#[tokio::test]
async fn failed_condition_leaves_none_of_the_writes_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    database.write(Write::Put(item("p", "taken"), Condition::Absent)).await.unwrap();
    let keys_of = async || {
        let page = database.query(&Query::partition("p", Sort::All)).await.unwrap();
        page.items.into_iter().map(|item| item.key.sk).collect::<Vec<_>>()
    };
    let always = |sk: &str| Write::Put(item("p", sk), Condition::Always);
    for place in 0..=2 {
        let mut writes = vec![always("a"), always("b")];
        writes.insert(place, Write::Put(item("p", "taken"), Condition::Absent));
        for result in [database.write_in_order(writes.clone()).await, database.transact(writes).await] {
            assert!(matches!(result, Err(StoreError::Conflict)), "{place}: {result:?}");
            assert_eq!(keys_of().await, ["taken"], "{place}");
        }
    }
    // The later of two writes to an item depends on the earlier.
    let twice = vec![always("twice"), Write::Put(item("p", "twice"), Condition::Exists)];
    database.write_in_order(twice).await.unwrap();
    let twice = vec![always("once"), Write::Put(item("p", "once"), Condition::Absent)];
    assert!(matches!(database.write_in_order(twice).await, Err(StoreError::Conflict)));
    assert_eq!(keys_of().await, ["taken", "twice"]);
    let held = vec![always("a"), Write::Put(item("p", "b"), Condition::Absent), always("c")];
    database.write_in_order(held).await.unwrap();
    assert_eq!(keys_of().await, ["a", "b", "c", "taken", "twice"]);
}

#[tokio::test]
async fn writes_of_dropped_callers_are_committed_before_close_returns() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let put = database.write_in_order(vec![Write::Put(item("p", "s"), Condition::Absent)]);
    // Polled once: the write is in the queue.
    let dropped = tokio::time::timeout(Duration::ZERO, put).await;
    database.close().await;
    let closed = database.write(Write::Put(item("p", "t"), Condition::Absent)).await;
    assert!(matches!(closed, Err(StoreError::Unavailable { .. })), "{closed:?}");
    assert_eq!(std::fs::metadata(folder.path().join("store.db-wal")).map_or(0, |wal| wal.len()), 0);
    drop(database);
    let found = open(&folder).get(&Key::new("p", "s")).await.unwrap();
    assert_eq!(found, Some(item("p", "s")), "{dropped:?}");
}

#[tokio::test]
async fn close_waits_for_a_read_in_progress_and_empties_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(open(&folder));
    database.write(Write::Put(item("p", "s"), Condition::Absent)).await.unwrap();
    let ((began, has_began), (end, ended)) = (oneshot::channel(), mpsc::channel::<()>());
    let reading = tokio::spawn({
        let database = Arc::clone(&database);
        async move {
            let read = move |connection: &Connection| {
                let mut statement = connection.prepare("SELECT sk FROM items")?;
                let mut rows = statement.query([])?;
                let _row = rows.next()?;
                began.send(()).unwrap();
                let _ = ended.recv();
                Ok(())
            };
            database.readers.read("test", read).await
        }
    });
    has_began.await.unwrap();
    // Its caller leaves; the read goes on, and counts.
    reading.abort();
    assert!(reading.await.unwrap_err().is_cancelled());
    assert_eq!(database.readers.free_count(), 3);
    let closing = tokio::spawn({
        let database = Arc::clone(&database);
        async move { database.close().await }
    });
    let later = Write::Put(item("p", "later"), Condition::Absent);
    database.write(later).await.unwrap();
    assert!(!closing.is_finished());
    end.send(()).unwrap();
    closing.await.unwrap();
    assert_eq!(std::fs::metadata(folder.path().join("store.db-wal")).map_or(0, |wal| wal.len()), 0);
    let read = database.get(&Key::new("p", "s")).await;
    assert!(matches!(read, Err(StoreError::Unavailable { operation: "get", .. })), "{read:?}");
    drop(database);
    assert!(open(&folder).get(&Key::new("p", "later")).await.unwrap().is_some());
}

#[test]
fn close_reports_a_log_that_a_reader_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let connection = schema::open(&path, Durability::Os).unwrap();
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM items").unwrap();
    Executor::new(&connection).unwrap().write(&Write::Put(item("p", "s"), Condition::Always)).unwrap();
    connection.busy_timeout(Duration::ZERO).unwrap();
    let error = failed("close", close(connection).unwrap_err());
    assert_eq!(error.disk_problem(), Some(crate::DiskProblem::Locked), "{error}");
    reader.execute_batch("COMMIT").unwrap();
    close(schema::open(&path, Durability::Os).unwrap()).unwrap();
}

#[tokio::test]
async fn expired_items_are_deleted_at_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    for (sk, ttl) in [("old", Some(1)), ("new", Some(i64::MAX)), ("ever", None)] {
        let item = Item { ttl, ..item("p", sk) };
        database.write(Write::Put(item, Condition::Always)).await.unwrap();
    }
    drop(database);
    let database = open(&folder);
    // The sweep runs before the first write.
    database.write(Write::Put(item("p", "x"), Condition::Always)).await.unwrap();
    database.flush().await;
    let items = database.query(&Query::partition("p", Sort::All)).await.unwrap().items;
    let left: Vec<&str> = items.iter().map(|item| &*item.key.sk).collect();
    assert_eq!(left, ["ever", "new", "x"]);
}

#[tokio::test]
async fn lag_is_the_age_of_the_oldest_queued_write() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let other = Connection::open(folder.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let put = database.write(Write::Put(item("p", "s"), Condition::Absent));
    tokio::pin!(put);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut put).await.is_err());
    assert!(database.writer_lag() >= Duration::from_millis(90), "{:?}", database.writer_lag());
    // Reads are not blocked.
    assert_eq!(database.get(&Key::new("p", "s")).await.unwrap(), None);
    other.execute_batch("ROLLBACK").unwrap();
    put.await.unwrap();
    assert_eq!(database.writer_lag(), Duration::ZERO);
}

#[tokio::test]
async fn full_database_fails_large_writes_and_accepts_small_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let connection = schema::open(&path, Durability::Os).unwrap();
    let pages: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages + 1).unwrap();
    let database = Sqlite { writer: Writer::start(connection).unwrap(), readers: Readers::new(&path) };
    let large = Item { bytes: Some(vec![1; 100_000]), ..item("p", "large") };
    let error = database.write(Write::Put(large, Condition::Always)).await.unwrap_err();
    assert!(error.is_disk_full() && error.to_string().contains("make room"), "{error}");
    database.write(Write::Put(item("p", "small"), Condition::Always)).await.unwrap();
    assert!(database.get(&Key::new("p", "small")).await.unwrap().is_some());
}

#[tokio::test]
async fn file_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    drop(open(&folder));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let error = Sqlite::open(&path, Durability::Os).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 9, known: 1 }), "{error}");
}
