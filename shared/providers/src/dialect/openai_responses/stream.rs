//! The frames of an answer: events, whose `type` says what they tell.

use std::collections::HashMap;

use hearth_domain::{FinishReason, Reasoning, Usage};
use hearth_wire::{ApiError, RunEventBody, event::ToolCallBegin};
use serde::Deserialize;
use serde_json::Value;

use super::seal;
use crate::dialect::{
    Decoder, Frame, broken_off,
    openai_chat::stream::{LogprobEntry, failure},
    unreadable,
};

/// Reads events.
#[derive(Debug, Default)]
pub(in crate::dialect) struct ResponsesDecoder {
    /// The items that are thoughts or calls, by their place in the output.
    items: HashMap<u32, Item>,
    thoughts: u32,
    calls: u32,
    refused: bool,
}

/// An item, as far as it has come.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// Which block of thoughts it is, or which call, from 0.
    number: u32,
    /// Whether there is any text of it.
    told: bool,
}

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    output_index: u32,
    #[serde(default)]
    summary_index: u32,
    /// A text, in the events that are read.
    #[serde(default)]
    delta: Value,
    #[serde(default)]
    logprobs: Option<Vec<LogprobEntry>>,
    item: Option<OutputItem>,
    response: Option<Response>,
    /// An error's, in its own event.
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct OutputItem {
    #[serde(rename = "type")]
    kind: String,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    encrypted_content: Option<String>,
    summary: Option<Vec<Summary>>,
}

#[derive(Debug, Deserialize)]
struct Summary {
    #[serde(default)]
    text: String,
}

#[derive(Debug, Deserialize)]
struct Response {
    usage: Option<ResponseUsage>,
    error: Option<Value>,
    incomplete_details: Option<Incomplete>,
}

#[derive(Debug, Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResponseUsage {
    input_tokens: u32,
    input_tokens_details: Option<InputDetails>,
    output_tokens: u32,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: u32,
}

impl Decoder for ResponsesDecoder {
    fn take(&mut self, frame: Frame<'_>) -> Result<Vec<RunEventBody>, ApiError> {
        if frame.data.trim() == "[DONE]" {
            return self.end();
        }
        let event: Event = serde_json::from_str(frame.data).map_err(unreadable)?;
        let place = event.output_index;
        let delta = event.delta.as_str().unwrap_or_default().to_owned();
        match event.kind.as_str() {
            "response.output_text.delta" => {
                let logprobs = event.logprobs.unwrap_or_default().into_iter().map(Into::into).collect();
                Ok(vec![RunEventBody::Delta { choice: 0, text: delta, logprobs }])
            }
            "response.refusal.delta" => {
                self.refused = true;
                Ok(vec![RunEventBody::Refusal { choice: 0, text: delta }])
            }
            "response.output_item.added" => {
                let item = event.item.ok_or_else(|| unreadable("an item that isn't there"))?;
                Ok(self.begin(place, item)?.into_iter().collect())
            }
            "response.output_item.done" => match event.item {
                Some(item) => self.finish(place, item),
                None => Ok(Vec::new()),
            },
            "response.function_call_arguments.delta" => {
                let item =
                    self.items.get_mut(&place).ok_or_else(|| unreadable("a call that didn't begin"))?;
                item.told |= !delta.is_empty();
                Ok(vec![arguments(item.number, delta)])
            }
            // Parts of a summary are paragraphs.
            "response.reasoning_summary_part.added" if event.summary_index > 0 => {
                Ok(vec![self.think(place, "\n\n".to_owned())])
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                Ok(vec![self.think(place, delta)])
            }
            "response.completed" => Ok(self.done(event.response, false)),
            "response.incomplete" => Ok(self.done(event.response, true)),
            "response.failed" | "response.cancelled" => {
                Err(failure(&event.response.and_then(|response| response.error).unwrap_or_default()))
            }
            // The event's own fields; some servers have an envelope, as in other answers.
            "error" => {
                let envelope = event.rest.get("error").filter(|error| error.is_object()).cloned();
                Err(failure(&envelope.unwrap_or(Value::Object(event.rest))))
            }
            // Beginnings, ends that tell again what was told, and what is not asked for.
            _ => Ok(Vec::new()),
        }
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        // The last event of a whole answer ends the run, and this isn't asked any more.
        Err(broken_off())
    }
}

