//! Clients that send requests without a pause, and log what they receive.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use hearth_tests::{Answer, Client};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{scheduling_delay::SchedulingDelay, vendor::LONG_TOKENS};

const VENDORS_MODEL: &str = "vendor:big";
const SHORT_TOKENS: u64 = 24;
/// Maximum time between the delivery of an answer and its record.
pub(crate) const RECORD_LAG_LIMIT: Duration = Duration::from_millis(50);

/// Maximum time between the delivery of a part of a streamed answer and its record: a batch's window, and its write.
pub(crate) const EVENT_LAG_LIMIT: Duration = Duration::from_millis(250);

/// Something that a client has received.
#[derive(Debug, Clone)]
pub(crate) enum Received {
    /// A whole answer: a run, and its text.
    Answer { id: String, text: String },
    /// The beginning of a streamed answer: a run's id, and the text up to the break, in pieces with the times of their arrival.
    Beginning { id: String, pieces: Vec<(Instant, String)> },
    /// A run that continues without its client.
    Accepted { id: String },
    /// A response that a next request can continue.
    Response { id: String },
    /// A token.
    Token(String),
}

/// Everything that all clients have received, with the times.
pub(crate) type Log = Arc<Mutex<Vec<(Instant, Received)>>>;

/// Running clients.
pub(crate) struct Load {
    log: Log,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts some clients of every kind, for the node's model and the vendor's.
    pub(crate) fn start(client: &Client, model: &str) -> Self {
        let mut load = Self { log: Log::default(), stop: Arc::default(), clients: JoinSet::new() };
        for model in [model, VENDORS_MODEL] {
            for _ in 0..2 {
                load.spawn(client, model, whole);
                load.spawn(client, model, move |client, model, log| stream(client, model, SHORT_TOKENS, log));
            }
            if model == VENDORS_MODEL {
                // They last longer than a batch's window.
                for _ in 0..2 {
                    load.spawn(client, model, move |client, model, log| {
                        stream(client, model, LONG_TOKENS, log)
                    });
                }
            }
            load.spawn(client, model, accept);
            load.spawn(client, model, respond);
        }
        load.spawn(client, model, make_token);
        load
    }

