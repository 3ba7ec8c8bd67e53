//! Clients that send small requests without a pause, and log what they receive.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_local};

use super::{super::stream::Stream, process::Gateway};

/// Tokens of a whole answer.
const WHOLE_TOKENS: u64 = 16;
/// Tokens of a streamed answer, which lasts longer than events are collected for.
const STREAM_TOKENS: u64 = 200;
/// Of so many clients one reads streams.
const STREAM_SHARE: u64 = 5;
/// Pause after a request that has failed: the gateway stops.
const FAILURE_BACKOFF: Duration = Duration::from_millis(20);

/// The part of a run that a client has received.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) id: String,
    /// The time at which the client had the whole answer; none if the answer was cut off.
    pub(super) ended_at: Option<Instant>,
    pub(super) text: String,
    /// The bytes of the text that the client had at a time.
    pub(super) arrivals: Vec<(Instant, usize)>,
}

/// Running clients. They are tasks of this thread.
pub(super) struct Load {
    received: Rc<RefCell<Vec<Received>>>,
    stops: Rc<Cell<bool>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(gateway: &Gateway, clients: u64) -> Self {
        let (received, stops) = (Rc::<RefCell<Vec<Received>>>::default(), Rc::<Cell<bool>>::default());
        let client = |number: u64| {
            let (received, stops) = (Rc::clone(&received), Rc::clone(&stops));
            let url = format!("{}/v1/chat/completions", gateway.url);
            let request = gateway.http.post(url).bearer_auth(&gateway.token);
            spawn_local(async move {
                let streams = number.is_multiple_of(STREAM_SHARE);
                for count in 0_u64.. {
                    if stops.get() {
                        return;
                    }
                    let body = body(number, count, streams);
                    let Some(request) = request.try_clone() else { return };
                    match send(request.json(&body), streams).await {
                        Some(run) => received.borrow_mut().push(run),
                        None => tokio::time::sleep(FAILURE_BACKOFF).await,
                    }
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { received, stops, clients }
    }

    /// Stops the clients after their present requests; all that they have received.
    pub(super) async fn end(self) -> Vec<Received> {
        self.stops.set(true);
        for client in self.clients {
            // One that has panicked has said so.
            let _ = client.await;
        }
        self.received.take()
    }
}

fn body(client: u64, count: u64, streams: bool) -> Value {
    json!({
        "model": "auto",
        "messages": [{"role": "user", "content": format!("Story {count} of client {client}")}],
        "max_tokens": if streams { STREAM_TOKENS } else { WHOLE_TOKENS },
        "ignore_eos": true,
        "stream": streams,
    })
}

/// Sends a request; none if nothing of an answer was received.
async fn send(request: RequestBuilder, streams: bool) -> Option<Received> {
    let response = request.send().await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let id = response.headers().get("x-request-id")?.to_str().ok()?.to_owned();
    if !streams {
        let answer: Value = response.json().await.ok()?;
        let text = answer["choices"][0]["message"]["content"].as_str()?.to_owned();
        return Some(Received { id, ended_at: Some(Instant::now()), text, arrivals: Vec::new() });
    }
    let (mut stream, mut arrivals) = (Stream::new(response), Vec::new());
    let is_whole = loop {
        match stream.read(1).await {
            Ok(true) => break matches!(stream.end(), Ok(Ok(_))),
            Ok(false) => arrivals.push((Instant::now(), stream.text().len())),
            Err(_) => break false,
        }
    };
    Some(Received { id, ended_at: is_whole.then(Instant::now), text: stream.text().to_owned(), arrivals })
}
