//! Decodes the events of an answer: those of its blocks, then the stop reason, then the usage
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html>). An endpoint that
//! doesn't stream sends the answer of `Converse`.

use std::collections::HashMap;

use hearth_domain::{FinishReason, Reasoning, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use serde_json::Value;

use super::event::{Delta, Event, ReasoningDelta, WholeAnswer, WholeBlock};
use crate::{
    answer_error::{broken_off, unknown_finish_reason, unreadable},
    decoder::{Decoder, Frame},
    dialect::{
        failure::stated_failure,
        json,
        tool_calls::{Piece, ToolCalls},
    },
};

/// Decodes events.
#[derive(Debug)]
pub(in crate::dialect) struct ConverseDecoder {
    usage: Option<Usage>,
    /// The numbers of blocks of thoughts, by Bedrock's number.
    thoughts: HashMap<u32, u32>,
    calls: ToolCalls,
    /// Bedrock's numbers of open calls.
    open: Vec<u32>,
    /// Bedrock's number of the latest block.
    latest: u32,
    ended: Option<FinishReason>,
}

impl Default for ConverseDecoder {
    fn default() -> Self {
        Self {
            usage: None,
            thoughts: HashMap::new(),
            calls: ToolCalls::new(0),
            open: Vec::new(),
            latest: 0,
            ended: None,
        }
    }
}

impl Decoder for ConverseDecoder {
    fn decode(&mut self, frame: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let kind = frame.event;
        if kind.ends_with("Exception") || kind.ends_with("Error") {
            return Err(exception(kind, frame.data));
        }
        if kind.is_empty() {
            events.extend(self.whole_answer(frame.data)?);
            return Ok(());
        }
        let Some(event) = json::parse::<Event>(frame.data)? else { return Ok(()) };
        let index = event.content_block_index.unwrap_or(self.latest);
        match kind {
            "contentBlockStart" => {
                self.latest = index;
                if let Some(call) = event.start.unwrap_or_default().tool_use {
                    let piece = Piece {
                        index: Some(index),
                        id: call.tool_use_id,
                        name: call.name,
                        ..Piece::default()
                    };
                    self.calls.add(piece, events)?;
                    self.open.push(index);
                }
            }
            "contentBlockDelta" => {
                self.latest = index;
                self.delta(index, event.delta.unwrap_or_default(), events)?;
            }
            "contentBlockStop" if self.open.contains(&index) => {
                self.open.retain(|open| *open != index);
                self.calls.finish_index(Some(index), String::new(), events)?;
            }
            "messageStop" => {
                self.stop(event.stop_reason.as_deref())?;
                events.extend(stop_text(&event.additional_model_response_fields));
            }
            "metadata" => self.usage = event.usage.map(Into::into).or(self.usage),
            // `messageStart` has no news; new events are ignored.
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let ended = self.ended.ok_or_else(broken_off)?;
        let mut events = Vec::new();
        self.calls.finish(&mut events)?;
        let finish_reason = match ended {
            FinishReason::Stop if !self.calls.is_empty() => FinishReason::ToolCalls,
            other => other,
        };
        events.extend(self.usage.map(|usage| RunEventBody::Usage { usage }));
        events.push(RunEventBody::Done { finish_reason });
        Ok(events)
    }
}

impl ConverseDecoder {
    fn delta(&mut self, index: u32, delta: Delta, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let Delta { text, tool_use, reasoning_content } = delta;
        let arguments = tool_use.and_then(|call| call.input).unwrap_or_default();
        if !arguments.is_empty() {
            if !self.open.contains(&index) {
                return Err(unreadable("a tool call without a name"));
            }
            self.calls.add(Piece { index: Some(index), arguments, ..Piece::default() }, events)?;
        }
        if let Some(ReasoningDelta { text, signature, redacted_content: encrypted }) = reasoning_content {
            let present = |text: &String| !text.is_empty();
            let (signature, encrypted) = (signature.filter(present), encrypted.filter(present));
            let added = Reasoning { text: text.unwrap_or_default(), signature, encrypted };
            let number = self.thoughts_of(index);
            if added != Reasoning::default() {
                events.push(RunEventBody::Reasoning { choice: 0, index: number, added });
            }
        }
        events.extend(text.filter(|text| !text.is_empty()).map(RunEventBody::text));
        Ok(())
    }

    /// Returns the number of the block of thoughts with Bedrock's `number`; a block begins without an event of its own.
    fn thoughts_of(&mut self, number: u32) -> u32 {
        let next = u32::try_from(self.thoughts.len()).unwrap_or(u32::MAX);
        *self.thoughts.entry(number).or_insert(next)
    }

    fn stop(&mut self, reason: Option<&str>) -> Result<(), ApiError> {
        self.ended = Some(finish_reason(reason.unwrap_or_default())?);
        Ok(())
    }

    /// Decodes an answer of `Converse`, or an error in JSON.
    fn whole_answer(&mut self, data: &str) -> Result<Vec<RunEventBody>, ApiError> {
        let Some(answer) = json::parse::<WholeAnswer>(data)? else { return Ok(Vec::new()) };
        let Some(message) = answer.output.and_then(|output| output.message) else {
            return Err(stated_failure(data).unwrap_or_else(|| unreadable("it has no message")));
        };
        let mut events = Vec::new();
        for (index, block) in (0..).zip(message.content) {
            let WholeBlock { text, tool_use, reasoning_content } = block;
            if let Some(call) = tool_use {
                let arguments = call.input.unwrap_or_default();
                let piece = Piece { index: Some(index), id: call.tool_use_id, name: call.name, arguments };
                self.calls.add(piece, &mut events)?;
            }
            let thoughts = reasoning_content.map(|thoughts| {
                let of = thoughts.reasoning_text.unwrap_or_default();
                ReasoningDelta { redacted_content: thoughts.redacted_content, ..of }
            });
            self.delta(index, Delta { text, tool_use: None, reasoning_content: thoughts }, &mut events)?;
        }
        self.usage = answer.usage.map(Into::into);
        self.stop(answer.stop_reason.as_deref())?;
        events.extend(stop_text(&answer.additional_model_response_fields));
        events.extend(self.end()?);
        Ok(events)
    }
}

/// Returns the stop text that ended an answer, from the fields that [`super::claude`] requests.
fn stop_text(fields: &Value) -> Option<RunEventBody> {
    let text = fields["stop_sequence"].as_str()?;
    Some(RunEventBody::StopText { choice: 0, text: text.to_owned() })
}

/// Maps a stop reason (docs/dialects.md has the table). Output that Bedrock itself can't parse is an error.
fn finish_reason(reason: &str) -> Result<FinishReason, ApiError> {
    match reason {
        "end_turn" | "stop_sequence" | "tool_use" => Ok(FinishReason::Stop),
        "max_tokens" | "model_context_window_exceeded" => Ok(FinishReason::Length),
        "guardrail_intervened" | "content_filtered" | "refusal" => Ok(FinishReason::ContentFilter),
        "malformed_model_output" | "malformed_tool_use" => {
            let message = format!("the provider ended the answer because of an error ({reason})");
            Err(ApiError::new(ErrorCode::ProviderError, message))
        }
        _ => Err(unknown_finish_reason(reason)),
    }
}

/// Converts an exception within a stream.
fn exception(exception: &str, data: &str) -> ApiError {
    let fields: Value = serde_json::from_str(data).unwrap_or_default();
    let message = fields["message"].as_str().or(fields["originalMessage"].as_str());
    let message = message.unwrap_or("its error has no message");
    let code = match (exception, fields["originalStatusCode"].as_u64()) {
        ("throttlingException", _) | (_, Some(429)) => ErrorCode::ProviderRateLimited,
        ("modelTimeoutException", _) | (_, Some(408)) => ErrorCode::ProviderTimeout,
        ("validationException", _) if message.to_lowercase().contains("too long") => {
            ErrorCode::ContextLengthExceeded
        }
        ("validationException", _) => ErrorCode::InvalidRequest,
        ("accessDeniedException", _) => ErrorCode::ProviderAuth,
        _ => ErrorCode::ProviderError,
    };
    ApiError::new(code, format!("the provider failed ({exception}): {message}"))
}
