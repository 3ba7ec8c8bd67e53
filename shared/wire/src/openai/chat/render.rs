//! Run events as the OpenAI dialect shows them.

use hearth_domain::{FinishReason, Reasoning, RunId, Timestamp, Usage, check::MAX_CHOICES};
use serde::Serialize;
use serde_json::json;

use super::{ChatAnswer, ChatChoice, ChatChunk, ChatCompletion, ChunkChoice, ChunkDelta};
use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    answer::{Answer, Answers, ending},
    openai::{
        logprobs::LogprobsBody,
        reasoning::{ReasoningDetail, details},
        tools::{ToolCallBody, ToolCallDelta},
    },
    stream::{Frame, Render},
};

const ASSISTANT: &str = "assistant";
const CHUNK: &str = "chat.completion.chunk";

/// A [`ChatChunk`] with a piece of text.
#[derive(Serialize)]
struct TextChunk<'a> {
    id: &'a str,
    object: &'a str,
    created: i64,
    model: &'a str,
    choices: [TextChoice<'a>; 1],
}

#[derive(Serialize)]
struct TextChoice<'a> {
    index: u32,
    delta: TextDelta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<()>,
}

#[derive(Serialize)]
struct TextDelta<'a> {
    content: &'a str,
}

/// Takes a run's events in order; gives chunks, and the whole completion at the end.
#[derive(Debug)]
pub struct Renderer {
    request_id: RunId,
    /// The same as text.
    id: String,
    created: i64,
    model: String,
    choices: u32,
    include_usage: bool,
    offers_tools: bool,
    /// How many choices have their first chunk out.
    greeted: u32,
    answers: Answers,
    usage: Usage,
}

