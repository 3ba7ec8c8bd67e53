//! One turn of a chat: the conversation goes out, an answer streams in.

use std::io;

use anyhow::Context;
use hearth_domain::Message;
use hearth_wire::openai::chat::{ChatChunk, ChatUsage, StreamOptions};
use serde::Serialize;

use super::Conversation;
use crate::client::{interrupt, stream::Events, terminal};

/// A chat request with what this client sends of it.
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

/// An answer, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Answer {
    pub(super) request_id: String,
    pub(super) text: String,
    pub(super) finish_reason: Option<String>,
    pub(super) usage: Option<ChatUsage>,
}

/// Sends the conversation and prints the answer; gives its text.
pub(super) async fn take(conversation: &Conversation) -> anyhow::Result<String> {
    let Conversation { gateway, sampling, json, messages } = conversation;
    let to_terminal = terminal::stdout_is_terminal();
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
    let spinner = terminal::spinner("waiting");
    let mut on_text = |text: &str| {
        spinner.finish_and_clear();
        if *json { Ok(()) } else { terminal::print(&terminal::shown(text, to_terminal)) }
    };
    let read = async |events: &mut Events| read(events, &mut on_text).await;
    let answer = interrupt::cancellable(gateway, open, read).await;
    terminal::clear(&spinner, answer.is_err());
    let answer = answer?;
    if *json {
        terminal::print_json(&answer)?;
    } else {
        terminal::print("\n")?;
    }
    Ok(answer.text)
}

/// Reads chunks to their end; gives each text to `on_text` as it comes.
pub(super) async fn read(
    events: &mut Events,
    on_text: &mut impl FnMut(&str) -> io::Result<()>,
) -> anyhow::Result<Answer> {
    let mut answer = Answer::default();
    while let Some(data) = events.next().await? {
        let chunk: ChatChunk =
            serde_json::from_str(&data).context("a chunk of the gateway's can't be read")?;
        let text = answer.add(chunk);
        if !text.is_empty() {
            on_text(&text)?;
        }
    }
    Ok(answer)
}

impl Answer {
    /// Takes a chunk; gives the text that it adds.
    fn add(&mut self, chunk: ChatChunk) -> String {
        self.request_id = chunk.id;
        self.usage = chunk.usage.or(self.usage);
        let mut added = String::new();
        for choice in chunk.choices {
            added.push_str(&choice.delta.content.unwrap_or_default());
            self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        }
        self.text.push_str(&added);
        added
    }
}
