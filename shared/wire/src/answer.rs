//! The answers of a run, assembled from its events.

use std::ops::Range;

use hearth_domain::{
    ClientDialect, FinishReason, Reasoning, Structured, TokenLogprob, ToolCall, Usage, check::MAX_CHOICES,
};

use serde_json::Value;

use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    event::ToolCallBegin,
    extension::{DialectExtension, Extension},
};

/// One answer, complete or in progress.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// The model's refusal to answer.
    pub refusal: String,
    /// Reasoning blocks.
    pub reasoning: Vec<Reasoning>,
    /// Tool calls.
    pub tool_calls: Vec<ToolCall>,
    /// Parts for clients of the provider's dialect, in order.
    pub extensions: Vec<DialectExtension>,
    /// Text, refusal, reasoning, calls and extensions, in the order in which they began.
    pub pieces: Vec<AnswerPiece>,
    /// Log-probabilities of the text's tokens, if the request asked for them.
    pub logprobs: Vec<TokenLogprob>,
    /// The stop text that ended the answer, if known.
    pub stop_text: Option<String>,
    /// Enforcement of the answer's JSON Schema, if it had one and the enforcement is known.
    pub structured: Option<Structured>,
    /// Reason for the end, once the answer has ended.
    pub finish_reason: Option<FinishReason>,
}

/// Piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerPiece {
    /// These bytes of the text.
    Text(Range<usize>),
    /// These bytes of the refusal.
    Refusal(Range<usize>),
    /// The reasoning block of this number.
    Reasoning(usize),
    /// The call of this number.
    Call(usize),
    /// The extension of this number.
    Extension(usize),
}

/// A run's answers, by number; there is at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers(Vec<Answer>);

impl Answer {
    /// The text followed by the refusal, for clients whose dialect has no refusals.
    #[must_use]
    pub fn text_with_refusal(&self) -> String {
        format!("{}{}", self.text, self.refusal)
    }

    /// The extensions in this dialect, in order.
    pub fn extensions_in(&self, dialect: ClientDialect) -> impl Iterator<Item = &DialectExtension> {
        self.extensions.iter().filter(move |placed| placed.dialect == dialect)
    }

    /// Adds the next piece. A text continues the text right before it.
    fn add_piece(&mut self, piece: AnswerPiece) {
        match (self.pieces.last_mut(), piece) {
            (_, AnswerPiece::Text(added) | AnswerPiece::Refusal(added)) if added.is_empty() => {}
            (Some(AnswerPiece::Text(last)), AnswerPiece::Text(added))
            | (Some(AnswerPiece::Refusal(last)), AnswerPiece::Refusal(added)) => last.end = added.end,
            (_, piece) => self.pieces.push(piece),
        }
    }

    /// The last value of a field of the answer itself in this dialect.
    pub(crate) fn extension_field(&self, dialect: ClientDialect, name: &str) -> Option<&Value> {
        let fields = self.extensions_in(dialect).filter_map(|placed| match &placed.extension {
            Extension::Fields(fields) => fields.get(name),
            _ => None,
        });
        fields.last()
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self(vec![Answer::default()])
    }
}

