//! One turn of a chat: sends the conversation, and streams the answer.

use anyhow::Context;
use hearth_domain::Message;
use hearth_wire::openai::chat::{ChatChunk, ChatUsage, StreamOptions};
use serde::Serialize;

use super::Conversation;
use crate::client::{
    interrupt,
    stream::Events,
    terminal::{self, Printer},
};

/// A chat request, with the fields that this client sends.
#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: &'a [Message],
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u32>,
}

/// An answer, in the form that `--json` prints.
#[derive(Debug, Default, Serialize)]
pub(super) struct Answer {
    pub(super) request_id: String,
    pub(super) text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) thoughts: String,
    pub(super) finish_reason: Option<String>,
    pub(super) usage: Option<ChatUsage>,
}

/// Sends the conversation, prints the answer, and returns its text.
pub(super) async fn take(conversation: &Conversation) -> anyhow::Result<String> {
    let Conversation { gateway, sampling, json, messages, .. } = conversation;
    let request = Request {
        model: &sampling.model,
        messages,
        stream: true,
        stream_options: StreamOptions { include_usage: Some(true) },
        temperature: sampling.temperature,
        max_tokens: sampling.max_tokens,
        seed: sampling.seed,
    };
    let open = gateway.stream(&["v1", "chat", "completions"], &request);
    let mut printer = conversation.printer();
    let read = async |events: &mut Events| read(events, &mut printer).await;
    let answer = interrupt::cancellable(gateway, open, read).await;
    printer.end(answer.is_err())?;
    let answer = answer?;
    if *json {
        terminal::print_json(&answer)?;
    }
    Ok(answer.text)
}

/// Reads all chunks, and prints each as it arrives.
pub(super) async fn read(events: &mut Events, printer: &mut Printer) -> anyhow::Result<Answer> {
    let mut answer = Answer::default();
    while let Some(data) = events.next().await? {
        let chunk: ChatChunk =
            serde_json::from_str(&data).context("a chunk of the gateway's can't be read")?;
        let (thoughts, text) = answer.add(chunk);
        printer.reasoning(&thoughts)?;
        printer.text(&text)?;
    }
    Ok(answer)
}

impl Answer {
    /// Adds a chunk, and returns its reasoning and its text.
    fn add(&mut self, chunk: ChatChunk) -> (String, String) {
        self.request_id = chunk.id;
        self.usage = chunk.usage.or(self.usage);
        let (mut thoughts, mut text) = (String::new(), String::new());
        for choice in chunk.choices {
            thoughts.push_str(&choice.delta.reasoning_content.unwrap_or_default());
            text.push_str(&choice.delta.content.unwrap_or_default());
            // A refusal is shown in place of the answer.
            text.push_str(&choice.delta.refusal.unwrap_or_default());
            self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        }
        self.thoughts.push_str(&thoughts);
        self.text.push_str(&text);
        (thoughts, text)
    }
}
