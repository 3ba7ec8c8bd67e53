//! Renders run events as chat completion chunks.

use hearth_domain::{ClientDialect, FinishReason, Reasoning, RunId, Timestamp, check::MAX_CHOICES};
use serde::Serialize;
use serde_json::Value;

use super::{ChatAnswer, ChatChoice, ChatChunk, ChatCompletion, ChunkChoice, ChunkDelta};
use crate::{
    ApiError, RunEvent, RunEventBody,
    answer::{Answer, RunSummary, cancelled, final_outcome},
    extension::Extension,
    logprobs::LogprobsBody,
    openai::error_frame::error_frame,
    reasoning::{ReasoningDetail, reasoning_details},
    stream::{Frame, Render},
    tools::{ToolCallBody, ToolCallDelta},
};

const ASSISTANT: &str = "assistant";
const CHUNK: &str = "chat.completion.chunk";

/// A [`ChatChunk`] with a text delta alone.
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

/// Renders the events of one run.
#[derive(Debug)]
pub struct ChatRenderer {
    request_id: RunId,
    /// The id as text.
    id: String,
    created: i64,
    choices: u32,
    include_usage: bool,
    offers_tools: bool,
    /// Number of choices whose role chunk has been rendered.
    begun_choices: u32,
    run: RunSummary,
}

impl Render for ChatRenderer {
    type Answer = ChatCompletion;

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        let mut frames = Vec::new();
        self.append_frames(event, &mut frames);
        frames
    }

    fn append_frames(&mut self, event: &RunEvent, frames: &mut Vec<Frame>) {
        match &event.body {
            RunEventBody::Started { .. } => self.role_chunks(self.choices, frames),
            RunEventBody::Delta { choice, text, logprobs } if logprobs.is_empty() => {
                self.role_chunks(choice.saturating_add(1), frames);
                frames.push(self.text_chunk(*choice, text));
            }
            RunEventBody::Delta { choice, text, logprobs } => {
                let delta = ChunkDelta { content: Some(text.clone()), ..ChunkDelta::default() };
                self.begun_chunk(*choice, delta, LogprobsBody::of(logprobs), None, frames)
            }
            RunEventBody::Refusal { choice, text } => {
                let delta = ChunkDelta { refusal: Some(text.clone()), ..ChunkDelta::default() };
                self.begun_chunk(*choice, delta, None, None, frames)
            }
            RunEventBody::Reasoning { choice, index, added } => {
                self.reasoning_chunks(*choice, *index, added, frames)
            }
            RunEventBody::ToolCall { choice, index, begins, arguments } => {
                let call = ToolCallDelta::new(*index, begins.as_ref(), arguments);
                let delta = ChunkDelta { tool_calls: Some(vec![call]), ..ChunkDelta::default() };
                self.begun_chunk(*choice, delta, None, None, frames)
            }
            RunEventBody::ChoiceDone { choice, finish_reason } => {
                self.annotations_chunk(*choice, frames);
                self.begun_chunk(*choice, ChunkDelta::default(), None, Some(*finish_reason), frames)
            }
            RunEventBody::Done { finish_reason } => {
                for choice in self.run.answers.unfinished() {
                    self.annotations_chunk(choice, frames);
                    self.begun_chunk(choice, ChunkDelta::default(), None, Some(*finish_reason), frames);
                }
                if self.include_usage {
                    let (choices, usage) = (Vec::new(), Some(self.run.usage.into()));
                    frames.push(Frame::json(None, &ChatChunk { choices, usage, ..self.empty_chunk() }));
                }
            }
            RunEventBody::Error { error } => frames.push(error_frame(error, self.request_id)),
            RunEventBody::Cancelled => frames.push(error_frame(&cancelled(), self.request_id)),
            _ => {}
        }
        self.run.apply(&event.body);
    }

    fn into_answer(mut self, events: &[RunEvent]) -> Result<ChatCompletion, ApiError> {
        final_outcome(events)?;
        events.iter().for_each(|event| self.run.apply(&event.body));
        Ok(ChatCompletion {
            id: self.id,
            object: "chat.completion".to_owned(),
            created: self.created,
            model: self.run.model,
            choices: (0..).zip(self.run.answers.all()).map(|(index, answer)| choice(index, answer)).collect(),
            usage: self.run.usage.into(),
        })
    }
}

impl ChatRenderer {
    /// Creates a renderer for the run `request_id`, before its first event. With `include_usage` the last chunk has the
    /// usage; with `offers_tools` an answer may have no text.
    pub(super) fn new(request_id: RunId, choices: u32, include_usage: bool, offers_tools: bool) -> Self {
        Self {
            request_id,
            id: request_id.to_string(),
            created: Timestamp::now().unix(),
            choices,
            include_usage,
            offers_tools,
            begun_choices: 0,
            run: RunSummary::default(),
        }
    }

    /// Renders a piece of reasoning. Once a block is signed or encrypted, the chunk also has the whole block.
    fn reasoning_chunks(&mut self, choice: u32, index: u32, added: &Reasoning, frames: &mut Vec<Frame>) {
        let is_protected = added.signature.is_some() || added.encrypted.is_some();
        let whole = is_protected.then(|| {
            let before = self.run.answers.all().get(choice as usize);
            let before = before.and_then(|answer| answer.reasoning.get(index as usize));
            let text = before.map_or("", |block| block.text.as_str()).to_owned() + &added.text;
            ReasoningDetail::of(index, &Reasoning { text, ..added.clone() })
        });
        let text = Some(added.text.clone()).filter(|text| !text.is_empty());
        if text.is_none() && whole.is_none() {
            return;
        }
        let delta = ChunkDelta { reasoning_content: text, reasoning_details: whole, ..ChunkDelta::default() };
        self.begun_chunk(choice, delta, None, None, frames);
    }

