//! `kill -9` of a process that migrates the data folder of an earlier version.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command},
    thread,
    time::Instant,
};

use hearth_store::{
    Store,
    database::{Durability, Query, Sort},
    home,
};
use hearth_tests::DEADLINE;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::migration::{Contents, names};

/// Items beside those of [`Contents`]: enough for a migration of some seconds.
const ITEMS: usize = 10_000;
/// A point at which the process is killed, by the files that are there. The number is the size of the complete database.
type Point = fn(&Path, u64) -> bool;
const POINTS: [(&str, Point); 5] = [
    ("the new database is begun", |folder, _| folder.join("store.db.new").exists()),
    ("a third is written", |folder, size| 3 * size_of(folder, "store.db.new") >= size),
    ("two thirds are written", |folder, size| 3 * size_of(folder, "store.db.new") >= 2 * size),
    ("the new database has its name", |folder, _| folder.join("store.db").exists()),
    ("the old database has its new name", |folder, _| folder.join("hearth.db.old").exists()),
];

fn size_of(folder: &Path, name: &str) -> u64 {
    fs::metadata(folder.join(name)).map_or(0, |data| data.len())
}

/// Adds items, as the emulation of DynamoDB of earlier versions stored them.
fn add_items(folder: &Path) {
    let connection = Connection::open(folder.join("hearth.db")).unwrap();
    let insert = "
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
        INSERT INTO hearth (pk, sk, item_json, item_size)
        SELECT 'MANY', printf('%08d', n), json_object(
            'pk', json_object('S', 'MANY'), 'sk', json_object('S', printf('%08d', n)),
            'v', json_object('N', '1'), 'text', json_object('S', printf('%0400d', n))
        ), 500 FROM numbers";
    assert_eq!(connection.execute(insert, [ITEMS]).unwrap(), ITEMS);
    connection.close().unwrap();
}

/// Checks that a store has all of [`add_items`].
async fn check_items(store: &Store) {
    let mut query = Query::partition("MANY", Sort::All);
    let mut count = 0;
    loop {
        let page = store.database().query(&query).await.unwrap();
        for item in page.items {
            count += 1;
            assert_eq!(item.key.sk, format!("{count:08}"));
            let body: Value = serde_json::from_str(&item.body).unwrap();
            assert_eq!((item.version, body), (1, json!({"text": format!("{count:0400}")})), "{count}");
        }
        query.after = page.next;
        if query.after.is_none() {
            break assert_eq!(count, ITEMS);
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
#[ignore = "started by killed_migration_is_completed"]
fn migrating_process() {
    home::open(&env::current_dir().unwrap(), Durability::Os).unwrap();
}

fn start_migration(folder: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["migration_kill::migrating_process", "--exact", "--ignored"]).current_dir(folder);
    command.spawn().unwrap()
}

/// Waits until a point is reached, or the process has ended.
fn wait_for(point: Point, folder: &Path, size: u64, child: &mut Child) {
    let began = Instant::now();
    // Files can't be waited for; the processor is yielded to the process that writes them.
    while !point(folder, size) && child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < DEADLINE, "{:?}", names(folder));
        thread::yield_now();
    }
}

#[tokio::test]
async fn killed_migration_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("before")).unwrap();
    let contents = Contents::write(&at("before")).await;
    add_items(&at("before"));
    copy_folder(&at("before"), &at("whole"));
    assert!(start_migration(&at("whole")).wait().unwrap().success());
    let size = size_of(&at("whole"), "store.db");
    let mut unfinished = 0;
    for (number, (name, point)) in POINTS.into_iter().enumerate() {
        let killed = at(&format!("killed{number}"));
        copy_folder(&at("before"), &killed);
        let mut child = start_migration(&killed);
        wait_for(point, &killed, size, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        let left = names(&killed);
        unfinished += usize::from(left.contains(&"store.db.new".to_owned()));
        // The old database stays until the new one is complete.
        assert!(
            left.contains(&"hearth.db".to_owned()) || left == ["hearth.db.old", "store.db"],
            "{name}: {left:?}"
        );
        let store = home::open(&killed, Durability::Os).unwrap();
        contents.check(&store).await;
        check_items(&store).await;
        assert_eq!(names(&killed), ["hearth.db.old", "store.db"], "{name}");
        assert_eq!(fs::read_dir(killed.join("objects")).unwrap().count(), 3, "{name}");
        store.close().await;
    }
    assert!(unfinished >= 2, "{unfinished} migrations were killed before the new database was complete");
}
