//! Restores the client's names of tools in an answer, and applies the stop texts that weren't sent to the provider.

mod answer_tool;
mod unoffered_tools;

use std::collections::BTreeMap;

use hearth_domain::{FinishReason, TokenLogprob};
use hearth_wire::{ApiError, RunEventBody, extension::Extension};

use answer_tool::AnswerToolDecoder;
use unoffered_tools::ToolBlockFilter;
pub(super) use unoffered_tools::leaves_out_tool_blocks;

use crate::decoder::{Decoder, Frame};

/// The changes of a request that are undone in its answer.
#[derive(Debug, Default)]
pub(crate) struct Restore {
    /// The client's names of tools, by their replacements.
    names: BTreeMap<String, String>,
    /// Stop texts that weren't sent to the provider.
    stops: Vec<String>,
    /// The answer is the arguments of a tool.
    has_answer_tool: bool,
    /// The client gets no blocks of tools that the provider ran.
    leaves_out_tool_blocks: bool,
}

impl Restore {
    pub(super) fn new(names: BTreeMap<String, String>, stops: Vec<String>, has_answer_tool: bool) -> Self {
        Self { names, stops, has_answer_tool, leaves_out_tool_blocks: false }
    }

    /// Leaves out blocks of tools that the provider ran if `is_needed`.
    pub(super) fn without_tool_blocks(self, is_needed: bool) -> Self {
        Self { leaves_out_tool_blocks: is_needed, ..self }
    }

    /// Returns whether the gateway itself ends the answer at stop texts.
    pub(crate) fn applies_stops(&self) -> bool {
        !self.stops.is_empty()
    }

    /// Wraps `decoder` in one that undoes the changes, if there are any.
    pub(crate) fn wrap(self, decoder: Box<dyn Decoder>) -> Box<dyn Decoder> {
        let decoder: Box<dyn Decoder> = match self.has_answer_tool {
            true => Box::new(AnswerToolDecoder::new(decoder)),
            false => decoder,
        };
        let decoder: Box<dyn Decoder> = match self.leaves_out_tool_blocks {
            true => Box::new(ToolBlockFilter::new(decoder)),
            false => decoder,
        };
        if self.names.is_empty() && self.stops.is_empty() {
            return decoder;
        }
        Box::new(RestoringDecoder { restore: self, decoder, choices: BTreeMap::new() })
    }
}

/// A decoder that undoes changes in another's events.
struct RestoringDecoder {
    restore: Restore,
    decoder: Box<dyn Decoder>,
    /// The text at the end of each answer that may be the beginning of a stop text.
    choices: BTreeMap<u32, Choice>,
}

/// The withheld end of one answer.
#[derive(Debug, Default)]
struct Choice {
    withheld: String,
    logprobs: Vec<TokenLogprob>,
    /// Citations that follow the withheld text.
    after_text: Vec<RunEventBody>,
    /// A stop text has occurred: later events are dropped.
    is_over: bool,
}

impl Decoder for RestoringDecoder {
    fn decode(&mut self, frame: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let mut decoded = Vec::new();
        self.decoder.decode(frame, &mut decoded)?;
        events.extend(decoded.into_iter().flat_map(|event| self.restore(event)));
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let events = self.decoder.end()?;
        Ok(events.into_iter().flat_map(|event| self.restore(event)).collect())
    }
}

impl RestoringDecoder {
    /// Returns the events in place of one.
    fn restore(&mut self, mut event: RunEventBody) -> Vec<RunEventBody> {
        if let RunEventBody::ToolCall { begins: Some(begin), .. } = &mut event
            && let Some(name) = self.restore.names.get(&begin.name)
        {
            begin.name.clone_from(name);
        }
        if self.restore.stops.is_empty() {
            return vec![event];
        }
        match event {
            RunEventBody::Delta { choice, text, logprobs } => self.text(choice, &text, logprobs),
            RunEventBody::Refusal { choice, .. }
            | RunEventBody::Reasoning { choice, .. }
            | RunEventBody::Extension {
                choice,
                extension: Extension::Item(_) | Extension::TextBlock | Extension::Phase(_),
                ..
            }
            | RunEventBody::StopText { choice, .. }
            | RunEventBody::ToolCall { choice, .. } => match self.choices.get(&choice) {
                Some(state) if state.is_over => Vec::new(),
                _ => self.release(choice).into_iter().chain([event]).collect(),
            },
            // It is about text that may be withheld.
            RunEventBody::Extension { choice, extension: Extension::Annotation(_), .. } => {
                self.follow_text(choice, event)
            }
            RunEventBody::ChoiceDone { choice, finish_reason } => {
                let finish_reason = self.reason(choice, finish_reason);
                let done = RunEventBody::ChoiceDone { choice, finish_reason };
                self.release(choice).into_iter().chain([done]).collect()
            }
            RunEventBody::Done { finish_reason } => {
                let finish_reason = self.reason(0, finish_reason);
                self.release_all().into_iter().chain([RunEventBody::Done { finish_reason }]).collect()
            }
            RunEventBody::Usage { .. } | RunEventBody::Error { .. } | RunEventBody::Cancelled => {
                self.release_all().into_iter().chain([event]).collect()
            }
            other => vec![other],
        }
    }