    fn spawn<F>(
        &mut self,
        client: &Client,
        model: &str,
        ask: impl Fn(Client, String, Log) -> F + Send + 'static,
    ) where
        F: Future<Output = Option<()>> + Send,
    {
        let (client, model) = (client.clone(), model.to_owned());
        let (log, stop) = (Arc::clone(&self.log), Arc::clone(&self.stop));
        self.clients.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if ask(client.clone(), model.clone(), Arc::clone(&log)).await.is_none() {
                    // The server has ended, or refuses the request.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }

    /// Number of received things.
    pub(crate) fn count(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// Enough was received for a round of checks.
    pub(crate) fn can_be_killed(&self) -> bool {
        self.count() >= 60
    }

    /// Stops the clients, and returns everything that they have received.
    pub(crate) async fn end(mut self) -> Vec<(Instant, Received)> {
        self.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        self.log.lock().unwrap().clone()
    }
}

fn record(log: &Log, received: Received) {
    log.lock().unwrap().push((Instant::now(), received));
}

fn prompt() -> String {
    format!("Tell me a story about {:?}", Instant::now())
}

async fn post(client: &Client, path: &str, body: &Value, status: u16) -> Option<Answer> {
    let answer = client.try_send(client.request(Method::POST, path).json(body)).await.ok()?;
    (answer.status == status).then_some(answer)
}

fn chat_body(model: &str, max_tokens: u64, streams: bool) -> Value {
    let messages = json!([{"role": "user", "content": prompt()}]);
    json!({"model": model, "messages": messages, "max_tokens": max_tokens, "stream": streams})
}

async fn whole(client: Client, model: String, log: Log) -> Option<()> {
    let answer = post(&client, "/v1/chat/completions", &chat_body(&model, SHORT_TOKENS, false), 200).await?;
    let text = answer.json()["choices"][0]["message"]["content"].as_str()?.to_owned();
    record(&log, Received::Answer { id: answer.header("x-request-id").to_owned(), text });
    Some(())
}

async fn stream(client: Client, model: String, max_tokens: u64, log: Log) -> Option<()> {
    let request = client.request(Method::POST, "/v1/chat/completions");
    let answer = request.json(&chat_body(&model, max_tokens, true)).send().await.ok()?;
    if answer.status() != 200 {
        return None;
    }
    let id = answer.headers()["x-request-id"].to_str().ok()?.to_owned();
    let mut bytes = answer.bytes_stream();
    let (mut pieces, mut unread) = (Vec::new(), Vec::new());
    let (mut is_whole, mut failed) = (false, false);
    while let Some(Ok(chunk)) = bytes.next().await {
        let at = Instant::now();
        unread.extend_from_slice(&chunk);
        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data: ") else { continue };
            is_whole |= data.starts_with(b"[DONE]");
            let Ok(frame) = serde_json::from_slice::<Value>(data) else { continue };
            failed |= frame.get("error").is_some();
            if let Some(text) = frame["choices"][0]["delta"]["content"].as_str() {
                pieces.push((at, text.to_owned()));
            }
        }
    }
    is_whole &= !failed;
    record(
        &log,
        match is_whole {
            true => Received::Answer { id, text: pieces.into_iter().map(|(_, text)| text).collect() },
            false => Received::Beginning { id, pieces },
        },
    );
    is_whole.then_some(())
}

async fn accept(client: Client, model: String, log: Log) -> Option<()> {
    let body = json!({"model": model, "input": {"prompt": prompt()}, "parameters": {"max_tokens": 24}});
    let request = client.request(Method::POST, "/v1/generate").json(&body).header("prefer", "respond-async");
    let answer = client.try_send(request).await.ok()?;
    if answer.status != 202 {
        return None;
    }
    record(&log, Received::Accepted { id: answer.json()["request_id"].as_str()?.to_owned() });
    Some(())
}

async fn respond(client: Client, model: String, log: Log) -> Option<()> {
    let body = json!({"model": model, "input": prompt(), "max_output_tokens": 16});
    let answer = post(&client, "/v1/responses", &body, 200).await?;
    record(&log, Received::Response { id: answer.json()["id"].as_str()?.to_owned() });
    Some(())
}

async fn make_token(client: Client, _model: String, log: Log) -> Option<()> {
    let answer =
        post(&client, "/v1/users/tokens", &json!({"name": "t", "scopes": ["generate"]}), 201).await?;
    record(&log, Received::Token(answer.json()["token"].as_str()?.to_owned()));
    Some(())
}

/// The result of checks.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) faults: Vec<String>,
    pub(crate) count: usize,
    /// Number of streams that were cut, a part of whose text must be stored.
    pub(crate) cut_count: usize,
}

/// Checks everything that was received before the kill at `at`. `delays`: the times for which no thread could run, by which a
/// record may be later.
pub(crate) async fn faults(
    client: &Client,
    received: Vec<(Instant, Received)>,
    at: Instant,
    delays: &SchedulingDelay,
) -> Checks {
    let before = |limit| at.checked_sub(limit + delays.before(at, limit)).unwrap();
    let due = Due { answers: before(RECORD_LAG_LIMIT), events: before(EVENT_LAG_LIMIT) };
    faults_due(client, received, at, due).await
}

/// Checks everything that was received, after an orderly stop.
pub(crate) async fn faults_after_stop(client: &Client, received: Vec<(Instant, Received)>) -> Checks {
    let now = Instant::now();
    faults_due(client, received, now, Due { answers: now, events: now }).await
}

/// Times up to which what was received must be stored.
#[derive(Debug, Clone, Copy)]
struct Due {
    answers: Instant,
    events: Instant,
}

async fn faults_due(client: &Client, received: Vec<(Instant, Received)>, at: Instant, due: Due) -> Checks {
    let mut checks = Checks::default();
    for (time, received) in received {
        let age = at.saturating_duration_since(time);
        // Everything but an answer is sent after it was stored.
        let is_due = match &received {
            Received::Answer { .. } => time < due.answers,
            _ => true,
        };
        if !is_due {
            continue;
        }
        checks.count += 1;
        checks.cut_count += usize::from(matches!(
            &received,
            Received::Beginning { pieces, .. } if pieces.iter().any(|(at, _)| *at < due.events)
        ));
        if let Some(fault) = fault(client, &received, due).await {
            checks.faults.push(format!("{fault}, received {} ms before: {received:?}", age.as_millis()));
        }
    }
    checks
}

async fn fault(client: &Client, received: &Received, due: Due) -> Option<String> {
    let run = async |id: &str| client.get(&format!("/v1/requests/{id}")).await;
    match received {
        Received::Answer { id, text } => {
            let answer = run(id).await;
            if answer.status != 200 {
                return Some(format!("an answered run is {}", answer.status));
            }
            let record = answer.json();
            let stored = record["output"]["text"].as_str().unwrap_or_default();
            (record["status"] != "completed" || stored != text)
                .then(|| format!("an answered run is {} with {stored:?}", record["status"]))
        }
        Received::Beginning { id, pieces } => {
            let answer = run(id).await;
            if answer.status != 200 {
                return Some(format!("a streamed run is {}", answer.status));
            }
            let record = answer.json();
            let stored = record["output"]["text"].as_str().unwrap_or_default();
            let text: String = pieces.iter().map(|(_, text)| &**text).collect();
            let is_same = stored.starts_with(&text) || text.starts_with(stored);
            let recorded = pieces.iter().filter(|(at, _)| *at < due.events).map(|(_, text)| text.len());
            let missing = recorded.sum::<usize>().saturating_sub(stored.len());
            (record["finished_at"].is_null() || !is_same || missing > 0).then(|| {
                format!(
                    "a streamed run that was cut is {} with {stored:?}, {missing} bytes too few",
                    record["status"]
                )
            })
        }
        Received::Accepted { id } => {
            let answer = run(id).await;
            (answer.status != 200).then(|| format!("an accepted run is {}", answer.status))
        }
        Received::Response { id } => {
            let answer = client.get(&format!("/v1/responses/{id}")).await;
            (answer.status != 200).then(|| format!("a response is {}", answer.status))
        }
        Received::Token(token) => {
            let answer =
                client.with_token(Some(token)).get("/v1/requests/req_01JDB4T6ZW3Q8N5XKM2C7V9RHF").await;
            (answer.status != 404).then(|| format!("a token is refused with {}", answer.status))
        }
    }
}
