//! Decodes the frames of an answer (<https://platform.claude.com/docs/en/build-with-claude/streaming>). A server that
//! can't stream sends the whole message in one frame.

use std::collections::BTreeMap;

use hearth_domain::{FinishReason, Reasoning};
use hearth_wire::{ApiError, RunEventBody};

use super::event::{Block, Delta, Event, Message, TokenCounts};
use crate::{
    answer_error::{broken_off, unknown_finish_reason, unreadable},
    decoder::{Decoder, Frame},
    dialect::{
        failure::{failure, named_failure, stated_failure},
        json,
        tool_calls::{Piece, ToolCalls},
    },
    lenient::is_present,
};

/// Maximum number of open blocks; Anthropic opens one at a time.
const OPEN_BLOCKS_MAX_COUNT: usize = 1024;

/// Decodes named events.
#[derive(Debug)]
pub(in crate::dialect) struct MessagesDecoder {
    usage: TokenCounts,
    /// The open blocks, by their index.
    open: BTreeMap<u32, OpenBlock>,
    /// The index of the latest block.
    latest: Option<u32>,
    /// Number of blocks of thoughts so far.
    thoughts: u32,
    calls: ToolCalls,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

/// A block that hasn't ended.
#[derive(Debug)]
enum OpenBlock {
    Text,
    Thoughts(u32),
    /// A call, with the arguments in its first frame, as JSON.
    Call(String),
    /// A block of another type, such as the provider's own search.
    Other,
}

impl Default for MessagesDecoder {
    fn default() -> Self {
        Self {
            usage: TokenCounts::default(),
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
    fn decode(&mut self, frame: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        if frame.data.trim() == "[DONE]" {
            events.extend(self.end()?);
            return Ok(());
        }
        let Some(event) = json::parse::<Event>(frame.data)? else { return Ok(()) };
        let kind = event.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or(frame.event);
        if is_present(&event.error) {
            return Err(failure(&event.error));
        }
        match kind {
            "message_start" => self.usage.update(event.message.unwrap_or_default().usage.unwrap_or_default()),
            "content_block_start" => {
                let index = event.index.unwrap_or_else(|| self.next_index());
                self.begin(index, event.content_block.unwrap_or_default(), events)?;
            }
            "content_block_delta" => {
                let index = event.index.or(self.latest).unwrap_or_default();
                self.add(index, event.delta.unwrap_or_default(), events)?;
            }
            "content_block_stop" => self.close(event.index.or(self.latest).unwrap_or_default(), events)?,
            "message_delta" => {
                let Delta { stop_reason, stop_sequence, .. } = event.delta.unwrap_or_default();
                self.record_end(event.usage, stop_reason, stop_sequence);
            }
            "message_stop" => events.extend(self.end()?),
            "message" => events.extend(self.whole_message(event.into_message())?),
            "error" => return Err(named_failure(frame.data)),
            // The documentation demands to ignore `ping` and new events. A frame without a name may be an error.
            "" => return stated_failure(frame.data).map_or(Ok(()), Err),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let ended = finish_reason(self.stop_reason.as_deref().ok_or_else(broken_off)?)?;
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
    /// Decodes a message that wasn't streamed.
    fn whole_message(&mut self, message: Message) -> Result<Vec<RunEventBody>, ApiError> {
        let mut events = Vec::new();
        for block in message.content {
            let index = self.next_index();
            self.begin(index, block, &mut events)?;
            self.close(index, &mut events)?;
        }
        self.record_end(message.usage, message.stop_reason, message.stop_sequence);
        events.extend(self.end()?);
        Ok(events)
    }

    fn record_end(&mut self, usage: Option<TokenCounts>, reason: Option<String>, sequence: Option<String>) {
        self.usage.update(usage.unwrap_or_default());
        self.stop_reason = reason.filter(|reason| !reason.is_empty()).or(self.stop_reason.take());
        self.stop_sequence = sequence.filter(|text| !text.is_empty()).or(self.stop_sequence.take());
    }

    fn begin(&mut self, index: u32, block: Block, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        // Some servers omit the end of a block.
        self.close(index, events)?;
        self.latest = Some(index);
        let open = match block.kind.as_deref().unwrap_or_default() {
            "text" => {
                events.extend(text(block.text));
                OpenBlock::Text
            }
            "thinking" => {
                let number = self.next_thoughts();
                let signature = block.signature.filter(|signature| !signature.is_empty());
                let text = block.thinking.unwrap_or_default();
                events.extend(thoughts(number, Reasoning { text, signature, encrypted: None }));
                OpenBlock::Thoughts(number)
            }
            "redacted_thinking" => {
                let encrypted = block.data.filter(|data| !data.is_empty());
                let number = self.next_thoughts();
                events.extend(thoughts(number, Reasoning { encrypted, ..Reasoning::default() }));
                OpenBlock::Other
            }
            "tool_use" => {
                let Block { id, name, input, .. } = block;
                self.calls.add(Piece { index: Some(index), id, name, arguments: String::new() }, events)?;
                OpenBlock::Call(input.filter(|input| input != "{}").unwrap_or_default())
            }
            _ => OpenBlock::Other,
        };
        if self.open.len() >= OPEN_BLOCKS_MAX_COUNT {
            return Err(unreadable("it has too many open blocks"));
        }
        self.open.insert(index, open);
        Ok(())
    }

    fn add(&mut self, index: u32, delta: Delta, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        match (self.open.get(&index), delta.kind.as_deref().unwrap_or_default()) {
            (Some(OpenBlock::Other), _) => {}
            (_, "text_delta") => events.extend(text(delta.text)),
            (open, kind @ ("thinking_delta" | "signature_delta")) => {
                let number = match open {
                    Some(OpenBlock::Thoughts(number)) => *number,
                    // The block's first frame is missing.
                    _ => self.next_thoughts_at(index),
                };
                let (text, signature) = match kind {
                    "thinking_delta" => (delta.thinking.unwrap_or_default(), None),
                    _ => (String::new(), delta.signature.filter(|signature| !signature.is_empty())),
                };
                events.extend(thoughts(number, Reasoning { text, signature, encrypted: None }));
            }
            (Some(OpenBlock::Call(_)), "input_json_delta") => {
                let arguments = delta.partial_json.unwrap_or_default();
                self.calls.add(Piece { index: Some(index), arguments, ..Piece::default() }, events)?;
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
        (index, open): (u32, OpenBlock),
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        match open {
            OpenBlock::Call(input) => self.calls.finish_index(Some(index), input, events),
            OpenBlock::Text | OpenBlock::Thoughts(_) | OpenBlock::Other => Ok(()),
        }
    }

    fn next_index(&self) -> u32 {
        self.latest.map_or(0, |latest| latest.saturating_add(1))
    }

    fn next_thoughts_at(&mut self, index: u32) -> u32 {
        let number = self.next_thoughts();
        self.open.insert(index, OpenBlock::Thoughts(number));
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

/// Maps a stop reason (docs/dialects.md has the table).
fn finish_reason(reason: &str) -> Result<FinishReason, ApiError> {
    match reason {
        "end_turn" | "stop_sequence" => Ok(FinishReason::Stop),
        "tool_use" => Ok(FinishReason::ToolCalls),
        // A paused or compacted turn is truncated: the client may ask to continue it.
        "max_tokens" | "model_context_window_exceeded" | "pause_turn" | "compaction" => {
            Ok(FinishReason::Length)
        }
        "refusal" => Ok(FinishReason::ContentFilter),
        _ => Err(unknown_finish_reason(reason)),
    }
}
