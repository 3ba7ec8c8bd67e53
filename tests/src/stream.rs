//! Server-sent events, and lines of JSON, as a client reads them.

use eventsource_stream::Eventsource as _;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use serde_json::Value;

use crate::within;

/// A stream of events.
pub struct Events {
    /// The run's id.
    pub request_id: String,
    /// The answer's content encoding, if it has one.
    pub encoding: Option<String>,
    events: BoxStream<'static, Event>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its id; without one, that of the event before, and 0 before the first.
    pub id: u64,
    /// Its data; for `[DONE]` that text.
    pub data: Value,
}

impl Events {
    pub(crate) fn new(answer: reqwest::Response) -> Self {
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (request_id, encoding) = (header("x-request-id").unwrap_or_default(), header("content-encoding"));
        let events = answer.bytes_stream().eventsource().map(|event| {
            let event = event.unwrap_or_else(|error| panic!("the stream broke off: {error:?}"));
            let data = match event.data.as_str() {
                "[DONE]" => Value::from("[DONE]"),
                json => serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}")),
            };
            Event { id: event.id.parse().unwrap_or(0), data }
        });
        Self { request_id, encoding, events: events.boxed() }
    }

    /// Lines of JSON, each of which is an event.
    pub(crate) fn of_lines(answer: reqwest::Response) -> Self {
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (request_id, encoding) = (header("x-request-id").unwrap_or_default(), header("content-encoding"));
        let lines = stream::unfold((answer.bytes_stream(), Vec::new()), async |(mut bytes, mut rest)| {
            loop {
                if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    return Some((line, (bytes, rest)));
                }
                match bytes.next().await {
                    Some(more) => {
                        rest.extend(more.unwrap_or_else(|error| panic!("the stream broke off: {error:?}")))
                    }
                    None => {
                        assert!(rest.is_empty(), "the last line has no end: {rest:?}");
                        return None;
                    }
                }
            }
        });
        let events = lines.map(|line| {
            let data = serde_json::from_slice(&line)
                .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&line)));
            Event { id: 0, data }
        });
        Self { request_id, encoding, events: events.boxed() }
    }

    /// The next event; `None` once the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        within("an event", self.events.next()).await
    }

    /// Reads on to the next event of this name (`delta`, `complete`, ...), and gives it.
    ///
    /// # Panics
    /// If the stream ends before.
    pub async fn next_named(&mut self, name: &str) -> Event {
        let mut passed = Vec::new();
        while let Some(event) = self.next().await {
            if event.name() == name {
                return event;
            }
            passed.push(event);
        }
        panic!("the stream ended without {name:?}: {passed:?}");
    }

    /// Every event to the end.
    pub async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

impl Event {
    /// Event name in the native dialect; `[DONE]` for the last event, empty in other dialects.
    #[must_use]
    pub fn name(&self) -> &str {
        self.data.as_str().or(self.data["event"].as_str()).unwrap_or_default()
    }

    /// The text that a `delta` adds.
    #[must_use]
    pub fn text(&self) -> &str {
        self.data["text"].as_str().unwrap_or_default()
    }
}
