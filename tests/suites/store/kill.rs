//! `kill -9` of a writing process: every acknowledged write survives, in either setting of `durability`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use futures::future::join_all;
use hearth_store::{
    database::{Condition, Durability, Key, Write},
    home,
};
use serde_json::json;

use crate::conformance::item;

/// Number of concurrent writers.
const WRITERS: usize = 8;
/// Number of kills.
const ROUNDS: usize = 6;
/// The tests that are the process which is killed, with the setting of each.
const PROCESSES: [(&str, Durability); 2] =
    [("kill::writing_process", Durability::Os), ("kill::syncing_process", Durability::Fsync)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by acknowledged_writes_survive_a_kill"]
async fn writing_process() {
    write(Durability::Os).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by acknowledged_writes_survive_a_kill"]
async fn syncing_process() {
    write(Durability::Fsync).await;
}

/// Writes into the current folder, without an end.
#[expect(clippy::print_stdout, reason = "its lines are read by the other process")]
async fn write(durability: Durability) {
    let store = home::open(&std::env::current_dir().unwrap(), durability).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let sk = format!("{number:09}");
                let (meta, events) =
                    (item(&format!("w{writer}"), &sk, &json!({"n": number})), format!("e{writer}"));
                let events = item(&events, &sk, &json!({"events": "x".repeat(500)}));
                let writes = [events, meta].map(|item| Write::Put(item, Condition::Absent));
                store.database().write_in_order(writes.to_vec()).await.unwrap();
                println!("wrote {writer} {number}");
            }
        })
    });
    join_all(writers).await;
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill() {
    for round in 0..ROUNDS {
        let (folder, (process, durability)) = (tempfile::tempdir().unwrap(), PROCESSES[round % 2]);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([process, "--exact", "--ignored", "--nocapture"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = [None; WRITERS];
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for (seen, line) in lines.map_while(Result::ok).enumerate() {
            let Some((_, rest)) = line.split_once("wrote ") else { continue };
            let (writer, number) = rest.split_once(' ').unwrap();
            acknowledged[writer.parse::<usize>().unwrap()] = Some(number.parse::<u64>().unwrap());
            if seen == 500 + 337 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        // Opening the database applies the remaining log.
        let store = home::open(folder.path(), durability).unwrap();
        for (writer, last) in acknowledged.into_iter().enumerate() {
            for number in 0..=last.unwrap() {
                for pk in ["w", "e"] {
                    let key = Key::new(format!("{pk}{writer}"), format!("{number:09}"));
                    let found = store.database().get(&key).await.unwrap();
                    assert!(found.is_some(), "round {round}: {key:?} was acknowledged and is missing");
                }
            }
        }
    }
}
