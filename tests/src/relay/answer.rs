//! A streamed answer of `/v1/chat/completions`, which may break off.

use std::time::{Duration, Instant};

use eventsource_stream::Eventsource as _;
use futures::{StreamExt as _, stream::BoxStream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Client, Home, Setup, eventually, within};

/// Prompt of every request: the text of the answer depends on it alone.
const PROMPT: &str = "Tell me a story about a lighthouse.";

/// A stream that is being read.
pub struct RelayStream {
    frames: BoxStream<'static, Option<Value>>,
    answer: RelayAnswer,
}

/// Part of an answer that a client has received.
#[derive(Debug, Clone)]
pub struct RelayAnswer {
    /// The run's id.
    pub id: String,
    /// The text so far.
    pub text: String,
    /// Reason of the end, if it came.
    pub finish_reason: Option<String>,
    /// Code of the error that ended it, if one did.
    pub error: Option<String>,
    /// True if the stream came to its last frame.
    pub is_whole: bool,
    /// Time from the request to the first piece of text.
    pub first_text: Option<Duration>,
    /// Time from the request to the end.
    pub duration: Duration,
    began: Instant,
}

/// The body of a streamed chat request whose answer has `max_tokens` tokens, the same at each time.
#[must_use]
pub fn long_request(model: &str, max_tokens: u64) -> Value {
    json!({
        "model": model,
        "messages": [{"role": "user", "content": PROMPT}],
        "temperature": 0,
        "ignore_eos": true,
        "max_tokens": max_tokens,
        "stream": true,
    })
}

/// The text that a node alone, in the process of its gateway, answers [`long_request`] with.
///
/// # Panics
/// If it doesn't.
pub async fn reference_text(max_tokens: u64) -> String {
    let home: Home = Setup::new().start().await;
    let stream = RelayStream::open(&home.client(), &long_request(&home.model, max_tokens)).await;
    let answer = stream.unwrap_or_else(|answer| panic!("{answer:?}")).rest().await;
    assert!(answer.is_whole && !answer.text.is_empty(), "{answer:?}");
    home.stop().await;
    answer.text
}

/// The record of a run, once it has ended.
///
/// # Panics
/// If it doesn't end.
pub async fn history(client: &Client, run: &str) -> Value {
    eventually("the end of a run", async || {
        let request = client.request(Method::GET, &format!("/v1/requests/{run}"));
        let answer = client.try_send(request).await.ok()?;
        let record: Value = serde_json::from_slice(&answer.body).ok()?;
        let has_ended = ["completed", "failed", "cancelled"].iter().any(|state| record["status"] == **state);
        has_ended.then_some(record)
    })
    .await
}

impl RelayStream {
    /// Sends a streamed chat request.
    ///
    /// # Errors
    /// If the answer isn't a stream: an answer without text, with the code of the error.
    pub async fn open(client: &Client, body: &Value) -> Result<Self, RelayAnswer> {
        let mut answer = RelayAnswer {
            id: String::new(),
            text: String::new(),
            finish_reason: None,
            error: None,
            is_whole: false,
            first_text: None,
            duration: Duration::ZERO,
            began: Instant::now(),
        };
        let request = client.request(Method::POST, "/v1/chat/completions").json(body);
        let Ok(response) = within("an answer", request.send()).await else {
            answer.error = Some("no answer".to_owned());
            return Err(answer);
        };
        let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        answer.id = id.unwrap_or_default().to_owned();
        if !response.status().is_success() {
            let error: Value = response.json().await.unwrap_or_default();
            answer.duration = answer.began.elapsed();
            answer.error = Some(error["error"]["code"].as_str().unwrap_or("no code").to_owned());
            return Err(answer);
        }
        let frames = response.bytes_stream().eventsource().map(|frame| {
            let frame = frame.ok()?;
            Some(serde_json::from_str(&frame.data).unwrap_or(Value::String(frame.data)))
        });
        Ok(Self { frames: frames.boxed(), answer })
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.answer.id
    }

    /// Reads the next frame. Returns false at the end, or where the stream breaks off.
    async fn step(&mut self) -> bool {
        let frame = within("a frame", self.frames.next()).await.flatten();
        let answer = &mut self.answer;
        answer.duration = answer.began.elapsed();
        let Some(frame) = frame else { return false };
        if frame == "[DONE]" {
            answer.is_whole = true;
            return false;
        }
        if let Some(code) = frame["error"]["code"].as_str() {
            answer.error = Some(code.to_owned());
        }
        let choice = &frame["choices"][0];
        if let Some(reason) = choice["finish_reason"].as_str() {
            answer.finish_reason = Some(reason.to_owned());
        }
        if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
            answer.text.push_str(text);
            answer.first_text.get_or_insert(answer.duration);
        }
        true
    }

    /// Reads until the text has `length` bytes.
    ///
    /// # Panics
    /// If the stream ends before.
    pub async fn read_text(&mut self, length: usize) {
        while self.answer.text.len() < length {
            assert!(self.step().await, "the stream ended early: {:?}", self.answer);
        }
    }

    /// Reads to the end, or to where the stream breaks off.
    pub async fn rest(mut self) -> RelayAnswer {
        while self.step().await {}
        self.answer
    }
}

impl RelayAnswer {
    /// Checks that the answer has come whole, and with this text.
    ///
    /// # Panics
    /// If not.
    pub fn assert_whole(&self, text: &str) {
        assert!(self.is_whole && self.error.is_none() && self.finish_reason.is_some(), "{self:?}");
        assert_eq!(self.text, text, "tokens were lost, doubled or changed");
    }

    /// Checks that no token was lost or doubled before the answer ended, for whatever reason.
    ///
    /// # Panics
    /// If one was.
    pub fn assert_beginning_of(&self, text: &str) {
        assert!(text.starts_with(&self.text), "{:?} isn't the beginning of {text:?}: {self:?}", self.text);
    }
}
