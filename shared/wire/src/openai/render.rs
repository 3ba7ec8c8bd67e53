//! Run events as the OpenAI dialect shows them.

use hearth_domain::{FinishReason, RunId, Timestamp, Usage};
use serde_json::json;

use super::chat::{ChatAnswer, ChatChoice, ChatChunk, ChatCompletion, ChunkChoice, ChunkDelta, ending};
use crate::{ApiError, RunEvent, RunEventBody, stream::Frame};

/// Takes a run's events in order; gives chunks, and the whole completion at the end.
#[derive(Debug)]
pub struct Renderer {
    request_id: RunId,
    created: i64,
    model: String,
    include_usage: bool,
    greeted: bool,
    text: String,
    usage: Usage,
}

impl Renderer {
    /// A renderer for the run `request_id`, before its first event.
    #[must_use]
    pub fn new(request_id: RunId, include_usage: bool) -> Self {
        Self {
            request_id,
            created: Timestamp::now().unix(),
            model: String::new(),
            include_usage,
            greeted: false,
            text: String::new(),
            usage: Usage::default(),
        }
    }

    /// The frames that an event gives. `[DONE]` is left to the caller.
    pub fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        match &event.body {
            RunEventBody::Selected(selected) => {
                self.model.clone_from(&selected.model);
                Vec::new()
            }
            RunEventBody::Queued { .. }
            | RunEventBody::Loading { .. }
            | RunEventBody::ToolCall { .. }
            | RunEventBody::ChoiceDone { .. }
            | RunEventBody::Embedding { .. } => Vec::new(),
            RunEventBody::Started { .. } => self.greeting(),
            RunEventBody::Delta { text, .. } => {
                let mut frames = self.greeting();
                self.text.push_str(text);
                let delta = ChunkDelta { role: None, content: Some(text.clone()) };
                frames.push(self.chunk(delta, None));
                frames
            }
            RunEventBody::Usage { usage } => {
                self.usage = *usage;
                Vec::new()
            }
            RunEventBody::Done { finish_reason } => {
                let mut frames = self.greeting();
                frames.push(self.chunk(ChunkDelta::default(), Some(openai_name(*finish_reason))));
                if self.include_usage {
                    let (choices, usage) = (Vec::new(), Some(self.usage.into()));
                    frames.push(Frame::json(None, &ChatChunk { choices, usage, ..self.empty_chunk() }));
                }
                frames
            }
            RunEventBody::Error { error } => vec![self.error(error)],
            RunEventBody::Cancelled => {
                vec![self.error(&ApiError::new(crate::ErrorCode::Cancelled, "the request was cancelled"))]
            }
        }
    }

    /// Takes every event of a run and gives its completion.
    ///
    /// # Errors
    /// The run's own error; `cancelled` if it was stopped.
    pub fn collected(mut self, events: &[RunEvent]) -> Result<ChatCompletion, ApiError> {
        for event in events {
            self.frames(event);
        }
        let finish_reason = ending(events)?;
        let message = ChatAnswer { role: "assistant".to_owned(), content: Some(self.text), refusal: None };
        let finish_reason = Some(openai_name(finish_reason));
        Ok(ChatCompletion {
            id: self.request_id.to_string(),
            object: "chat.completion".to_owned(),
            created: self.created,
            model: self.model,
            choices: vec![ChatChoice { index: 0, message, logprobs: None, finish_reason }],
            usage: self.usage.into(),
        })
    }

    /// OpenAI's first chunk: the role, and an empty text.
    fn greeting(&mut self) -> Vec<Frame> {
        if std::mem::replace(&mut self.greeted, true) {
            return Vec::new();
        }
        let delta = ChunkDelta { role: Some("assistant".to_owned()), content: Some(String::new()) };
        vec![self.chunk(delta, None)]
    }

    fn chunk(&self, delta: ChunkDelta, finish_reason: Option<String>) -> Frame {
        let choices = vec![ChunkChoice { index: 0, delta, logprobs: None, finish_reason }];
        Frame::json(None, &ChatChunk { choices, ..self.empty_chunk() })
    }

    fn empty_chunk(&self) -> ChatChunk {
        ChatChunk {
            id: self.request_id.to_string(),
            object: "chat.completion.chunk".to_owned(),
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

/// The finish reasons that OpenAI's clients know.
fn openai_name(reason: FinishReason) -> String {
    match reason {
        FinishReason::Stop | FinishReason::Cancelled => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
    }
    .to_owned()
}
