//! A streamed answer, and what must be true of it.

use std::pin::Pin;

use anyhow::{Context as _, Result, bail, ensure};
use eventsource_stream::{Event, EventStreamError, Eventsource as _};
use futures::{Stream as Events, StreamExt as _};
use reqwest::Response;
use serde_json::Value;

/// Part of a stream that was read so far.
pub(super) struct Stream {
    events: Pin<Box<dyn Events<Item = Result<Event, EventStreamError<reqwest::Error>>>>>,
    text: String,
    finishes: u32,
    errors: Vec<Value>,
    usage: Value,
    /// True once `[DONE]` was read.
    done: bool,
}

impl Stream {
    pub(super) fn new(response: Response) -> Self {
        let events = Box::pin(response.bytes_stream().eventsource());
        Self { events, text: String::new(), finishes: 0, errors: Vec::new(), usage: Value::Null, done: false }
    }

    /// Reads so many more events; whether the stream has ended.
    ///
    /// # Errors
    /// If it breaks off, or goes on after its end.
    pub(super) async fn read(&mut self, most: u64) -> Result<bool> {
        for _ in 0..most {
            let Some(event) = self.events.next().await else {
                ensure!(self.done, "a stream ended without [DONE]");
                return Ok(true);
            };
            ensure!(!self.done, "a stream went on after [DONE]");
            let event = event.context("a stream broke off")?;
            if event.data == "[DONE]" {
                self.done = true;
                continue;
            }
            self.take(&serde_json::from_str(&event.data).context("an event isn't JSON")?);
        }
        Ok(false)
    }

    fn take(&mut self, chunk: &Value) {
        if chunk["error"].is_object() {
            self.errors.push(chunk["error"].clone());
        }
        if chunk["usage"].is_object() {
            self.usage = chunk["usage"].clone();
        }
        let choice = &chunk["choices"][0];
        self.text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        self.finishes += u32::from(choice["finish_reason"].is_string());
    }

    /// The text so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// End of the stream: its usage, or its error.
    ///
    /// # Errors
    /// If it didn't end exactly once.
    pub(super) fn end(&self) -> Result<Result<Value, Value>> {
        match (self.finishes, self.errors.as_slice()) {
            (1, []) => Ok(Ok(self.usage.clone())),
            (0, [error]) => Ok(Err(error.clone())),
            (finishes, errors) => bail!("a stream ended {finishes} times, and failed {} times", errors.len()),
        }
    }
}
