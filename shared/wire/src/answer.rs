//! What a run has made, put together from its events.

use hearth_domain::{FinishReason, Reasoning, Structured, TokenLogprob, ToolCall, check::MAX_CHOICES};

use crate::{ApiError, ErrorCode, RunEvent, RunEventBody, event::ToolCallBegin};

/// One answer, as far as it has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// What the model said in place of an answer.
    pub refusal: String,
    /// The thoughts before it.
    pub reasoning: Vec<Reasoning>,
    /// The tools that it calls.
    pub tool_calls: Vec<ToolCall>,
    /// The tokens of its text, if they were asked for.
    pub logprobs: Vec<TokenLogprob>,
    /// The stop text that ended it, if that is known.
    pub stop_text: Option<String>,
    /// How its JSON Schema was enforced, where it had one and that is known.
    pub structured: Option<Structured>,
    /// Why it ended, once it has.
    pub finish_reason: Option<FinishReason>,
}

/// A run's answers; there is at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers(Vec<Answer>);

impl Answer {
    /// Everything that was said, for clients that know no refusals: those are texts to them.
    #[must_use]
    pub fn said(&self) -> String {
        format!("{}{}", self.text, self.refusal)
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self(vec![Answer::default()])
    }
}

impl Answers {
    /// Takes a run's next event.
    pub fn take(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Delta { choice, text, logprobs } => {
                if let Some(answer) = self.at(*choice) {
                    answer.text.push_str(text);
                    answer.logprobs.extend_from_slice(logprobs);
                }
            }
            RunEventBody::Refusal { choice, text } => {
                if let Some(answer) = self.at(*choice) {
                    answer.refusal.push_str(text);
                }
            }
            RunEventBody::StopText { choice, text } => {
                if let Some(answer) = self.at(*choice) {
                    answer.stop_text = Some(text.clone());
                }
            }
            RunEventBody::Reasoning { choice, index, added } => {
                if let Some(answer) = self.at(*choice) {
                    think_on(&mut answer.reasoning, *index, added);
                }
            }
            RunEventBody::ToolCall { choice, index, begins, arguments } => {
                if let Some(answer) = self.at(*choice) {
                    go_on(&mut answer.tool_calls, *index, begins.as_ref(), arguments);
                }
            }
            RunEventBody::Structured { choice, structured } => {
                if let Some(answer) = self.at(*choice) {
                    answer.structured = Some(structured.clone());
                }
            }
            RunEventBody::ChoiceDone { choice, finish_reason } => {
                if let Some(answer) = self.at(*choice) {
                    answer.finish_reason = Some(*finish_reason);
                }
            }
            RunEventBody::Done { finish_reason } => self.end(*finish_reason),
            RunEventBody::Cancelled => self.end(FinishReason::Cancelled),
            _ => {}
        }
    }

    /// The answers, by their number.
    #[must_use]
    pub fn all(&self) -> &[Answer] {
        &self.0
    }

    /// The numbers of those that haven't ended.
    #[must_use]
    pub fn open(&self) -> Vec<u32> {
        let numbered = (0..).zip(&self.0);
        numbered.filter(|(_, answer)| answer.finish_reason.is_none()).map(|(number, _)| number).collect()
    }

    /// The answer of this number, if it can be one.
    fn at(&mut self, choice: u32) -> Option<&mut Answer> {
        if choice >= MAX_CHOICES {
            return None;
        }
        let index = choice as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, Answer::default);
        }
        self.0.get_mut(index)
    }

    fn end(&mut self, reason: FinishReason) {
        for answer in &mut self.0 {
            answer.finish_reason.get_or_insert(reason);
        }
    }
}

/// Takes an event of the call number `index`: it begins, or its arguments go on.
pub fn go_on(calls: &mut Vec<ToolCall>, index: u32, begins: Option<&ToolCallBegin>, arguments: &str) {
    match (calls.get_mut(index as usize), begins) {
        (Some(call), _) => call.arguments.push_str(arguments),
        (None, Some(ToolCallBegin { id, name })) => {
            calls.push(ToolCall { id: id.clone(), name: name.clone(), arguments: arguments.to_owned() });
        }
        // What goes on without having begun is nobody's.
        (None, None) => {}
    }
}

/// Takes an event of the block of thoughts number `index`.
pub fn think_on(blocks: &mut Vec<Reasoning>, index: u32, added: &Reasoning) {
    // They come in order: what skips a number is put behind the last.
    let index = (index as usize).min(blocks.len());
    if index == blocks.len() {
        blocks.push(Reasoning::default());
    }
    if let Some(block) = blocks.get_mut(index) {
        block.text.push_str(&added.text);
        block.signature = added.signature.clone().or_else(|| block.signature.take());
        block.encrypted = added.encrypted.clone().or_else(|| block.encrypted.take());
    }
}

/// How a run ended, of all its events.
///
/// # Errors
/// The run's own error; `cancelled` if it was stopped; `internal` if it hasn't ended.
pub fn ending(events: &[RunEvent]) -> Result<FinishReason, ApiError> {
    match events.last().map(|event| &event.body) {
        Some(RunEventBody::Done { finish_reason }) => Ok(*finish_reason),
        Some(RunEventBody::Error { error }) => Err(error.clone()),
        Some(RunEventBody::Cancelled) => {
            Err(ApiError::new(ErrorCode::Cancelled, "the request was cancelled before it ended"))
        }
        _ => Err(ApiError::new(ErrorCode::Internal, "the run ended without a last event")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(events: &[RunEventBody]) -> Answers {
        let mut answers = Answers::default();
        events.iter().for_each(|event| answers.take(event));
        answers
    }

    fn delta(choice: u32, text: &str) -> RunEventBody {
        RunEventBody::Delta { choice, text: text.into(), logprobs: Vec::new() }
    }

    fn call(index: u32, begins: Option<&str>, arguments: &str) -> RunEventBody {
        let begins = begins.map(|name| ToolCallBegin { id: format!("call_{index}"), name: name.into() });
        RunEventBody::ToolCall { choice: 0, index, begins, arguments: arguments.into() }
    }

    #[test]
    fn calls_that_are_interleaved_are_put_together() {
        let answers = answers(&[
            call(0, Some("look"), ""),
            call(0, None, "{\"at\":"),
            call(1, Some("hear"), "{"),
            call(0, None, "1}"),
            call(1, None, "}"),
            call(7, None, "lost"),
        ]);
        let calls = answers.all()[0].tool_calls.iter();
        let told: Vec<_> = calls.map(|c| (c.id.as_str(), c.name.as_str(), c.arguments.as_str())).collect();
        assert_eq!(told, [("call_0", "look", "{\"at\":1}"), ("call_1", "hear", "{}")]);
    }

    #[test]
    fn each_answer_ends_by_itself_and_the_rest_with_the_run() {
        let early = RunEventBody::ChoiceDone { choice: 1, finish_reason: FinishReason::Length };
        let mut answers = answers(&[delta(0, "a"), delta(2, "c"), early, delta(99, "nobody's")]);
        assert_eq!(answers.open(), [0, 2]);
        answers.take(&RunEventBody::Done { finish_reason: FinishReason::Stop });
        let told: Vec<_> = answers.all().iter().map(|a| (a.text.as_str(), a.finish_reason)).collect();
        let (stop, length) = (Some(FinishReason::Stop), Some(FinishReason::Length));
        assert_eq!(told, [("a", stop), ("", length), ("c", stop)]);
        assert!(answers.open().is_empty());
    }
}
