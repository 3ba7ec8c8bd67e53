//! Run events as completions show them.

use std::collections::HashSet;

use hearth_domain::{FinishReason, RunId, Timestamp, TokenLogprob, Usage, check::MAX_CHOICES};
use serde_json::json;

use super::{Completion, CompletionChoice, CompletionLogprobs};
use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    answer::{Answer, Answers, ending},
    openai::logprobs::entries,
    stream::{Frame, Render},
};

/// Takes a run's events in order; gives chunks, and the whole completion at the end.
#[derive(Debug)]
pub struct Renderer {
    request_id: RunId,
    created: i64,
    model: String,
    include_usage: bool,
    /// The number of the run's first completion among those of the request.
    first: u32,
    /// The prompt, where it is given back.
    echo: Option<String>,
    /// The completions whose prompt is out.
    echoed: HashSet<u32>,
    answers: Answers,
    /// How many characters of each answer are told: log-probabilities give the offset of each token.
    told: Vec<usize>,
    usage: Usage,
}

impl Render for Renderer {
    type Answer = Completion;

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        let frames = match &event.body {
            RunEventBody::Delta { choice, text, logprobs } => {
                let logprobs = CompletionLogprobs::of(logprobs, self.count(*choice, text));
                vec![self.chunk(*choice, text, logprobs, None)]
            }
            RunEventBody::Refusal { choice, text } => vec![self.chunk(*choice, text, None, None)],
            RunEventBody::ChoiceDone { choice, finish_reason } => {
                vec![self.chunk(*choice, "", None, Some(*finish_reason))]
            }
            RunEventBody::Done { finish_reason } => {
                let open = self.answers.open().into_iter();
                let mut frames: Vec<Frame> =
                    open.map(|choice| self.chunk(choice, "", None, Some(*finish_reason))).collect();
                if self.include_usage {
                    frames.push(self.usage_frame(self.usage));
                }
                frames
            }
            RunEventBody::Error { error } => vec![self.error(error)],
            RunEventBody::Cancelled => {
                vec![self.error(&ApiError::new(ErrorCode::Cancelled, "the request was cancelled"))]
            }
            _ => Vec::new(),
        };
        self.note(&event.body);
        frames
    }

    fn collected(mut self, events: &[RunEvent]) -> Result<Completion, ApiError> {
        ending(events)?;
        events.iter().for_each(|event| self.note(&event.body));
        let echo = self.echo.as_deref().unwrap_or_default();
        let numbered = (self.first..).zip(self.answers.all());
        let choices = numbered.map(|(index, answer)| choice(index, echo, answer)).collect();
        Ok(Completion { choices, usage: Some(self.usage.into()), ..self.empty() })
    }
}

impl Renderer {
    /// A renderer for the run `request_id`, before its first event. `include_usage`: a last chunk tells
    /// the usage.
    pub(super) fn new(request_id: RunId, include_usage: bool) -> Self {
        Self {
            request_id,
            created: Timestamp::now().unix(),
            model: String::new(),
            include_usage,
            first: 0,
            echo: None,
            echoed: HashSet::new(),
            answers: Answers::default(),
            told: Vec::new(),
            usage: Usage::default(),
        }
    }

    /// The same for a run whose first completion has the number `first`.
    pub(super) fn at(self, first: u32) -> Self {
        Self { first, ..self }
    }

    /// The same, with the prompt before each completion.
    pub(super) fn echoing(self, echo: Option<String>) -> Self {
        Self { echo, ..self }
    }

    /// The tokens that the run took, as far as that was told.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The chunk that tells the usage of the request.
    #[must_use]
    pub fn usage_frame(&self, usage: Usage) -> Frame {
        Frame::json(None, &Completion { usage: Some(usage.into()), ..self.empty() })
    }

    /// How many characters of an answer came before `text`, which is counted from now on.
    fn count(&mut self, choice: u32, text: &str) -> usize {
        let place = choice.min(MAX_CHOICES) as usize;
        if place >= self.told.len() {
            self.told.resize(place + 1, 0);
        }
        let before = self.told[place];
        self.told[place] += text.chars().count();
        before
    }

    /// What later frames, or the whole completion, tell of an event.
    fn note(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Selected(selected) => self.model.clone_from(&selected.model),
            RunEventBody::Usage { usage } => self.usage = *usage,
            event => self.answers.take(event),
        }
    }

    fn chunk(
        &mut self,
        choice: u32,
        text: &str,
        logprobs: Option<CompletionLogprobs>,
        reason: Option<FinishReason>,
    ) -> Frame {
        let echo = self.echo.as_deref().filter(|_| self.echoed.insert(choice)).unwrap_or_default();
        let (index, text, finish_reason) = (self.first + choice, format!("{echo}{text}"), reason.map(name));
        let choices = vec![CompletionChoice { index, text, logprobs, finish_reason }];
        Frame::json(None, &Completion { choices, ..self.empty() })
    }

    fn empty(&self) -> Completion {
        Completion {
            id: self.request_id.to_string(),
            object: "text_completion".to_owned(),
            created: self.created,
            model: self.model.clone(),
            choices: Vec::new(),
            usage: None,
        }
    }

    fn error(&self, error: &ApiError) -> Frame {
        let envelope = error.envelope(&self.request_id.to_string());
        Frame::json(None, &json!({"event": "error", "error": envelope.error}))
    }
}

fn choice(index: u32, echo: &str, answer: &Answer) -> CompletionChoice {
    CompletionChoice {
        index,
        text: format!("{echo}{}", answer.said()),
        logprobs: CompletionLogprobs::of(&answer.logprobs, 0),
        finish_reason: answer.finish_reason.map(name),
    }
}

impl Completion {
    /// The completions of several runs of one request as one.
    #[must_use]
    pub fn joined(completions: Vec<Self>) -> Option<Self> {
        let mut completions = completions.into_iter();
        let mut whole = completions.next()?;
        for next in completions {
            whole.choices.extend(next.choices);
            whole.usage = match (whole.usage, next.usage) {
                (Some(one), Some(other)) => Some(one.and(&other)),
                (one, other) => one.or(other),
            };
        }
        Some(whole)
    }
}

impl CompletionLogprobs {
    /// Of these tokens, `before` characters after the text's beginning; none if there are none.
    fn of(tokens: &[TokenLogprob], before: usize) -> Option<Self> {
        if tokens.is_empty() {
            return None;
        }
        let (mut of, mut offset) = (Self::default(), before);
        for entry in entries(tokens) {
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

/// The finish reasons that this API's clients know.
fn name(reason: FinishReason) -> String {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Cancelled => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
    }
    .to_owned()
}