impl Answers {
    /// Applies a run's next event.
    pub fn apply(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Delta { choice, text, logprobs } => {
                if let Some(answer) = self.get_mut(*choice) {
                    let start = answer.text.len();
                    answer.text.push_str(text);
                    answer.add_piece(AnswerPiece::Text(start..answer.text.len()));
                    answer.logprobs.extend_from_slice(logprobs);
                }
            }
            RunEventBody::Refusal { choice, text } => {
                if let Some(answer) = self.get_mut(*choice) {
                    let start = answer.refusal.len();
                    answer.refusal.push_str(text);
                    answer.add_piece(AnswerPiece::Refusal(start..answer.refusal.len()));
                }
            }
            RunEventBody::StopText { choice, text } => {
                if let Some(answer) = self.get_mut(*choice) {
                    answer.stop_text = Some(text.clone());
                }
            }
            RunEventBody::Reasoning { choice, index, added } => {
                if let Some(answer) = self.get_mut(*choice) {
                    let number = answer.reasoning.len();
                    apply_reasoning_delta(&mut answer.reasoning, *index, added);
                    if answer.reasoning.len() > number {
                        answer.add_piece(AnswerPiece::Reasoning(number));
                    }
                }
            }
            RunEventBody::ToolCall { choice, index, begins, arguments } => {
                if let Some(answer) = self.get_mut(*choice) {
                    let number = answer.tool_calls.len();
                    apply_tool_delta(&mut answer.tool_calls, *index, begins.as_ref(), arguments);
                    if answer.tool_calls.len() > number {
                        answer.add_piece(AnswerPiece::Call(number));
                    }
                }
            }
            RunEventBody::Extension { choice, dialect, extension } => {
                if let Some(answer) = self.get_mut(*choice) {
                    answer.add_piece(AnswerPiece::Extension(answer.extensions.len()));
                    let extension = extension.clone();
                    answer.extensions.push(DialectExtension { dialect: *dialect, extension });
                }
            }
            RunEventBody::Structured { choice, structured } => {
                if let Some(answer) = self.get_mut(*choice) {
                    answer.structured = Some(structured.clone());
                }
            }
            RunEventBody::ChoiceDone { choice, finish_reason } => {
                if let Some(answer) = self.get_mut(*choice) {
                    answer.finish_reason = Some(*finish_reason);
                }
            }
            RunEventBody::Done { finish_reason } => self.end(*finish_reason),
            RunEventBody::Cancelled => self.end(FinishReason::Cancelled),
            _ => {}
        }
    }

    /// All answers, by number.
    #[must_use]
    pub fn all(&self) -> &[Answer] {
        &self.0
    }

    /// The numbers of the answers that haven't ended.
    #[must_use]
    pub fn unfinished(&self) -> Vec<u32> {
        let numbered = (0..).zip(&self.0);
        numbered.filter(|(_, answer)| answer.finish_reason.is_none()).map(|(number, _)| number).collect()
    }

    /// The answer with this number, created if absent; `None` if the number is too large.
    fn get_mut(&mut self, choice: u32) -> Option<&mut Answer> {
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

/// Applies an event of the call number `index`: the call begins, or its arguments continue.
pub fn apply_tool_delta(
    calls: &mut Vec<ToolCall>,
    index: u32,
    begins: Option<&ToolCallBegin>,
    arguments: &str,
) {
    match (calls.get_mut(index as usize), begins) {
        (Some(call), _) => call.arguments.push_str(arguments),
        (None, Some(ToolCallBegin { id, name })) => {
            calls.push(ToolCall { id: id.clone(), name: name.clone(), arguments: arguments.to_owned() });
        }
        // Arguments of a call that never began are dropped.
        (None, None) => {}
    }
}

/// Applies an event of the reasoning block number `index`.
pub fn apply_reasoning_delta(blocks: &mut Vec<Reasoning>, index: u32, added: &Reasoning) {
    // Blocks come in order: one that skips a number is appended.
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

/// Returns the finish reason of a run from all its events.
///
/// # Errors
/// The run's own error; `cancelled` if it was stopped; `internal` if it hasn't ended.
pub fn final_outcome(events: &[RunEvent]) -> Result<FinishReason, ApiError> {
    match events.last().map(|event| &event.body) {
        Some(RunEventBody::Done { finish_reason }) => Ok(*finish_reason),
        Some(RunEventBody::Error { error }) => Err(error.clone()),
        Some(RunEventBody::Cancelled) => {
            Err(ApiError::new(ErrorCode::Cancelled, "the request was cancelled before it ended"))
        }
        _ => Err(ApiError::new(ErrorCode::Internal, "the run ended without a last event")),
    }
}

/// The error that a renderer shows for a run that was cancelled.
pub(crate) fn cancelled() -> ApiError {
    ApiError::new(ErrorCode::Cancelled, "the request was cancelled")
}

/// The part of a run that most renderers show: model, answers and usage.
#[derive(Debug, Default)]
pub(crate) struct RunSummary {
    /// The model that serves the run.
    pub(crate) model: String,
    pub(crate) answers: Answers,
    pub(crate) usage: Usage,
}

impl RunSummary {
    /// Applies the run's next event.
    pub(crate) fn apply(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Selected(selected) => self.model = selected.model.to_string(),
            RunEventBody::Started { prompt_tokens } => self.usage.prompt_tokens = *prompt_tokens,
            RunEventBody::Usage { usage } => self.usage = *usage,
            event => self.answers.apply(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(events: &[RunEventBody]) -> Answers {
        let mut answers = Answers::default();
        events.iter().for_each(|event| answers.apply(event));
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
    fn pieces_have_the_order_in_which_they_began() {
        let thought = |index, text: &str| RunEventBody::Reasoning {
            choice: 0,
            index,
            added: Reasoning { text: text.into(), ..Reasoning::default() },
        };
        let fields = Extension::Fields(serde_json::Map::new());
        let answers = answers(&[
            delta(0, ""),
            delta(0, "a"),
            delta(1, "other"),
            delta(0, "b"),
            thought(0, "A"),
            call(0, Some("look"), "{"),
            delta(0, "c"),
            call(0, None, "}"),
            thought(0, "B"),
            delta(0, "d"),
            RunEventBody::Refusal { choice: 0, text: "no".into() },
            RunEventBody::extension(ClientDialect::Gemini, fields),
        ]);
        let expected = [
            AnswerPiece::Text(0..2),
            AnswerPiece::Reasoning(0),
            AnswerPiece::Call(0),
            AnswerPiece::Text(2..4),
            AnswerPiece::Refusal(0..2),
            AnswerPiece::Extension(0),
        ];
        assert_eq!(answers.all()[0].pieces, expected);
        assert_eq!(answers.all()[1].pieces, [AnswerPiece::Text(0..5)]);
    }

    #[test]
    fn interleaved_calls_are_assembled() {
        let answers = answers(&[
            call(0, Some("look"), ""),
            call(0, None, "{\"at\":"),
            call(1, Some("hear"), "{"),
            call(0, None, "1}"),
            call(1, None, "}"),
            call(7, None, "lost"),
        ]);
        let calls = answers.all()[0].tool_calls.iter();
        let assembled: Vec<_> =
            calls.map(|c| (c.id.as_str(), c.name.as_str(), c.arguments.as_str())).collect();
        assert_eq!(assembled, [("call_0", "look", "{\"at\":1}"), ("call_1", "hear", "{}")]);
    }

    #[test]
    fn unfinished_answers_end_with_the_run() {
        let early = RunEventBody::ChoiceDone { choice: 1, finish_reason: FinishReason::Length };
        let mut answers = answers(&[delta(0, "a"), delta(2, "c"), early, delta(99, "out of range")]);
        assert_eq!(answers.unfinished(), [0, 2]);
        answers.apply(&RunEventBody::Done { finish_reason: FinishReason::Stop });
        let ends: Vec<_> = answers.all().iter().map(|a| (a.text.as_str(), a.finish_reason)).collect();
        let (stop, length) = (Some(FinishReason::Stop), Some(FinishReason::Length));
        assert_eq!(ends, [("a", stop), ("", length), ("c", stop)]);
        assert!(answers.unfinished().is_empty());
    }
}
