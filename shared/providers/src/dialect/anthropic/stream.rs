//! Decodes the frames of an answer (<https://platform.claude.com/docs/en/build-with-claude/streaming>). A server that
//! can't stream sends the whole message in one frame.

use std::collections::BTreeMap;

use hearth_domain::{ClientDialect, FinishReason, Reasoning};
use hearth_wire::{
    ApiError, RunEventBody,
    anthropic::caller_field,
    extension::{Extension, value_bytes},
};
use serde_json::{Map, Value};

use super::{
    event::{Block, Delta, Event, Message, TokenCounts},
    provider_block::{ProviderBlock, block_of, blocks_of, delta_of},
};
use crate::{
    answer_error::{broken_off, unknown_finish_reason, unreadable},
    decoder::{ANSWER_MAX_BYTES, Decoder, Frame},
    dialect::{
        failure::{failure, named_failure, stated_failure},
        json,
        tool_calls::{Piece, ToolCalls},
    },
    lenient::is_present,
};

/// Type of the caller of a tool that the model itself calls.
const DIRECT_CALLER: &str = "direct";
/// Field of a message with the reason for its end.
const STOP_REASON: &str = "stop_reason";
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
    /// True if the latest part of the answer is a text block.
    after_text: bool,
    container: Value,
    /// Bytes of the provider's blocks so far.
    provider_bytes: usize,
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
    /// Encrypted thoughts, which have no deltas.
    Redacted,
    /// A block of another type, such as the provider's own search.
    Other(ProviderBlock),
}

impl Default for MessagesDecoder {
    fn default() -> Self {
        Self {
            usage: TokenCounts::default(),
            open: BTreeMap::new(),
            latest: None,
            thoughts: 0,
            calls: ToolCalls::new(0),
            after_text: false,
            container: Value::Null,
            provider_bytes: 0,
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
            "message_start" => {
                let Message { usage, container, .. } = event.message.unwrap_or_default();
                self.usage.update(usage.unwrap_or_default());
                self.set_container(container);
            }
            "content_block_start" => {
                let index = event.index.unwrap_or_else(|| self.next_index());
                self.begin(index, event.content_block.unwrap_or_default(), || block_of(frame.data), events)?;
            }
            "content_block_delta" => {
                let index = event.index.or(self.latest).unwrap_or_default();
                self.add(index, event.delta.unwrap_or_default(), || delta_of(frame.data), events)?;
            }
            "content_block_stop" => self.close(event.index.or(self.latest).unwrap_or_default(), events)?,
            "message_delta" => {
                let Delta { stop_reason, stop_sequence, container, .. } = event.delta.unwrap_or_default();
                self.set_container(container);
                self.record_end(event.usage, stop_reason, stop_sequence);
            }
            "message_stop" => events.extend(self.end()?),
            "message" => events.extend(self.whole_message(event.into_message(), frame.data)?),
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
        events.extend(self.fields());
        events.push(RunEventBody::Usage { usage: std::mem::take(&mut self.usage).into() });
        events.push(RunEventBody::Done { finish_reason });
        Ok(events)
    }
}

impl MessagesDecoder {
    /// Decodes a message that wasn't streamed.
    fn whole_message(&mut self, message: Message, data: &str) -> Result<Vec<RunEventBody>, ApiError> {
        let mut events = Vec::new();
        let mut blocks = None;
        for (number, block) in message.content.into_iter().enumerate() {
            let index = self.next_index();
            let whole = || blocks.get_or_insert_with(|| blocks_of(data)).get_mut(number).map(std::mem::take);
            self.begin(index, block, whole, &mut events)?;
            self.close(index, &mut events)?;
        }
        self.set_container(message.container);
        self.record_end(message.usage, message.stop_reason, message.stop_sequence);
        events.extend(self.end()?);
        Ok(events)
    }

    fn record_end(&mut self, usage: Option<TokenCounts>, reason: Option<String>, sequence: Option<String>) {
        self.usage.update(usage.unwrap_or_default());
        self.stop_reason = reason.filter(|reason| !reason.is_empty()).or(self.stop_reason.take());
        self.stop_sequence = sequence.filter(|text| !text.is_empty()).or(self.stop_sequence.take());
    }

    /// Returns the fields of the message that only Anthropic's dialect has.
    fn fields(&mut self) -> Option<RunEventBody> {
        let mut fields = Map::new();
        // Other reasons have an equivalent in every dialect.
        let reason = self.stop_reason.as_deref().filter(|reason| is_own_reason(reason));
        fields.extend(reason.map(|reason| (STOP_REASON.to_owned(), reason.into())));
        let own = [("container", &mut self.container), ("server_tool_use", &mut self.usage.server_tool_use)];
        let own = own.into_iter().filter(|(_, value)| is_present(value));
        fields.extend(own.map(|(name, value)| (name.to_owned(), std::mem::take(value))));
        (!fields.is_empty()).then(|| extension(Extension::Fields(fields)))
    }

