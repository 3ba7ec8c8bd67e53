//! A database that another program has locked: readiness, writes, answers, and a start.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use hearth_tests::{
    Answer, Client, Home, Process, Reply, Setup, Upstream, chat_request, eventually, hearth, run, within,
};
use rusqlite::Connection;
use serde_json::{Value, json};

const TEXT: &str = "An answer";
/// Time for which a write waits for the lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for which a report of `/ready` serves.
const REPORT_TTL: Duration = Duration::from_secs(2);
/// Limit of an answer that waits for nothing, on a busy machine.
const PROMPT_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Lag of the records from which on an answer waits for its own.
const LAG_WAIT_THRESHOLD: Duration = Duration::from_millis(25);

/// Locks the database as a SQLite shell does that is about to write.
fn lock(data: &Path) -> Connection {
    let connection = Connection::open(data.join("store.db")).unwrap();
    connection.busy_timeout(LOCK_TIMEOUT).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

fn release(lock: &Connection) {
    lock.execute_batch("ROLLBACK").unwrap();
}

async fn home_with(upstream: &Upstream) -> Home {
    let settings = format!(
        "[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n",
        upstream.url
    );
    let home = Setup::new().without_node().settings(&settings).start().await;
    // The keys and the caller are in memory from now on.
    let first = ask(&home.client(), upstream).await;
    assert_recorded(&home.client(), &first).await;
    home
}

/// A whole answer.
async fn ask(client: &Client, upstream: &Upstream) -> Answer {
    let choice =
        json!({"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2});
    upstream.reply(Reply::json(200, &json!({"id": "x", "choices": [choice], "usage": usage})));
    let answer = client.post("/v1/chat/completions", &chat_request("rig:big", "Hi")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["choices"][0]["message"]["content"], TEXT, "{answer:?}");
    answer
}

/// A whole answer that waits for nothing.
async fn ask_promptly(client: &Client, upstream: &Upstream) -> Answer {
    let began = Instant::now();
    let answer = ask(client, upstream).await;
    let took = began.elapsed();
    assert!(took < PROMPT_ANSWER_TIMEOUT, "the answer took {took:?}");
    answer
}

async fn assert_recorded(client: &Client, answer: &Answer) {
    let record = client.get(&format!("/v1/requests/{}", answer.header("x-request-id"))).await;
    assert_eq!(record.status, 200, "{record:?}");
    let record = record.json();
    assert_eq!(
        (&record["status"], &record["output"]["text"]),
        (&json!("completed"), &json!(TEXT)),
        "{record}"
    );
}

#[tokio::test]
async fn gateway_whose_database_is_locked_is_not_ready_until_it_is_released() {
    let upstream = Upstream::start().await;
    let home = home_with(&upstream).await;
    let client = home.client();
    let state = async |code: u16, state: &str| {
        let ready = client.get("/ready").await;
        let body = ready.json();
        (ready.status == code && body["checks"]["table"]["state"] == state).then_some(body)
    };
    eventually("a ready gateway", async || state(200, "ok").await).await;
    let lock = lock(&home.data());
    let answered = ask_promptly(&client, &upstream).await;
    let began = Instant::now();
    let write = async {
        let answer = client.post("/v1/users/tokens", &json!({"name": "one more"})).await;
        (answer, began.elapsed())
    };
    let not_ready = eventually("a gateway that isn't ready", async || state(503, "locked").await);
    let ((refused, took), body) = tokio::join!(write, not_ready);
    let error = refused.error(500, "internal");
    assert_eq!(error["details"]["storage"], "locked", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("another program has locked the database; close that program"), "{error}");
    // The record of the answer has waited for the lock before.
    assert!(took > LOCK_TIMEOUT.mul_f64(0.9) && took < 3 * LOCK_TIMEOUT, "the write failed after {took:?}");
    assert_eq!(
        (&body["status"], &body["checks"]["bucket"]["state"]),
        (&json!("not ready"), &json!("ok")),
        "{body}"
    );
    // A later report is made while the next write waits.
    tokio::time::sleep(REPORT_TTL).await;
    let body = client.get("/ready").await.json();
    assert_eq!(body["checks"]["table"]["state"], "locked", "{body}");
    // It lives, and reads are answered.
    assert_eq!(client.get("/health").await.status, 200);
    assert_eq!(client.get("/v1/requests").await.status, 200);
    // No answer waits for a store that has been down for so long.
    let unrecorded = ask_promptly(&client, &upstream).await;
    release(&lock);
    eventually("a ready gateway, without a restart", async || state(200, "ok").await).await;
    assert_eq!(client.post("/v1/users/tokens", &json!({"name": "one more"})).await.status, 201);
    for answer in [answered, unrecorded] {
        assert_recorded(&client, &answer).await;
    }
    home.stop().await;
}

#[tokio::test]
async fn answer_waits_for_its_record_while_an_earlier_one_waits_for_the_lock() {
    let upstream = Upstream::start().await;
    let home = home_with(&upstream).await;
    let client = home.client();
    let lock = lock(&home.data());
    let first = ask_promptly(&client, &upstream).await;
    // The age of the first record is what the test is about.
    tokio::time::sleep(2 * LAG_WAIT_THRESHOLD).await;
    let mut second = Box::pin(ask(&client, &upstream));
    let early = tokio::time::timeout(Duration::from_secs(1), &mut second).await;
    assert!(early.is_err(), "the second answer came before the first record: {early:?}");
    release(&lock);
    let second = within("the second answer", second).await;
    assert_recorded(&client, &first).await;
    assert_recorded(&client, &second).await;
    for _ in 0..5 {
        let answer = ask_promptly(&client, &upstream).await;
        assert_recorded(&client, &answer).await;
    }
    home.stop().await;
}

#[tokio::test]
async fn start_on_a_locked_database_ends_with_the_reason() {
    let folder = Setup::new().without_node().start().await.stop().await;
    let data = folder.path().join("data");
    let up = || {
        let arguments = ["up", "--no-node", "--json", "--port", "0", "--data", data.to_str().unwrap()];
        hearth(folder.path(), &arguments)
    };
    for (locking_mode, failure) in [("normal", "can't be read or written"), ("exclusive", "can't be opened")]
    {
        let connection = Connection::open(data.join("store.db")).unwrap();
        connection.pragma_update(None, "locking_mode", locking_mode).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let ended = run(up(), "").await;
        assert_eq!((ended.status.code(), &*ended.stdout), (Some(1), ""), "{ended:?}");
        for part in [failure, "locked", "another program has locked the database; close that program"] {
            assert!(ended.stderr.contains(part), "no {part} with {locking_mode}: {ended:?}");
        }
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    }
    // It starts as soon as the lock is gone, with the data of before: it makes no first token.
    let mut process = Process::spawn(up(), folder.path().join("stderr.log"));
    assert_eq!(process.ready().await["token"], Value::Null);
    process.stop().await;
}