    /// Renders the citations of a choice. They come together at its end, since the SDKs can't join lists of several chunks.
    fn annotations_chunk(&mut self, choice: u32, frames: &mut Vec<Frame>) {
        let annotations = self.run.answers.all().get(choice as usize).map(annotations).unwrap_or_default();
        if !annotations.is_empty() {
            let delta = ChunkDelta { annotations, ..ChunkDelta::default() };
            self.begun_chunk(choice, delta, None, None, frames);
        }
    }

    /// Renders a chunk, preceded by the choice's role chunk if it is missing.
    fn begun_chunk(
        &mut self,
        choice: u32,
        delta: ChunkDelta,
        logprobs: Option<LogprobsBody>,
        reason: Option<FinishReason>,
        frames: &mut Vec<Frame>,
    ) {
        self.role_chunks(choice.saturating_add(1), frames);
        frames.push(self.chunk(choice, delta, logprobs, reason));
    }

    /// Renders the missing role chunks of the first `count` choices: the role, and an empty text if the answer will have
    /// one. They come in order, since clients number the choices by their first chunks.
    fn role_chunks(&mut self, count: u32, frames: &mut Vec<Frame>) {
        let count = count.min(MAX_CHOICES);
        let new = self.begun_choices..count.max(self.begun_choices);
        self.begun_choices = new.end;
        let role_chunk = |choice| {
            let content = (!self.offers_tools).then(String::new);
            let delta = ChunkDelta { role: Some(ASSISTANT.to_owned()), content, ..ChunkDelta::default() };
            self.chunk(choice, delta, None, None)
        };
        frames.extend(new.map(role_chunk));
    }

    fn chunk(
        &self,
        index: u32,
        delta: ChunkDelta,
        logprobs: Option<LogprobsBody>,
        reason: Option<FinishReason>,
    ) -> Frame {
        let refuses =
            self.run.answers.all().get(index as usize).is_some_and(|answer| !answer.refusal.is_empty());
        let finish_reason = reason.map(|reason| finish_reason_name(reason, refuses));
        let answer = self.run.answers.all().get(index as usize).filter(|_| finish_reason.is_some());
        let structured = answer.and_then(|answer| answer.structured.as_ref()).map(Into::into);
        let choices = vec![ChunkChoice { index, delta, logprobs, finish_reason, structured }];
        Frame::json(None, &ChatChunk { choices, ..self.empty_chunk() })
    }

    /// Renders a chunk with a text delta alone, as nearly all are, without copies.
    fn text_chunk(&self, index: u32, content: &str) -> Frame {
        let choice = TextChoice { index, delta: TextDelta { content }, logprobs: None, finish_reason: None };
        let (id, created, model) = (&self.id, self.created, &self.run.model);
        Frame::json(None, &TextChunk { id, object: CHUNK, created, model, choices: [choice] })
    }

    fn empty_chunk(&self) -> ChatChunk {
        ChatChunk {
            id: self.id.clone(),
            object: CHUNK.to_owned(),
            created: self.created,
            model: self.run.model.clone(),
            choices: Vec::new(),
            usage: None,
        }
    }
}

/// Returns the citations of an answer.
fn annotations(answer: &Answer) -> Vec<Value> {
    let annotations = answer.extensions_in(ClientDialect::OpenAiChat);
    let annotations = annotations.filter_map(|placed| match &placed.extension {
        Extension::Annotation(annotation) => Some(annotation.clone()),
        _ => None,
    });
    annotations.collect()
}

fn choice(index: u32, answer: &Answer) -> ChatChoice {
    let calls: Vec<ToolCallBody> = answer.tool_calls.iter().cloned().map(Into::into).collect();
    let reasoning: String = answer.reasoning.iter().map(|block| block.text.as_str()).collect();
    let refusal = Some(answer.refusal.clone()).filter(|refusal| !refusal.is_empty());
    let has_no_text = answer.text.is_empty() && (!calls.is_empty() || refusal.is_some());
    ChatChoice {
        index,
        message: ChatAnswer {
            role: ASSISTANT.to_owned(),
            content: (!has_no_text).then(|| answer.text.clone()),
            refusal,
            reasoning_content: (!reasoning.is_empty()).then_some(reasoning),
            reasoning_details: reasoning_details(&answer.reasoning),
            tool_calls: (!calls.is_empty()).then_some(calls),
            annotations: annotations(answer),
        },
        logprobs: LogprobsBody::of(&answer.logprobs),
        finish_reason: answer
            .finish_reason
            .map(|reason| finish_reason_name(reason, !answer.refusal.is_empty())),
        structured: answer.structured.as_ref().map(Into::into),
    }
}

/// The dialect's name of a finish reason. An answer with a refusal (`refuses`) is complete, so it ends with `stop`.
fn finish_reason_name(reason: FinishReason, refuses: bool) -> String {
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
    fn text_chunk_equals_the_general_chunk() {
        let renderer = ChatRenderer::new(RunId::new(), 1, false, false);
        let text = "Grüße \"😀\"\n\u{1}";
        let delta = ChunkDelta { content: Some(text.to_owned()), ..ChunkDelta::default() };
        assert_eq!(renderer.text_chunk(3, text), renderer.chunk(3, delta, None, None));
    }
}