impl ResponsesDecoder {
    /// Takes an item that is added. Texts are known by their deltas.
    fn begin(&mut self, place: u32, item: OutputItem) -> Result<Option<RunEventBody>, ApiError> {
        match item.kind.as_str() {
            "reasoning" => {
                self.block(place);
                Ok(None)
            }
            "function_call" => {
                let (Some(id), Some(name)) = (item.call_id, item.name) else {
                    return Err(unreadable("a call without an id or a name"));
                };
                let (index, begins) = (self.calls, Some(ToolCallBegin { id, name }));
                self.calls += 1;
                self.items.insert(place, Item { number: index, told: false });
                Ok(Some(RunEventBody::ToolCall { choice: 0, index, begins, arguments: String::new() }))
            }
            _ => Ok(None),
        }
    }

    /// Takes an item that is done: what of it came in no delta.
    fn finish(&mut self, place: u32, mut item: OutputItem) -> Result<Vec<RunEventBody>, ApiError> {
        let mut events = Vec::new();
        match item.kind.as_str() {
            "function_call" => {
                let whole = item.arguments.take().unwrap_or_default();
                if !self.items.contains_key(&place) {
                    events.extend(self.begin(place, item)?);
                }
                if let Some(call) = self.items.get_mut(&place).filter(|call| !call.told && !whole.is_empty())
                {
                    call.told = true;
                    events.push(arguments(call.number, whole));
                }
            }
            "reasoning" => {
                let Item { number, told } = *self.block(place);
                let text = if told { String::new() } else { joined(item.summary.unwrap_or_default()) };
                let encrypted = item.encrypted_content.as_deref().map(seal::marked);
                if encrypted.is_some() || !text.is_empty() {
                    let added = Reasoning { text, signature: None, encrypted };
                    events.push(RunEventBody::Reasoning { choice: 0, index: number, added });
                }
            }
            _ => {}
        }
        Ok(events)
    }

    fn think(&mut self, place: u32, text: String) -> RunEventBody {
        let block = self.block(place);
        block.told = true;
        let added = Reasoning { text, ..Reasoning::default() };
        RunEventBody::Reasoning { choice: 0, index: block.number, added }
    }

    /// The block of thoughts at this place of the output.
    fn block(&mut self, place: u32) -> &mut Item {
        let thoughts = &mut self.thoughts;
        self.items.entry(place).or_insert_with(|| {
            let number = *thoughts;
            *thoughts += 1;
            Item { number, told: false }
        })
    }

    fn done(&mut self, response: Option<Response>, incomplete: bool) -> Vec<RunEventBody> {
        let (usage, details) =
            response.map(|response| (response.usage, response.incomplete_details)).unwrap_or_default();
        let why = details.and_then(|details| details.reason);
        let finish_reason = match why.as_deref() {
            Some("content_filter") => FinishReason::ContentFilter,
            _ if incomplete => FinishReason::Length,
            _ if self.refused => FinishReason::ContentFilter,
            _ if self.calls > 0 => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        };
        let usage = usage.map(|usage| RunEventBody::Usage { usage: usage.into() });
        usage.into_iter().chain([RunEventBody::Done { finish_reason }]).collect()
    }
}

fn arguments(index: u32, arguments: String) -> RunEventBody {
    RunEventBody::ToolCall { choice: 0, index, begins: None, arguments }
}

fn joined(parts: Vec<Summary>) -> String {
    let texts: Vec<String> = parts.into_iter().map(|part| part.text).collect();
    texts.join("\n\n")
}

impl From<ResponseUsage> for Usage {
    fn from(usage: ResponseUsage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            cached_tokens: usage.input_tokens_details.unwrap_or_default().cached_tokens,
            reasoning_tokens: usage.output_tokens_details.unwrap_or_default().reasoning_tokens,
        }
    }
}
