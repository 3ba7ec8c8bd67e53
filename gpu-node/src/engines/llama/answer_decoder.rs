//! Decodes one answer's tokens into events: bytes to whole characters, cut at a stop text, then split into tool calls,
//! reasoning and answer text.

use std::collections::VecDeque;

use hearth_domain::{Reasoning, TokenLogprob};
use hearth_wire::{RunEventBody, event::ToolCallBegin};

use super::{
    prepared_run::Markers,
    reasoning::{ReasoningParser, Split},
    sampler::Sampled,
    stop_texts::{Filtered, StopTextFilter},
    text::TextDecoder,
    tools::{OutputPiece, ToolCallParser},
    vocabulary::Vocabulary,
};

/// Decoder of one answer.
pub(super) struct AnswerDecoder {
    choice: u32,
    text: TextDecoder,
    stop: StopTextFilter,
    tools: Option<ToolReader>,
    /// Parses reasoning, if the model may write some.
    reasoning: Option<ReasoningParser>,
    pub(super) reasoning_tokens: u32,
    logprobs: LogprobQueue,
}

/// Parser of an answer's tool calls, and its state.
pub(super) struct ToolReader {
    pub(super) parser: ToolCallParser,
    /// The special tokens that calls are written with.
    pub(super) markers: Markers,
    /// True if a call has begun.
    pub(super) has_called: bool,
    /// True if the answer ends after its first call.
    pub(super) only_one: bool,
}

impl AnswerDecoder {
    /// A decoder for the answer with index `choice` of a run.
    pub(super) fn new(
        choice: u32,
        stop: Vec<String>,
        tools: Option<ToolReader>,
        reasoning: Option<ReasoningParser>,
    ) -> Self {
        Self {
            choice,
            text: TextDecoder::new(),
            stop: StopTextFilter::new(stop),
            tools,
            reasoning,
            reasoning_tokens: 0,
            logprobs: LogprobQueue::default(),
        }
    }

    /// Adds a token. Returns true if the answer ends with it: at a stop text, or at a call that is one too many.
    pub(super) fn push(
        &mut self,
        sampled: Sampled,
        vocabulary: &Vocabulary,
        events: &mut Vec<RunEventBody>,
    ) -> bool {
        let is_marker = self.tools.as_ref().is_some_and(|tools| tools.markers.contains(&sampled.token));
        let bytes = if is_marker { vocabulary.name(sampled.token) } else { vocabulary.text(sampled.token) };
        let text = self.text.push(bytes);
        self.logprobs.push(sampled.logprob, text.len());
        self.reasoning_tokens += u32::from(self.is_reasoning());
        match self.stop.push(&text) {
            Filtered::Text(text) => self.release(text, events),
            Filtered::Stopped { before, stop } => {
                if !self.release(before, events) {
                    self.flush(events);
                }
                events.push(RunEventBody::StopText { choice: self.choice, text: stop });
                true
            }
        }
    }

    /// Ends the answer: held-back text goes out.
    pub(super) fn finish(&mut self, events: &mut Vec<RunEventBody>) {
        let held = self.stop.finish();
        if !self.release(held, events) {
            self.flush(events);
        }
    }

    /// Returns whether the answer has a tool call.
    pub(super) fn has_tool_calls(&self) -> bool {
        self.tools.as_ref().is_some_and(|tools| tools.has_called)
    }

    fn is_reasoning(&self) -> bool {
        self.reasoning.as_ref().is_some_and(ReasoningParser::is_reasoning)
    }

    /// Sends text on behind the stop texts. Returns true if the answer ends with it.
    fn release(&mut self, text: String, events: &mut Vec<RunEventBody>) -> bool {
        let logprobs = self.logprobs.release(text.len());
        let Some(tools) = &mut self.tools else {
            self.push_text(text, logprobs, events);
            return false;
        };
        let pieces = tools.parser.push(&text);
        self.push_pieces(pieces, logprobs, events)
    }

    fn flush(&mut self, events: &mut Vec<RunEventBody>) {
        if let Some(tools) = &mut self.tools {
            let pieces = tools.parser.finish();
            self.push_pieces(pieces, Vec::new(), events);
        }
        let split = self.reasoning.as_mut().map(ReasoningParser::finish).unwrap_or_default();
        self.push_split(split, Vec::new(), events);
    }

    /// Appends the events of parsed output. Log-probabilities go with the first text; those of a call's tokens are
    /// dropped. Returns true at a call that is one too many.
    fn push_pieces(
        &mut self,
        pieces: Vec<OutputPiece>,
        mut logprobs: Vec<TokenLogprob>,
        events: &mut Vec<RunEventBody>,
    ) -> bool {
        for piece in pieces {
            let (index, begins, arguments) = match piece {
                OutputPiece::Text(text) => {
                    self.push_text(text, std::mem::take(&mut logprobs), events);
                    continue;
                }
                OutputPiece::Begin { index, id, name } => {
                    (index, Some(ToolCallBegin { id, name }), String::new())
                }
                OutputPiece::Arguments { index, json } => (index, None, json),
            };
            if let Some(tools) = &mut self.tools {
                if tools.only_one && index > 0 {
                    return true;
                }
                tools.has_called = true;
            }
            events.push(RunEventBody::ToolCall { choice: self.choice, index, begins, arguments });
        }
        false
    }

    fn push_text(&mut self, text: String, logprobs: Vec<TokenLogprob>, events: &mut Vec<RunEventBody>) {
        let split = match &mut self.reasoning {
            Some(parser) => parser.push(&text),
            None => Split { answer: text, ..Split::default() },
        };
        self.push_split(split, logprobs, events);
    }

    /// Appends the events of split text. Log-probabilities belong to answer text, not to reasoning.
    fn push_split(&self, split: Split, logprobs: Vec<TokenLogprob>, events: &mut Vec<RunEventBody>) {
        let choice = self.choice;
        let is_reasoning = self.is_reasoning() || !split.reasoning.is_empty();
        if !split.reasoning.is_empty() {
            let added = Reasoning { text: split.reasoning, ..Reasoning::default() };
            events.push(RunEventBody::Reasoning { choice, index: 0, added });
        }
        if !split.answer.is_empty() || !is_reasoning && !logprobs.is_empty() {
            events.push(RunEventBody::Delta { choice, text: split.answer, logprobs });
        }
    }
}

/// Log-probabilities that wait until their token's text is released.
#[derive(Debug, Default)]
struct LogprobQueue {
    /// Each with the offset of its token's text in the answer, in bytes.
    waiting: VecDeque<(usize, TokenLogprob)>,
    pushed_bytes: usize,
    released_bytes: usize,
}

impl LogprobQueue {
    fn push(&mut self, logprob: Option<TokenLogprob>, bytes: usize) {
        self.waiting.extend(logprob.map(|logprob| (self.pushed_bytes, logprob)));
        self.pushed_bytes += bytes;
    }

    fn release(&mut self, bytes: usize) -> Vec<TokenLogprob> {
        self.released_bytes += bytes;
        let mut released = Vec::new();
        // A token without text of its own goes with the text before it.
        let all_released = self.pushed_bytes == self.released_bytes;
        while let Some((_, logprob)) =
            self.waiting.pop_front_if(|(offset, _)| *offset < self.released_bytes || all_released)
        {
            released.push(logprob);
        }
        released
    }
}
