//! The frames of an answer (<https://platform.claude.com/docs/en/build-with-claude/streaming>). A server that can't
//! stream sends the whole message in one.

use std::collections::BTreeMap;

use hearth_domain::{FinishReason, Reasoning};
use hearth_wire::{ApiError, RunEventBody};

use super::event::{Block, Counted, Delta, Event, Message};
use crate::{
    dialect::{
        Decoder, Frame, broken_off,
        failure::{failure, named_failure, stated_failure},
        json,
        tool_calls::{Piece, ToolCalls},
        unknown_finish_reason, unreadable,
    },
    lenient::says_something,
};

/// The most blocks that may be open at once; Anthropic opens one.
const OPEN_BLOCKS_MAX_COUNT: usize = 1024;

/// Reads named events.
#[derive(Debug)]
pub(in crate::dialect) struct MessagesDecoder {
    usage: Counted,
    /// The blocks that are not closed, by their index.
    open: BTreeMap<u32, Open>,
    /// The index of the block that began last.
    latest: Option<u32>,
    /// How many blocks of thoughts have begun.
    thoughts: u32,
    calls: ToolCalls,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

/// A block whose end has not come.
#[derive(Debug)]
enum Open {
    Text,
    Thoughts(u32),
    /// A call, with the arguments that came with its beginning, as JSON.
    Call(String),
    /// One that the gateway has no word for, such as a search of the provider's own.
    Other,
}

impl Default for MessagesDecoder {
    fn default() -> Self {
        Self {
            usage: Counted::default(),
            open: BTreeMap::new(),
            latest: None,
            thoughts: 0,
            calls: ToolCalls::new(0),
            stop_reason: None,
            stop_sequence: None,
        }
    }
}

impl Decoder for MessagesDecoder {
    fn take(&mut self, frame: Frame<'_>) -> Result<Vec<RunEventBody>, ApiError> {
        if frame.data.trim() == "[DONE]" {
            return self.end();
        }
        let Some(event) = json::parse::<Event>(frame.data)? else { return Ok(Vec::new()) };
        let kind = event.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or(frame.event);
        if says_something(&event.error) {
            return Err(failure(&event.error));
        }
        let mut events = Vec::new();
        match kind {
            "message_start" => self.usage.take(event.message.unwrap_or_default().usage.unwrap_or_default()),
            "content_block_start" => {
                let index = event.index.unwrap_or_else(|| self.next_index());
                self.begin(index, event.content_block.unwrap_or_default(), &mut events)?;
            }
            "content_block_delta" => {
                let index = event.index.or(self.latest).unwrap_or_default();
                self.add(index, event.delta.unwrap_or_default(), &mut events)?;
            }
            "content_block_stop" => {
                self.close(event.index.or(self.latest).unwrap_or_default(), &mut events)?
            }
            "message_delta" => {
                let Delta { stop_reason, stop_sequence, .. } = event.delta.unwrap_or_default();
                self.note_ending(event.usage, stop_reason, stop_sequence);
            }
            "message_stop" => return self.end(),
            "message" => return self.whole(event.into_message()),
            "error" => return Err(named_failure(frame.data)),
            // The documentation asks to pass over `ping` and what may be added. A frame without a name is an error.
            "" => return stated_failure(frame.data).map_or(Ok(events), Err),
            _ => {}
        }
        Ok(events)
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let ended = ending(self.stop_reason.as_deref().ok_or_else(broken_off)?)?;
        let mut events = Vec::new();
        for index in std::mem::take(&mut self.open).into_iter() {
            self.end_block(index, &mut events)?;
        }
        self.calls.finish(&mut events)?;
        let finish_reason = match ended {
            FinishReason::Stop | FinishReason::ToolCalls if self.calls.is_empty() => FinishReason::Stop,
            FinishReason::Stop => FinishReason::ToolCalls,
            other => other,
        };
        events.extend(self.stop_sequence.take().map(|text| RunEventBody::StopText { choice: 0, text }));
        events.push(RunEventBody::Usage { usage: self.usage.into() });
        events.push(RunEventBody::Done { finish_reason });
        Ok(events)
    }
}

impl MessagesDecoder {
    /// A message that didn't come in a stream.
    fn whole(&mut self, message: Message) -> Result<Vec<RunEventBody>, ApiError> {
        let mut events = Vec::new();
        for block in message.content {
            let index = self.next_index();
            self.begin(index, block, &mut events)?;
            self.close(index, &mut events)?;
        }
        self.note_ending(message.usage, message.stop_reason, message.stop_sequence);
        events.extend(self.end()?);
        Ok(events)
    }

