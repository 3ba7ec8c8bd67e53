//! Turns the arguments of the tool that a model was made to call into the answer's text.

use std::collections::BTreeMap;

use hearth_domain::FinishReason;
use hearth_wire::{ApiError, RunEventBody};

use crate::{
    answer_schema::ANSWER_TOOL,
    decoder::{Decoder, Frame},
};

/// A decoder of an answer that is the arguments of [`ANSWER_TOOL`].
pub(super) struct AnswerToolDecoder {
    decoder: Box<dyn Decoder>,
    /// The number of the call of each answer. Further calls are dropped.
    calls: BTreeMap<u32, u32>,
}

impl AnswerToolDecoder {
    pub(super) fn new(decoder: Box<dyn Decoder>) -> Self {
        Self { decoder, calls: BTreeMap::new() }
    }

    /// Returns the event in place of one.
    fn replace(&mut self, event: RunEventBody) -> Option<RunEventBody> {
        match event {
            RunEventBody::ToolCall { choice, index, begins, arguments } => {
                if begins.is_some_and(|call| call.name == ANSWER_TOOL) {
                    self.calls.entry(choice).or_insert(index);
                }
                let is_answer = self.calls.get(&choice) == Some(&index) && !arguments.is_empty();
                is_answer.then(|| RunEventBody::Delta { choice, text: arguments, logprobs: Vec::new() })
            }
            RunEventBody::ChoiceDone { choice, finish_reason: FinishReason::ToolCalls }
                if self.calls.contains_key(&choice) =>
            {
                Some(RunEventBody::ChoiceDone { choice, finish_reason: FinishReason::Stop })
            }
            RunEventBody::Done { finish_reason: FinishReason::ToolCalls } => {
                Some(RunEventBody::Done { finish_reason: FinishReason::Stop })
            }
            other => Some(other),
        }
    }
}

impl Decoder for AnswerToolDecoder {
    fn decode(&mut self, frame: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let mut decoded = Vec::new();
        self.decoder.decode(frame, &mut decoded)?;
        events.extend(decoded.into_iter().filter_map(|event| self.replace(event)));
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let events = self.decoder.end()?;
        Ok(events.into_iter().filter_map(|event| self.replace(event)).collect())
    }
}
