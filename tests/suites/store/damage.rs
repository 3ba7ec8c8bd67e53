//! Databases that are damaged beyond their first page: no read has a wrong answer, and the file stays as it is.

use std::{fs, path::Path};

use hearth_store::{
    DiskProblem, StoreError,
    database::{Condition, Durability, Item, Key, Query, Sort, Write},
    home,
};
use serde_json::json;

use crate::conformance::item;

const ITEMS: usize = 3000;
/// Items in a transaction.
const GROUP: usize = 500;
/// Bytes of a page of the database.
const PAGE_BYTES: usize = 4096;

type Damage = fn(&mut Vec<u8>);
const DAMAGES: [(&str, Damage); 5] = [
    ("the rest of the first page is zero", |bytes| bytes[100..PAGE_BYTES].fill(0)),
    ("the middle is garbage", |bytes| {
        let middle = page_at(bytes.len() / 3)..page_at(bytes.len() / 3 * 2);
        bytes[middle].chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&b"garbage!"[..chunk.len()]));
    }),
    ("one page is zero", |bytes| {
        let page = page_at(bytes.len() / 2);
        bytes[page..page + PAGE_BYTES].fill(0);
    }),
    ("the second half is missing", |bytes| bytes.truncate(bytes.len() / 2)),
    ("the tail is zero", |bytes| {
        let tail = page_at(bytes.len() / 4 * 3);
        bytes[tail..].fill(0);
    }),
];

/// The start of the page that has a byte. Disks lose whole blocks; SQLite has no checksums that show a part of one.
fn page_at(byte: usize) -> usize {
    byte / PAGE_BYTES * PAGE_BYTES
}

fn expected(number: usize) -> Item {
    let item = item("p", &format!("{number:06}"), &json!({"text": format!("{number:0300}")}));
    Item { gsi1: Some(Key::new("i", format!("{:06}", ITEMS - number))), ..item }
}

/// Fills a folder. The writes are in an order in which the parts of the index don't lie as those of the table do.
async fn fill(folder: &Path) {
    let store = home::open(folder, Durability::Os).unwrap();
    store.migrate().await.unwrap();
    let numbers: Vec<usize> = (0..ITEMS).map(|number| number * 7 % ITEMS).collect();
    for group in numbers.chunks(GROUP) {
        let writes = group.iter().map(|number| Write::Put(expected(*number), Condition::Absent));
        store.database().write_in_order(writes.collect()).await.unwrap();
    }
    store.close().await;
}

/// Checks that an error is that of a damaged database, with what to do.
fn check(error: &StoreError, name: &str) {
    assert_eq!(error.disk_problem(), Some(DiskProblem::Damaged), "{name}: {error}");
    let text = error.to_string();
    assert!(text.contains("damaged") && text.contains("put a copy of store.db back"), "{name}: {text}");
}

/// Reads everything, in several ways. Returns the number of reads that failed; what the others return is right.
async fn count_failures(folder: &Path, name: &str) -> usize {
    let store = match home::open(folder, Durability::Os) {
        Ok(store) => store,
        Err(home::OpenError::Database { reason, .. }) => {
            check(&reason, name);
            return 1;
        }
        Err(error) => panic!("{name}: {error}"),
    };
    let mut failures = 0;
    let mut failed = |error: &StoreError| {
        check(error, name);
        failures += 1;
    };
    for number in 0..ITEMS {
        let item = expected(number);
        match store.database().get(&item.key).await {
            Ok(read) => assert_eq!(read, Some(item), "{name}"),
            Err(error) => failed(&error),
        }
    }
    let in_table = Query::partition("p", Sort::All);
    let in_index = Query::of(hearth_store::database::Index::Gsi1, "i", Sort::All);
    for (mut query, descending) in [(in_table, false), (in_index, true)] {
        let mut next = 0;
        query.descending = descending;
        loop {
            let page = match store.database().query(&query).await {
                Ok(page) => page,
                Err(error) => break failed(&error),
            };
            for item in page.items {
                assert_eq!(item, expected(next), "{name}");
                next += 1;
            }
            query.after = page.next;
            if query.after.is_none() {
                break assert_eq!(next, ITEMS, "{name}: the list has an end too early");
            }
        }
    }
    store.close().await;
    failures
}

#[tokio::test]
async fn damage_anywhere_is_reported_and_the_file_unchanged() {
    let whole = tempfile::tempdir().unwrap();
    fill(whole.path()).await;
    assert_eq!(count_failures(whole.path(), "a whole database").await, 0);
    for (name, damage) in DAMAGES {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(whole.path()).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
        }
        let path = folder.path().join("store.db");
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        assert!(count_failures(folder.path(), name).await > 0, "{name}: nothing was noticed");
        assert!(fs::read(&path).unwrap() == bytes, "{name}: the file has changed");
    }
}
