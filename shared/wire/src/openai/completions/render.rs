//! Renders run events as completion chunks.

use std::collections::HashSet;

use hearth_domain::{FinishReason, RunId, Timestamp, TokenLogprob, Usage, check::MAX_CHOICES};

use super::{Completion, CompletionChoice, CompletionLogprobs};
use crate::{
    ApiError, RunEvent, RunEventBody,
    answer::{Answer, RunSummary, cancelled, final_outcome},
    logprobs::token_logprobs,
    openai::error_frame::error_frame,
    stream::{Frame, Render},
};

/// Renders the events of one run.
#[derive(Debug)]
pub struct CompletionRenderer {
    request_id: RunId,
    created: i64,
    include_usage: bool,
    /// Index of the run's first completion in the request.
    first_index: u32,
    /// The prompt, if the request asked to repeat it.
    echo: Option<String>,
    /// Completions whose prompt has been rendered.
    echoed: HashSet<u32>,
    run: RunSummary,
    /// Number of rendered characters of each answer: log-probabilities have the offset of each token.
    rendered_chars: Vec<usize>,
}

impl Render for CompletionRenderer {
    type Answer = Completion;

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        let frames = match &event.body {
            RunEventBody::Delta { choice, text, logprobs } => {
                let logprobs = CompletionLogprobs::of(logprobs, self.count_chars(*choice, text));
                vec![self.chunk(*choice, text, logprobs, None)]
            }
            RunEventBody::Refusal { choice, text } => vec![self.chunk(*choice, text, None, None)],
            RunEventBody::ChoiceDone { choice, finish_reason } => {
                vec![self.chunk(*choice, "", None, Some(*finish_reason))]
            }
            RunEventBody::Done { finish_reason } => {
                let unfinished = self.run.answers.unfinished().into_iter();
                let mut frames: Vec<Frame> =
                    unfinished.map(|choice| self.chunk(choice, "", None, Some(*finish_reason))).collect();
                if self.include_usage {
                    frames.push(self.usage_frame(self.run.usage));
                }
                frames
            }
            RunEventBody::Error { error } => vec![error_frame(error, self.request_id)],
            RunEventBody::Cancelled => vec![error_frame(&cancelled(), self.request_id)],
            _ => Vec::new(),
        };
        self.run.apply(&event.body);
        frames
    }

    fn into_answer(mut self, events: &[RunEvent]) -> Result<Completion, ApiError> {
        final_outcome(events)?;
        events.iter().for_each(|event| self.run.apply(&event.body));
        let echo = self.echo.as_deref().unwrap_or_default();
        let numbered = (self.first_index..).zip(self.run.answers.all());
        let choices = numbered.map(|(index, answer)| choice(index, echo, answer)).collect();
        Ok(Completion { choices, usage: Some(self.run.usage.into()), ..self.empty() })
    }
}

impl CompletionRenderer {
    /// Creates a renderer for the run `request_id`, before its first event. With `include_usage` the last chunk has the
    /// usage.
    pub(super) fn new(request_id: RunId, include_usage: bool) -> Self {
        Self {
            request_id,
            created: Timestamp::now().unix(),
            include_usage,
            first_index: 0,
            echo: None,
            echoed: HashSet::new(),
            run: RunSummary::default(),
            rendered_chars: Vec::new(),
        }
    }

    /// Sets the index of the run's first completion in the request.
    pub(super) fn with_first_index(self, first_index: u32) -> Self {
        Self { first_index, ..self }
    }

    /// Sets the prompt to repeat before each completion.
    pub(super) fn with_echo(self, echo: Option<String>) -> Self {
        Self { echo, ..self }
    }

    /// The run's usage so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.run.usage
    }

    /// Renders the chunk with the usage of the request.
    #[must_use]
    pub fn usage_frame(&self, usage: Usage) -> Frame {
        Frame::json(None, &Completion { usage: Some(usage.into()), ..self.empty() })
    }

    /// Returns the number of an answer's characters before `text`, and adds those of `text`.
    fn count_chars(&mut self, choice: u32, text: &str) -> usize {
        let place = choice.min(MAX_CHOICES) as usize;
        if place >= self.rendered_chars.len() {
            self.rendered_chars.resize(place + 1, 0);
        }
        let before = self.rendered_chars[place];
        self.rendered_chars[place] += text.chars().count();
        before
    }

    fn chunk(
        &mut self,
        choice: u32,
        text: &str,
        logprobs: Option<CompletionLogprobs>,
        reason: Option<FinishReason>,
    ) -> Frame {
        let echo = self.echo.as_deref().filter(|_| self.echoed.insert(choice)).unwrap_or_default();
        let (index, text, finish_reason) =
            (self.first_index + choice, format!("{echo}{text}"), reason.map(finish_reason_name));
        let choices = vec![CompletionChoice { index, text, logprobs, finish_reason }];
        Frame::json(None, &Completion { choices, ..self.empty() })
    }

    fn empty(&self) -> Completion {
        Completion {
            id: self.request_id.to_string(),
            object: "text_completion".to_owned(),
            created: self.created,
            model: self.run.model.clone(),
            choices: Vec::new(),
            usage: None,
        }
    }
}

fn choice(index: u32, echo: &str, answer: &Answer) -> CompletionChoice {
    CompletionChoice {
        index,
        text: format!("{echo}{}", answer.text_with_refusal()),
        logprobs: CompletionLogprobs::of(&answer.logprobs, 0),
        finish_reason: answer.finish_reason.map(finish_reason_name),
    }
}

impl Completion {
    /// Joins the completions of several runs of one request; `None` if there are none.
    #[must_use]
    pub fn joined(completions: Vec<Self>) -> Option<Self> {
        let mut completions = completions.into_iter();
        let mut whole = completions.next()?;
        for next in completions {
            whole.choices.extend(next.choices);
            whole.usage = match (whole.usage, next.usage) {
                (Some(one), Some(other)) => Some(one.sum(&other)),
                (one, other) => one.or(other),
            };
        }
        Some(whole)
    }
}

impl CompletionLogprobs {
    /// Converts tokens that begin `before` characters after the text's beginning; `None` if there are none.
    fn of(tokens: &[TokenLogprob], before: usize) -> Option<Self> {
        if tokens.is_empty() {
            return None;
        }
        let (mut of, mut offset) = (Self::default(), before);
        for entry in token_logprobs(tokens) {
            of.text_offset.push(offset);
            offset += entry.token.token.chars().count();
            let top = entry.top_logprobs.into_iter();
            of.top_logprobs.push(top.map(|one| (one.token, one.logprob)).collect());
            of.token_logprobs.push(entry.token.logprob);
            of.tokens.push(entry.token.token);
        }
        Some(of)
    }
}

/// This API's name of a finish reason.
fn finish_reason_name(reason: FinishReason) -> String {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Cancelled => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
    }
    .to_owned()
}