impl Render for Renderer {
    type Answer = ChatCompletion;

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        let frames = match &event.body {
            RunEventBody::Started { .. } => self.greetings(self.choices),
            RunEventBody::Delta { choice, text, logprobs } if logprobs.is_empty() => {
                let mut frames = self.greetings(choice.saturating_add(1));
                frames.push(self.text_chunk(*choice, text));
                frames
            }
            RunEventBody::Delta { choice, text, logprobs } => {
                let delta = ChunkDelta { content: Some(text.clone()), ..ChunkDelta::default() };
                self.chunks(*choice, delta, LogprobsBody::of(logprobs), None)
            }
            RunEventBody::Refusal { choice, text } => {
                let delta = ChunkDelta { refusal: Some(text.clone()), ..ChunkDelta::default() };
                self.chunks(*choice, delta, None, None)
            }
            RunEventBody::Reasoning { choice, index, added } => self.thoughts(*choice, *index, added),
            RunEventBody::ToolCall { choice, index, begins, arguments } => {
                let call = ToolCallDelta::new(*index, begins.as_ref(), arguments);
                let delta = ChunkDelta { tool_calls: Some(vec![call]), ..ChunkDelta::default() };
                self.chunks(*choice, delta, None, None)
            }
            RunEventBody::ChoiceDone { choice, finish_reason } => {
                self.chunks(*choice, ChunkDelta::default(), None, Some(*finish_reason))
            }
            RunEventBody::Done { finish_reason } => {
                let mut frames = Vec::new();
                for choice in self.answers.open() {
                    frames.extend(self.chunks(choice, ChunkDelta::default(), None, Some(*finish_reason)));
                }
                if self.include_usage {
                    let (choices, usage) = (Vec::new(), Some(self.usage.into()));
                    frames.push(Frame::json(None, &ChatChunk { choices, usage, ..self.empty_chunk() }));
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

    fn collected(mut self, events: &[RunEvent]) -> Result<ChatCompletion, ApiError> {
        ending(events)?;
        events.iter().for_each(|event| self.note(&event.body));
        Ok(ChatCompletion {
            id: self.id,
            object: "chat.completion".to_owned(),
            created: self.created,
            model: self.model,
            choices: (0..).zip(self.answers.all()).map(|(index, answer)| choice(index, answer)).collect(),
            usage: self.usage.into(),
        })
    }
}

impl Renderer {
    /// A renderer for the run `request_id`, before its first event. `include_usage`: a last chunk tells
    /// the usage. `offers_tools`: an answer may have no text.
    pub(super) fn new(request_id: RunId, choices: u32, include_usage: bool, offers_tools: bool) -> Self {
        Self {
            request_id,
            id: request_id.to_string(),
            created: Timestamp::now().unix(),
            model: String::new(),
            choices,
            include_usage,
            offers_tools,
            greeted: 0,
            answers: Answers::default(),
            usage: Usage::default(),
        }
    }

    /// What later frames, or the whole completion, tell of an event.
    fn note(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Selected(selected) => self.model.clone_from(&selected.model),
            RunEventBody::Usage { usage } => self.usage = *usage,
            event => self.answers.take(event),
        }
    }

    /// Thoughts as they come; once a block has its seal also the whole of it.
    fn thoughts(&mut self, choice: u32, index: u32, added: &Reasoning) -> Vec<Frame> {
        let sealed = added.signature.is_some() || added.encrypted.is_some();
        let whole = sealed.then(|| {
            let before = self.answers.all().get(choice as usize);
            let before = before.and_then(|answer| answer.reasoning.get(index as usize));
            let text = before.map_or("", |block| block.text.as_str()).to_owned() + &added.text;
            ReasoningDetail::of(index, &Reasoning { text, ..added.clone() })
        });
        let text = Some(added.text.clone()).filter(|text| !text.is_empty());
        if text.is_none() && whole.is_none() {
            return Vec::new();
        }
        let delta = ChunkDelta { reasoning_content: text, reasoning_details: whole, ..ChunkDelta::default() };
        self.chunks(choice, delta, None, None)
    }

    /// A chunk, after the choice's first one.
    fn chunks(
        &mut self,
        choice: u32,
        delta: ChunkDelta,
        logprobs: Option<LogprobsBody>,
        reason: Option<FinishReason>,
    ) -> Vec<Frame> {
        let mut frames = self.greetings(choice.saturating_add(1));
        frames.push(self.chunk(choice, delta, logprobs, reason));
        frames
    }

    /// OpenAI's first chunk of each of the first `count` choices: the role, and an empty text where there
    /// will be one. In order, since clients count choices as they come.
    fn greetings(&mut self, count: u32) -> Vec<Frame> {
        let count = count.min(MAX_CHOICES);
        let new = self.greeted..count.max(self.greeted);
        self.greeted = new.end;
        let greeting = |choice| {
            let content = (!self.offers_tools).then(String::new);
            let delta = ChunkDelta { role: Some(ASSISTANT.to_owned()), content, ..ChunkDelta::default() };
            self.chunk(choice, delta, None, None)
        };
        new.map(greeting).collect()
    }

    fn chunk(
        &self,
        index: u32,
        delta: ChunkDelta,
        logprobs: Option<LogprobsBody>,
        reason: Option<FinishReason>,
    ) -> Frame {
        let refuses = self.answers.all().get(index as usize).is_some_and(|answer| !answer.refusal.is_empty());
        let finish_reason = reason.map(|reason| openai_name(reason, refuses));
        let answer = self.answers.all().get(index as usize).filter(|_| finish_reason.is_some());
        let structured = answer.and_then(|answer| answer.structured.as_ref()).map(Into::into);
        let choices = vec![ChunkChoice { index, delta, logprobs, finish_reason, structured }];
        Frame::json(None, &ChatChunk { choices, ..self.empty_chunk() })
    }

    /// A chunk with a piece of text and nothing else, as nearly all are: [`ChatChunk`] without copies.
    fn text_chunk(&self, index: u32, content: &str) -> Frame {
        let choice = TextChoice { index, delta: TextDelta { content }, logprobs: None, finish_reason: None };
        let (id, created, model) = (&self.id, self.created, &self.model);
        Frame::json(None, &TextChunk { id, object: CHUNK, created, model, choices: [choice] })
    }

    fn empty_chunk(&self) -> ChatChunk {
        ChatChunk {
            id: self.id.clone(),
            object: CHUNK.to_owned(),
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

fn choice(index: u32, answer: &Answer) -> ChatChoice {
    let calls: Vec<ToolCallBody> = answer.tool_calls.iter().cloned().map(Into::into).collect();
    let thoughts: String = answer.reasoning.iter().map(|block| block.text.as_str()).collect();
    let refusal = Some(answer.refusal.clone()).filter(|refusal| !refusal.is_empty());
    let silent = answer.text.is_empty() && (!calls.is_empty() || refusal.is_some());
    ChatChoice {
        index,
        message: ChatAnswer {
            role: ASSISTANT.to_owned(),
            content: (!silent).then(|| answer.text.clone()),
            refusal,
            reasoning_content: (!thoughts.is_empty()).then_some(thoughts),
            reasoning_details: details(&answer.reasoning),
            tool_calls: (!calls.is_empty()).then_some(calls),
        },
        logprobs: LogprobsBody::of(&answer.logprobs),
        finish_reason: answer.finish_reason.map(|reason| openai_name(reason, !answer.refusal.is_empty())),
        structured: answer.structured.as_ref().map(Into::into),
    }
}

/// The finish reasons that OpenAI's clients know. A model that `refuses` in words has said what it had to.
fn openai_name(reason: FinishReason, refuses: bool) -> String {
    match reason {
        FinishReason::Stop | FinishReason::Cancelled => "stop",
        FinishReason::ContentFilter if refuses => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_chunk_is_a_chunk() {
        let renderer = Renderer::new(RunId::new(), 1, false, false);
        let text = "Grüße \"😀\"\n\u{1}";
        let delta = ChunkDelta { content: Some(text.to_owned()), ..ChunkDelta::default() };
        assert_eq!(renderer.text_chunk(3, text), renderer.chunk(3, delta, None, None));
    }
}