    fn note_ending(&mut self, usage: Option<Counted>, reason: Option<String>, sequence: Option<String>) {
        self.usage.take(usage.unwrap_or_default());
        self.stop_reason = reason.filter(|reason| !reason.is_empty()).or(self.stop_reason.take());
        self.stop_sequence = sequence.filter(|text| !text.is_empty()).or(self.stop_sequence.take());
    }

    fn begin(&mut self, index: u32, block: Block, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        // Some servers leave the end of a block out.
        self.close(index, events)?;
        self.latest = Some(index);
        let open = match block.kind.as_deref().unwrap_or_default() {
            "text" => {
                events.extend(text(block.text));
                Open::Text
            }
            "thinking" => {
                let number = self.next_thoughts();
                let signature = block.signature.filter(|signature| !signature.is_empty());
                let text = block.thinking.unwrap_or_default();
                events.extend(thoughts(number, Reasoning { text, signature, encrypted: None }));
                Open::Thoughts(number)
            }
            "redacted_thinking" => {
                let encrypted = block.data.filter(|data| !data.is_empty());
                let number = self.next_thoughts();
                events.extend(thoughts(number, Reasoning { encrypted, ..Reasoning::default() }));
                Open::Other
            }
            "tool_use" => {
                let Block { id, name, input, .. } = block;
                self.calls.take(Piece { index: Some(index), id, name, arguments: String::new() }, events)?;
                Open::Call(input.filter(|input| input != "{}").unwrap_or_default())
            }
            _ => Open::Other,
        };
        if self.open.len() >= OPEN_BLOCKS_MAX_COUNT {
            return Err(unreadable("it has too many blocks that don't end"));
        }
        self.open.insert(index, open);
        Ok(())
    }

    fn add(&mut self, index: u32, delta: Delta, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        match (self.open.get(&index), delta.kind.as_deref().unwrap_or_default()) {
            (Some(Open::Other), _) => {}
            (_, "text_delta") => events.extend(text(delta.text)),
            (open, kind @ ("thinking_delta" | "signature_delta")) => {
                let number = match open {
                    Some(Open::Thoughts(number)) => *number,
                    // Its beginning is missing.
                    _ => self.next_thoughts_at(index),
                };
                let (text, signature) = match kind {
                    "thinking_delta" => (delta.thinking.unwrap_or_default(), None),
                    _ => (String::new(), delta.signature.filter(|signature| !signature.is_empty())),
                };
                events.extend(thoughts(number, Reasoning { text, signature, encrypted: None }));
            }
            (Some(Open::Call(_)), "input_json_delta") => {
                let arguments = delta.partial_json.unwrap_or_default();
                self.calls.take(Piece { index: Some(index), arguments, ..Piece::default() }, events)?;
            }
            (_, "input_json_delta") => return Err(unreadable("arguments of a tool call that didn't begin")),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, index: u32, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        match self.open.remove_entry(&index) {
            Some(block) => self.end_block(block, events),
            None => Ok(()),
        }
    }

    fn end_block(
        &mut self,
        (index, open): (u32, Open),
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        match open {
            Open::Call(input) => self.calls.finish_index(Some(index), input, events),
            Open::Text | Open::Thoughts(_) | Open::Other => Ok(()),
        }
    }

    fn next_index(&self) -> u32 {
        self.latest.map_or(0, |latest| latest.saturating_add(1))
    }

    fn next_thoughts_at(&mut self, index: u32) -> u32 {
        let number = self.next_thoughts();
        self.open.insert(index, Open::Thoughts(number));
        number
    }

    fn next_thoughts(&mut self) -> u32 {
        self.thoughts += 1;
        self.thoughts - 1
    }
}

fn text(text: Option<String>) -> Option<RunEventBody> {
    text.filter(|text| !text.is_empty()).map(RunEventBody::text)
}

fn thoughts(index: u32, added: Reasoning) -> Option<RunEventBody> {
    (added != Reasoning::default()).then_some(RunEventBody::Reasoning { choice: 0, index, added })
}

/// What a stop reason means (docs/dialects.md has the table).
fn ending(reason: &str) -> Result<FinishReason, ApiError> {
    match reason {
        "end_turn" | "stop_sequence" => Ok(FinishReason::Stop),
        "tool_use" => Ok(FinishReason::ToolCalls),
        // A turn that paused, or was compacted, is one that was cut off: its client may ask to go on with it.
        "max_tokens" | "model_context_window_exceeded" | "pause_turn" | "compaction" => {
            Ok(FinishReason::Length)
        }
        "refusal" => Ok(FinishReason::ContentFilter),
        _ => Err(unknown_finish_reason(reason)),
    }
}
