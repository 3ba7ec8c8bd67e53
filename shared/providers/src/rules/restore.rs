//! Puts the client's words back into an answer, and applies the stop texts that the provider was not told.

use std::collections::BTreeMap;

use hearth_domain::{FinishReason, TokenLogprob};
use hearth_wire::{ApiError, RunEventBody};

use crate::dialect::{Decoder, Frame};

/// What was rewritten in a request, and is undone in its answer.
#[derive(Debug, Default)]
pub(crate) struct Restore {
    /// The client's name of each tool whose name was changed.
    names: BTreeMap<String, String>,
    /// Texts that end an answer, which the provider was not told.
    stops: Vec<String>,
}

impl Restore {
    pub(super) fn new(names: BTreeMap<String, String>, stops: Vec<String>) -> Self {
        Self { names, stops }
    }

    /// Whether the gateway itself cuts the answer, at stop texts that the provider was not told.
    pub(crate) fn cuts(&self) -> bool {
        !self.stops.is_empty()
    }

    /// Has what `decoder` reads be told in the client's words.
    pub(crate) fn wrap(self, decoder: Box<dyn Decoder>) -> Box<dyn Decoder> {
        if self.names.is_empty() && self.stops.is_empty() {
            return decoder;
        }
        Box::new(Restoring { restore: self, decoder, choices: BTreeMap::new() })
    }
}

/// A decoder whose events are changed.
struct Restoring {
    restore: Restore,
    decoder: Box<dyn Decoder>,
    /// The text of each answer that may be the beginning of a stop text.
    choices: BTreeMap<u32, Choice>,
}

/// One answer, as far as it is held back.
#[derive(Debug, Default)]
struct Choice {
    held: String,
    logprobs: Vec<TokenLogprob>,
    /// It has met a stop text: what comes after it is not told.
    is_over: bool,
}

impl Decoder for Restoring {
    fn take(&mut self, frame: Frame<'_>) -> Result<Vec<RunEventBody>, ApiError> {
        let events = self.decoder.take(frame)?;
        Ok(events.into_iter().flat_map(|event| self.restored(event)).collect())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let events = self.decoder.end()?;
        Ok(events.into_iter().flat_map(|event| self.restored(event)).collect())
    }
}

impl Restoring {
    /// The events that one becomes.
    fn restored(&mut self, mut event: RunEventBody) -> Vec<RunEventBody> {
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
            | RunEventBody::StopText { choice, .. }
            | RunEventBody::ToolCall { choice, .. } => match self.choices.get(&choice) {
                Some(said) if said.is_over => Vec::new(),
                _ => self.released(choice).into_iter().chain([event]).collect(),
            },
            RunEventBody::ChoiceDone { choice, finish_reason } => {
                let finish_reason = self.reason(choice, finish_reason);
                let done = RunEventBody::ChoiceDone { choice, finish_reason };
                self.released(choice).into_iter().chain([done]).collect()
            }
            RunEventBody::Done { finish_reason } => {
                let finish_reason = self.reason(0, finish_reason);
                self.all_released().into_iter().chain([RunEventBody::Done { finish_reason }]).collect()
            }
            RunEventBody::Usage { .. } | RunEventBody::Error { .. } | RunEventBody::Cancelled => {
                self.all_released().into_iter().chain([event]).collect()
            }
            other => vec![other],
        }
    }

    /// An answer that has met a stop text ended by it, whatever made the provider end.
    fn reason(&self, choice: u32, told: FinishReason) -> FinishReason {
        match self.choices.get(&choice) {
            Some(said) if said.is_over => FinishReason::Stop,
            _ => told,
        }
    }

    /// Takes more text of an answer: what surely comes before any stop text is told.
    fn text(&mut self, number: u32, text: &str, logprobs: Vec<TokenLogprob>) -> Vec<RunEventBody> {
        let choice = self.choices.entry(number).or_default();
        if choice.is_over {
            return Vec::new();
        }
        choice.held.push_str(text);
        choice.logprobs.extend(logprobs);
        let stops = &self.restore.stops;
        let met = stops.iter().filter_map(|stop| Some((choice.held.find(stop)?, stop)));
        // Of two at one place the first that the client named.
        if let Some((at, stop)) = met.min_by_key(|(at, _)| *at) {
            choice.is_over = true;
            let before = choice.told(number, at);
            choice.held.clear();
            choice.logprobs.clear();
            let stop = RunEventBody::StopText { choice: number, text: stop.clone() };
            return before.into_iter().chain([stop]).collect();
        }
        let safe = choice.held.len() - longest_beginning(&choice.held, stops);
        choice.told(number, safe).into_iter().collect()
    }

    /// What is held back of an answer, since no stop text comes of it.
    fn released(&mut self, number: u32) -> Option<RunEventBody> {
        let choice = self.choices.get_mut(&number)?;
        choice.told(number, choice.held.len())
    }

    fn all_released(&mut self) -> Vec<RunEventBody> {
        let numbers: Vec<u32> = self.choices.keys().copied().collect();
        numbers.into_iter().filter_map(|number| self.released(number)).collect()
    }
}

impl Choice {
    /// The first `length` bytes of what is held, with the tokens that they are.
    fn told(&mut self, number: u32, length: usize) -> Option<RunEventBody> {
        if length == 0 {
            return None;
        }
        let rest = self.held.split_off(length);
        let text = std::mem::replace(&mut self.held, rest);
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

/// How many bytes at the end of a text may be the beginning of a stop text.
fn longest_beginning(text: &str, stops: &[String]) -> usize {
    let lengths = stops.iter().flat_map(|stop| {
        stop.char_indices().skip(1).map(|(at, _)| at).filter(|at| text.ends_with(&stop[..*at]))
    });
    lengths.max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
