//! Decodes the frames of an answer: chunks, and `[DONE]`. A server that can't stream sends the whole completion in one.

use hearth_domain::{ClientDialect, FinishReason, Reasoning, TokenLogprob, Usage, check::MAX_CHOICES};
use hearth_wire::{ApiError, RunEventBody, extension::Extension};

use super::chunk::{CallDelta, Chunk, ChunkChoice, Delta, LogprobEntry};
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

/// Decodes chunks.
#[derive(Debug, Default)]
pub(in crate::dialect) struct ChatDecoder {
    usage: Option<Usage>,
    choices: Vec<Choice>,
}

/// The state of one answer.
#[derive(Debug)]
struct Choice {
    calls: ToolCalls,
    refused: bool,
    /// True if a piece of it has arrived: a whole message after its pieces is ignored.
    begun: bool,
    /// True if it has citations.
    annotated: bool,
    ended: Option<EndReason>,
}

/// The provider's reason for the end of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndReason {
    Complete,
    Length,
    ContentFilter,
}

impl Decoder for ChatDecoder {
    fn decode(&mut self, frame: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        if frame.data.trim() == "[DONE]" {
            events.extend(self.end()?);
            return Ok(());
        }
        if frame.event == "error" {
            return Err(named_failure(frame.data));
        }
        let Some(chunk) = json::parse::<Chunk>(frame.data)? else { return Ok(()) };
        if is_present(&chunk.error) {
            return Err(failure(&chunk.error));
        }
        if chunk.choices.is_empty()
            && chunk.usage.is_none()
            && let Some(error) = stated_failure(frame.data)
        {
            return Err(error);
        }
        let usage = chunk.usage.map(Usage::from);
        // Some servers send zeros in all chunks but one.
        self.usage = usage.filter(|usage| *usage != Usage::default()).or(self.usage).or(usage);
        for choice in chunk.choices {
            self.choice(choice, events)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let mut events = Vec::new();
        let mut reasons = Vec::with_capacity(self.choices.len());
        for choice in &mut self.choices {
            choice.calls.finish(&mut events)?;
            reasons.push(choice.finish_reason().ok_or_else(broken_off)?);
        }
        let done = *reasons.first().ok_or_else(broken_off)?;
        events.extend(
            (1..)
                .zip(reasons.into_iter().skip(1))
                .map(|(choice, finish_reason)| RunEventBody::ChoiceDone { choice, finish_reason }),
        );
        events.extend(self.usage.map(|usage| RunEventBody::Usage { usage }));
        events.push(RunEventBody::Done { finish_reason: done });
        Ok(events)
    }
}

impl ChatDecoder {
    fn choice(&mut self, chunk: ChunkChoice, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let number = chunk.index.unwrap_or_default();
        if number >= MAX_CHOICES {
            return Err(unreadable(format!("a choice number {number}")));
        }
        for new in (0..=number).skip(self.choices.len()) {
            self.choices.push(Choice::new(new));
        }
        if is_present(&chunk.error) {
            return Err(failure(&chunk.error));
        }
        let choice = &mut self.choices[number as usize];
        let mut message = chunk.message;
        let mut delta = match chunk.delta {
            Some(delta) => delta,
            None if choice.begun => Delta::default(),
            None => message.take().unwrap_or_default(),
        };
        // After its pieces a whole message may have citations alone.
        if let Some(message) = message.filter(|_| !choice.annotated && delta.annotations.is_empty()) {
            delta.annotations.extend(message.annotations);
        }
        let logprobs = chunk.logprobs.unwrap_or_default().content;
        let logprobs = logprobs.into_iter().filter_map(LogprobEntry::into_token).collect();
        choice.delta(number, delta, logprobs, events)?;
        // Before the end some servers send an empty reason, or the text `null`.
        let reason = chunk.finish_reason.filter(|reason| !matches!(reason.as_str(), "" | "null"));
        let Some(reason) = reason else { return Ok(()) };
        events.extend(chunk.stop_reason.map(|text| RunEventBody::StopText { choice: number, text }));
        choice.ended = Some(end_reason(&reason)?);
        Ok(())
    }
}

impl Choice {
    fn new(number: u32) -> Self {
        Self { calls: ToolCalls::new(number), refused: false, begun: false, annotated: false, ended: None }
    }

    fn delta(
        &mut self,
        choice: u32,
        delta: Delta,
        logprobs: Vec<TokenLogprob>,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        let before = events.len();
        let thoughts = [delta.reasoning_content.all(), delta.reasoning.all(), delta.content.thoughts];
        if let Some(text) = thoughts.into_iter().find(|text| !text.is_empty()) {
            let added = Reasoning { text, ..Reasoning::default() };
            events.push(RunEventBody::Reasoning { choice, index: 0, added });
        }
        let text = delta.content.text;
        if !text.is_empty() || !logprobs.is_empty() {
            events.push(RunEventBody::Delta { choice, text, logprobs });
        }
        self.annotated |= !delta.annotations.is_empty();
        events.extend(delta.annotations.into_iter().map(|annotation| RunEventBody::Extension {
            choice,
            dialect: ClientDialect::OpenAiChat,
            extension: Extension::Annotation(annotation),
        }));
        if let Some(text) = delta.refusal.filter(|text| !text.is_empty()) {
            self.refused = true;
            events.push(RunEventBody::Refusal { choice, text });
        }
        let legacy = delta
            .function_call
            .map(|function| CallDelta { function: Some(function), ..CallDelta::default() });
        for CallDelta { index, id, function } in delta.tool_calls.into_iter().chain(legacy) {
            let function = function.unwrap_or_default();
            let arguments = function.arguments.unwrap_or_default();
            self.calls.add(Piece { index, id, name: function.name, arguments }, events)?;
        }
        self.begun |= events.len() > before;
        Ok(())
    }

    /// Returns the finish reason, once the answer has ended. Calls and a refusal are more specific than `stop`.
    fn finish_reason(&self) -> Option<FinishReason> {
        Some(match self.ended? {
            EndReason::Length => FinishReason::Length,
            EndReason::ContentFilter => FinishReason::ContentFilter,
            EndReason::Complete if self.refused => FinishReason::ContentFilter,
            EndReason::Complete if !self.calls.is_empty() => FinishReason::ToolCalls,
            EndReason::Complete => FinishReason::Stop,
        })
    }
}

/// Maps a finish reason (docs/dialects.md has the table). Beside OpenAI's there are those of DeepSeek, Mistral, OpenRouter,
/// Hugging Face, Together and Zhipu; proxies pass on Anthropic's and Google's.
fn end_reason(reason: &str) -> Result<EndReason, ApiError> {
    match reason.to_lowercase().as_str() {
        "stop" | "tool_calls" | "function_call" | "tool_use" | "eos" | "eos_token" | "stop_sequence"
        | "end_turn" | "complete" => Ok(EndReason::Complete),
        "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" => Ok(EndReason::Length),
        "content_filter" | "sensitive" | "safety" | "refusal" => Ok(EndReason::ContentFilter),
        _ => Err(unknown_finish_reason(reason)),
    }
}