    /// Returns the finish reason of an answer: `Stop` if it ended at a stop text, else the provider's.
    fn reason(&self, choice: u32, reported: FinishReason) -> FinishReason {
        match self.choices.get(&choice) {
            Some(state) if state.is_over => FinishReason::Stop,
            _ => reported,
        }
    }

    /// Adds text to an answer. Returns the text that can't be part of a stop text any more.
    fn text(&mut self, number: u32, text: &str, logprobs: Vec<TokenLogprob>) -> Vec<RunEventBody> {
        let choice = self.choices.entry(number).or_default();
        if choice.is_over {
            return Vec::new();
        }
        choice.withheld.push_str(text);
        choice.logprobs.extend(logprobs);
        let stops = &self.restore.stops;
        let occurrences = stops.iter().filter_map(|stop| Some((choice.withheld.find(stop)?, stop)));
        // Of two stop texts at one place the client's first counts.
        if let Some((at, stop)) = occurrences.min_by_key(|(at, _)| *at) {
            choice.is_over = true;
            let before = choice.split_off(number, at);
            choice.withheld.clear();
            let citations = std::mem::take(&mut choice.after_text);
            choice.logprobs.clear();
            let stop = RunEventBody::StopText { choice: number, text: stop.clone() };
            return before.into_iter().chain(citations).chain([stop]).collect();
        }
        let safe = choice.withheld.len() - partial_stop_bytes(&choice.withheld, stops);
        let mut events: Vec<_> = choice.split_off(number, safe).into_iter().collect();
        if !events.is_empty() {
            events.append(&mut choice.after_text);
        }
        events
    }

    /// Returns an event that follows the text so far, unless that is withheld.
    fn follow_text(&mut self, number: u32, event: RunEventBody) -> Vec<RunEventBody> {
        match self.choices.get_mut(&number) {
            Some(choice) if choice.is_over => Vec::new(),
            Some(choice) if !choice.withheld.is_empty() => {
                choice.after_text.push(event);
                Vec::new()
            }
            _ => vec![event],
        }
    }

    /// Returns the withheld text of an answer, once it can't become a stop text.
    fn release(&mut self, number: u32) -> Vec<RunEventBody> {
        let Some(choice) = self.choices.get_mut(&number) else { return Vec::new() };
        let text = choice.split_off(number, choice.withheld.len());
        text.into_iter().chain(std::mem::take(&mut choice.after_text)).collect()
    }

    fn release_all(&mut self) -> Vec<RunEventBody> {
        let numbers: Vec<u32> = self.choices.keys().copied().collect();
        numbers.into_iter().flat_map(|number| self.release(number)).collect()
    }
}

impl Choice {
    /// Removes the first `length` bytes of the withheld text, and returns them with their tokens.
    fn split_off(&mut self, number: u32, length: usize) -> Option<RunEventBody> {
        if length == 0 {
            return None;
        }
        let rest = self.withheld.split_off(length);
        let text = std::mem::replace(&mut self.withheld, rest);
        let mut bytes = 0;
        let tokens = self.logprobs.iter().take_while(|token| {
            bytes += token.token.bytes.len();
            bytes <= length
        });
        let tokens = tokens.count();
        let rest = self.logprobs.split_off(tokens);
        let logprobs = std::mem::replace(&mut self.logprobs, rest);
        Some(RunEventBody::Delta { choice: number, text, logprobs })
    }
}

/// Returns the length of the longest end of a text, in bytes, that is the beginning of a stop text.
fn partial_stop_bytes(text: &str, stops: &[String]) -> usize {
    let lengths = stops.iter().flat_map(|stop| {
        stop.char_indices().skip(1).map(|(at, _)| at).filter(|at| text.ends_with(&stop[..*at]))
    });
    lengths.max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
