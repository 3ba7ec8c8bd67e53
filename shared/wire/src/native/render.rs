//! Run events as the native dialect shows them.

use hearth_domain::{FinishReason, Modality, RunId, Usage};
use serde_json::json;

use super::generate::{GenerateResponse, Output, Selection};
use crate::{ApiError, RunEvent, RunEventBody, stream::Frame};

/// Takes a run's events in order; gives frames, and the whole response at the end.
#[derive(Debug)]
pub struct Renderer {
    request_id: RunId,
    modality: Modality,
    selection: Selection,
    text: String,
    usage: Usage,
}

impl Renderer {
    /// A renderer for the run `request_id`, before its first event.
    #[must_use]
    pub fn new(request_id: RunId) -> Self {
        let (modality, selection) = (Modality::Text, Selection::default());
        Self { request_id, modality, selection, text: String::new(), usage: Usage::default() }
    }

    /// The frames that an event gives; none for those that only collect. The last one, after a
    /// terminal event, is `[DONE]`, which the caller sends when the run is recorded.
    pub fn frame(&mut self, event: &RunEvent) -> Option<Frame> {
        let value = match &event.body {
            RunEventBody::Selected(selected) => {
                self.modality = selected.modality;
                self.selection = Selection {
                    selected_model: selected.model.clone(),
                    selected_provider: selected.provider.clone(),
                    reason: selected.reason.clone(),
                    fallback_used: selected.fallback_used,
                    fallback_reason: None,
                };
                json!({
                    "event": "model_selected", "request_id": self.request_id, "model": selected.model,
                    "model_name": selected.model_name, "provider": selected.provider,
                    "modality": selected.modality, "fallback_used": selected.fallback_used,
                })
            }
            RunEventBody::Queued { position } => json!({"event": "queued", "position": position}),
            RunEventBody::Loading { progress } => json!({"event": "loading", "progress": progress}),
            RunEventBody::Started { prompt_tokens } => {
                self.usage.prompt_tokens = *prompt_tokens;
                return None;
            }
            RunEventBody::Delta { text, .. } => {
                self.text.push_str(text);
                json!({"event": "delta", "text": text, "choices": [{"index": 0, "delta": {"content": text}}]})
            }
            RunEventBody::ToolCall { .. }
            | RunEventBody::ChoiceDone { .. }
            | RunEventBody::Embedding { .. } => return None,
            RunEventBody::Usage { usage } => {
                self.usage = *usage;
                return None;
            }
            RunEventBody::Done { finish_reason } => self.complete_frame(*finish_reason),
            RunEventBody::Cancelled => self.complete_frame(FinishReason::Cancelled),
            RunEventBody::Error { error } => {
                let envelope = error.envelope(&self.request_id.to_string());
                json!({"event": "error", "error": envelope.error})
            }
        };
        Some(Frame::json(Some(event.seq), &value))
    }

    /// The whole response, of the events so far.
    #[must_use]
    pub fn response(&self, finish_reason: Option<FinishReason>) -> GenerateResponse {
        GenerateResponse {
            request_id: self.request_id.to_string(),
            model: self.selection.selected_model.clone(),
            modality: self.modality,
            selection: self.selection.clone(),
            output: Output { text: self.text.clone() },
            usage: self.usage.into(),
            finish_reason,
            warnings: Vec::new(),
        }
    }

    /// Takes every event of a run and gives its response.
    ///
    /// # Errors
    /// The run's own error; `cancelled` if it was stopped.
    pub fn collected(mut self, events: &[RunEvent]) -> Result<GenerateResponse, ApiError> {
        for event in events {
            self.frame(event);
        }
        crate::openai::chat::ending(events).map(|reason| self.response(Some(reason)))
    }

    fn complete_frame(&self, finish_reason: FinishReason) -> serde_json::Value {
        let mut value = json!(self.response(Some(finish_reason)));
        value["event"] = json!("complete");
        value
    }
}