    fn set_container(&mut self, container: Value) {
        if is_present(&container) {
            self.container = container;
        }
    }

    /// Begins a block. `whole`: the block as JSON, for one of a type that only Anthropic's dialect has.
    fn begin(
        &mut self,
        index: u32,
        block: Block,
        whole: impl FnOnce() -> Option<Value>,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        // Some servers omit the end of a block.
        self.close(index, events)?;
        let is_other =
            |(open, block): (&u32, &OpenBlock)| matches!(block, OpenBlock::Other(_)).then_some(*open);
        for open in self.open.iter().filter_map(is_other).collect::<Vec<_>>() {
            self.close(open, events)?;
        }
        self.latest = Some(index);
        let follows_text = std::mem::take(&mut self.after_text);
        let open = match block.kind.as_deref().unwrap_or_default() {
            "text" => {
                self.after_text = true;
                events.extend(follows_text.then(|| extension(Extension::TextBlock)));
                events.extend(text(block.text));
                events.extend(block.citations.into_iter().map(Extension::Annotation).map(extension));
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
                OpenBlock::Redacted
            }
            "tool_use" => {
                let Block { id, name, input, caller, .. } = block;
                let is_own = caller.get("type").is_some_and(|kind| kind != DIRECT_CALLER);
                if let Some(id) = id.as_ref().filter(|_| is_own) {
                    let fields = Map::from_iter([(caller_field(id), caller)]);
                    events.push(extension(Extension::Fields(fields)));
                }
                self.calls.add(Piece { index: Some(index), id, name, arguments: String::new() }, events)?;
                OpenBlock::Call(input.filter(|input| input != "{}").unwrap_or_default())
            }
            _ => OpenBlock::Other(self.provider_block(whole().unwrap_or_default())?),
        };
        if self.open.len() >= OPEN_BLOCKS_MAX_COUNT {
            return Err(unreadable("it has too many open blocks"));
        }
        self.open.insert(index, open);
        Ok(())
    }

    /// Adds to a block. `whole`: the delta as JSON.
    fn add(
        &mut self,
        index: u32,
        delta: Delta,
        whole: impl FnOnce() -> Option<Value>,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        match (self.open.get_mut(&index), delta.kind.as_deref().unwrap_or_default()) {
            (Some(OpenBlock::Redacted), _) => {}
            (Some(OpenBlock::Other(block)), _) => {
                let delta = whole().unwrap_or_default();
                self.provider_bytes += value_bytes(&delta);
                block.add(delta);
                return self.check_provider_bytes();
            }
            (_, "text_delta") => {
                self.after_text |= delta.text.is_some();
                events.extend(text(delta.text));
            }
            (_, "citations_delta") if delta.citation.is_object() && is_present(&delta.citation) => {
                events.push(extension(Extension::Annotation(delta.citation)));
            }
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

    fn provider_block(&mut self, block: Value) -> Result<ProviderBlock, ApiError> {
        self.provider_bytes += value_bytes(&block);
        self.check_provider_bytes()?;
        Ok(ProviderBlock::new(block))
    }

    fn check_provider_bytes(&self) -> Result<(), ApiError> {
        match self.provider_bytes {
            ..=ANSWER_MAX_BYTES => Ok(()),
            _ => Err(unreadable("its blocks of the provider's tools are too large")),
        }
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
            OpenBlock::Other(block) => {
                events.extend(block.into_value().map(Extension::Item).map(extension));
                Ok(())
            }
            OpenBlock::Text | OpenBlock::Thoughts(_) | OpenBlock::Redacted => Ok(()),
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

fn extension(extension: Extension) -> RunEventBody {
    RunEventBody::extension(ClientDialect::Anthropic, extension)
}

fn text(text: Option<String>) -> Option<RunEventBody> {
    text.filter(|text| !text.is_empty()).map(RunEventBody::text)
}

fn thoughts(index: u32, added: Reasoning) -> Option<RunEventBody> {
    (added != Reasoning::default()).then_some(RunEventBody::Reasoning { choice: 0, index, added })
}

/// Returns whether only Anthropic's dialect has this reason.
fn is_own_reason(reason: &str) -> bool {
    matches!(reason, "model_context_window_exceeded" | "pause_turn" | "compaction")
}

/// Maps a stop reason (docs/dialects.md has the table).
fn finish_reason(reason: &str) -> Result<FinishReason, ApiError> {
    match reason {
        "end_turn" | "stop_sequence" => Ok(FinishReason::Stop),
        "tool_use" => Ok(FinishReason::ToolCalls),
        "max_tokens" => Ok(FinishReason::Length),
        // A paused or compacted turn is truncated: the client may ask to continue it.
        own if is_own_reason(own) => Ok(FinishReason::Length),
        "refusal" => Ok(FinishReason::ContentFilter),
        _ => Err(unknown_finish_reason(reason)),
    }
}
